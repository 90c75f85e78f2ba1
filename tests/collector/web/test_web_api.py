"""REST through a real server: bodies, pages by cursor, errors as problem+json, acts that happen once."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from collector.domain.pulse import LaneCounts
from collector.domain.series import Sample
from collector.intake.day_account import Absent, DayAccount
from collector.intake.records import Refusals
from collector.web.api_readings import _csv_text, csv_cell
from collector.web.app import build
from collector.web.metrics import Metrics
from edge_agent.common.problem import Problem
from tests.support.web_fakes import CURRENT, FAULT, MINUTE_MS, NOW_MS, Station, station

GOLDEN = Path(__file__).with_name("golden")
SERIES = dict(zip(("site", "gateway", "device", "point"), CURRENT, strict=True))
THREE_DAYS = {"from": "2026-04-28T10:00:00+08:00", "to": "2026-05-01T10:00:00+08:00"}


def test_sites_the_worst_first(http: httpx.Client) -> None:
    sites = http.get("/api/v1/sites").json()["sites"]
    assert [(one["site"], one["state"]) for one in sites] == [
        ("shuanghe", "red"),
        ("qingshan", "silent"),
        ("xinzhai", "unheard"),
        ("bridge-7", "fine"),
    ]
    assert sites[0]["name"] == {"zh": "双河镇第一供水站", "en": "Shuanghe water station 1"}
    assert sites[0]["gateways"][0]["received"] == 4321


def test_series_with_newest_reading(http: httpx.Client) -> None:
    series = http.get("/api/v1/sites/shuanghe/series").json()["series"]
    current = next(one for one in series if one["point"] == "current")
    assert current["unit"] == "A"
    assert current["latest"] == {"time": "2026-05-01T01:59:30.000Z", "value": 3.1, "quality": "good", "reason": ""}


def test_etag_spares_the_second_answer(http: httpx.Client) -> None:
    first = http.get("/api/v1/sites/bridge-7/series")
    again = http.get("/api/v1/sites/bridge-7/series", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_pages_of_readings_join_to_the_whole(http: httpx.Client, here: Station) -> None:
    got: list[str] = []
    query = {**SERIES, **THREE_DAYS, "limit": "700"}
    while True:
        body = http.get("/api/v1/readings", params=query).json()
        assert len(body["readings"]) <= 700
        got += [one["time"] for one in body["readings"]]
        if body["next"] is None:
            break
        query["cursor"] = body["next"]
    assert len(got) == len(set(got)) == len(here.store.samples[CURRENT])
    assert got == sorted(got)
    assert here.store.most_at_once <= 4 * 700


def test_thinned_readings_keep_extremes(http: httpx.Client) -> None:
    body = http.get("/api/v1/readings", params={**SERIES, **THREE_DAYS, "max_points": 100}).json()
    values = [one["value"] for one in body["readings"] if one["value"] is not None]
    assert body["thinned"] is True
    assert len(body["readings"]) <= 100
    assert max(values) > 12.8
    bad = http.get("/api/v1/readings", params={**SERIES, **THREE_DAYS}).json()["readings"]
    assert {(one["quality"], one["reason"]) for one in bad if one["value"] is None} == {("bad", "comm")}


@pytest.mark.parametrize("how", ["accept", "format"])
def test_csv(http: httpx.Client, here: Station, how: str) -> None:
    query = {**SERIES, **THREE_DAYS}
    headers = {"accept": "text/csv"} if how == "accept" else {}
    answer = http.get("/api/v1/readings", params=query | ({"format": "csv"} if how == "format" else {}), headers=headers)
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert rows[0] == ["time", "value", "unit", "quality", "reason"]
    assert len(rows) - 1 == len(here.store.samples[CURRENT])
    assert rows[1][2:] == ["A", "good", ""]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert csv_cell(text) == "'" + text


def test_a_unit_that_is_a_formula_is_none_in_csv() -> None:
    """The unit comes from a gateway's birth."""
    samples = [Sample(1_790_000_000_000, "=1", 0)]
    (_, row) = "".join(_csv_text(iter([samples]), '=HYPERLINK("x")')).splitlines()
    assert next(csv.reader([row]))[1:3] == ["'=1", '\'=HYPERLINK("x")']


def test_numbers_in_csv_stay_numbers() -> None:
    assert [csv_cell(value) for value in (-1.5, 3, True, None, "ok")] == ["-1.5", "3", "1", "", "ok"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/sites/nowhere", 404, "WEB911"),
        ("/api/v1/sites/nowhere/series", 404, "WEB911"),
        ("/api/v1/sites/No%20Id", 422, "WEB910"),
        ("/api/v1/readings?site=shuanghe&gateway=gw-1&device=pump-1&point=gone", 404, "WEB912"),
        ("/api/v1/readings?site=shuanghe&gateway=gw-1&device=pump-1&point=current&from=yesterday", 422, "WEB910"),
        ("/api/v1/readings?site=shuanghe&gateway=gw-1&device=pump-1&point=current&from=2026-05-01T00:00:00", 422, "WEB910"),
        ("/api/v1/readings?site=shuanghe&gateway=gw-1&device=pump-1&point=current&from=2026-05-02T00:00:00Z", 422, "WEB910"),
        ("/api/v1/readings?site=shuanghe&gateway=gw-1&device=pump-1&point=current&from=1990-01-01T00:00:00Z", 422, "WEB910"),
        ("/api/v1/readings?site=shuanghe&gateway=gw-1&device=pump-1&point=current&limit=20001", 422, "WEB910"),
        ("/api/v1/readings?site=shuanghe", 422, "WEB910"),
        ("/api/v1/warnings?state=angry", 422, "WEB910"),
        ("/api/v1/warnings?cursor=x", 422, "WEB910"),
        ("/api/v1/warnings/none", 404, "WEB913"),
        ("/api/v1/nothing", 404, "WEB914"),
    ],
)
def test_errors_are_problems(http: httpx.Client, path: str, status: int, code: str) -> None:
    answer = http.get(path)
    body = answer.json()
    assert (answer.status_code, body["code"], body["status"]) == (status, code, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["type"].endswith(code)
    assert body["what"]
    assert body["do"]


def test_wrong_method_is_a_problem(http: httpx.Client) -> None:
    assert http.delete("/api/v1/sites").json()["code"] == "WEB921"


def test_a_plus_that_became_a_blank_is_read_as_plus(http: httpx.Client) -> None:
    query = "&".join(f"{name}={value}" for name, value in SERIES.items())
    answer = http.get(f"/api/v1/readings?{query}&from=2026-05-01T09:00:00+08:00")
    assert len(answer.json()["readings"]) == 60


def test_warnings_by_cursor_and_filter(http: httpx.Client) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        body = http.get("/api/v1/warnings", params={"limit": 1} | ({"cursor": cursor} if cursor else {})).json()
        seen += [one["id"] for one in body["warnings"]]
        cursor = body["next"]
        if cursor is None:
            break
    assert seen == ["pump-dry-7f3a", "silent-aa01", "chlorine-low-19c2", "past-0001"]
    filtered = http.get("/api/v1/warnings", params={"state": ["past", "acknowledged"], "site": "shuanghe"}).json()["warnings"]
    assert [one["id"] for one in filtered] == ["chlorine-low-19c2", "past-0001"]
    assert [one["id"] for one in http.get("/api/v1/warnings?level=blue").json()["warnings"]] == ["silent-aa01"]


def test_warnings_that_began_together_are_each_given_once() -> None:
    from dataclasses import replace

    from collector.web.api_warnings import page

    here = station()
    first = here.operations.all["pump-dry-7f3a"]
    here.operations.all = {f"w{n}": replace(first, id=f"w{n}", began_ms=NOW_MS - n // 5) for n in range(13)}
    seen: list[str] = []
    cursor: str | None = None
    while True:
        found, cursor = page(here.parts(), None, None, 3, cursor)
        seen += [one.id for one in found]
        if cursor is None:
            break
    assert sorted(seen) == sorted(here.operations.all)


def test_acknowledge_once_with_a_key(http: httpx.Client, here: Station) -> None:
    path = "/api/v1/warnings/silent-aa01/acknowledge"
    body = {"who": " 王建国 ", "note": "在去的路上"}
    first = http.post(path, json=body, headers={"idempotency-key": "k1"})
    again = http.post(path, json=body, headers={"idempotency-key": "k1"})
    other = http.post(path, json={**body, "note": "另一件事"}, headers={"idempotency-key": "k1"})
    without = http.post(path, json=body)
    assert (first.status_code, again.status_code, other.status_code, without.status_code) == (200, 200, 422, 409)
    assert first.json() == again.json()
    assert first.json()["acknowledged_by"] == "王建国"
    assert (other.json()["code"], without.json()["code"]) == ("WEB917", "WEB915")
    assert len([act for act in here.operations.done if act.warning == "silent-aa01"]) == 1
    assert http.get("/api/v1/warnings/silent-aa01").json()["acts"][0]["note"] == "在去的路上"


@pytest.mark.parametrize(
    "body", [{}, {"who": ""}, {"who": "x" * 41}, {"who": "a\nb"}, {"who": "a", "note": "n" * 2001}, {"who": "a", "z": 1}]
)
def test_acts_are_bounded(http: httpx.Client, body: dict[str, object]) -> None:
    assert http.post("/api/v1/warnings/pump-dry-7f3a/acknowledge", json=body).json()["code"] == "WEB910"


def test_a_body_that_is_no_json_is_named(http: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    answer = http.post("/api/v1/warnings/pump-dry-7f3a/acknowledge", content=b"{who", headers=headers).json()
    assert (answer["where"], answer["what"]) == ("body", 'Parameter "body" cannot be used: it is no valid JSON')


def test_a_large_body_is_refused(http: httpx.Client) -> None:
    answer = http.post("/api/v1/warnings/pump-dry-7f3a/close", content=b"x" * 70_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "WEB922")


def test_a_store_that_is_away_is_said(http: httpx.Client, here: Station) -> None:
    here.store.away = True
    here.problems.append(Problem("STO001", "store", "away", "wait"))
    try:
        answers = {path: http.get(path) for path in ("/api/v1/sites/shuanghe/series", "/readyz", "/healthz", "/sites/shuanghe")}
        warnings = http.get("/warnings")
    finally:
        here.store.away = False
        here.problems.clear()
    assert [one.status_code for one in answers.values()] == [503, 503, 200, 503]
    assert answers["/readyz"].json() == {"ready": False, "problems": ["STO001", "WEB918"]}
    assert warnings.status_code == 200
    assert "STO001" in warnings.text


def test_metrics_are_openmetrics(http: httpx.Client) -> None:
    http.get("/api/v1/sites/shuanghe")
    text = http.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"}).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert all(name.startswith("waterworks_") for name in families)
    received = {sample.labels["site"]: sample.value for sample in families["waterworks_gateway_batches_received"].samples}
    assert received == {"shuanghe": 4321, "qingshan": 99, "bridge-7": 7}
    assert {sample.labels["level"]: sample.value for sample in families["waterworks_warnings_open"].samples} == {
        "red": 1,
        "yellow": 1,
        "blue": 1,
    }
    online = {sample.labels["site"] for sample in families["waterworks_gateway_online"].samples}
    assert online == {"shuanghe", "qingshan"}, "a gateway whose status is unknown has no value"
    heard = families["waterworks_gateway_heard_timestamp_seconds"].samples[-1]
    assert heard.value == pytest.approx((NOW_MS - 20_000) / 1000)
    routes = {sample.labels["route"] for sample in families["waterworks_http_requests"].samples}
    assert "/api/v1/sites/{site}" in routes
    assert "/api/v1/sites/shuanghe" not in routes


def test_refused_messages_are_counted_by_reason() -> None:
    parts = replace(station().parts(), refusals=lambda: Refusals({"shape": 3, "topic": 1}, "waterworks/x", "shape"))
    text = generate_latest(Metrics(parts).registry).decode()
    assert 'waterworks_messages_refused_total{reason="shape"} 3.0' in text
    assert 'waterworks_messages_refused_total{reason="topic"} 1.0' in text


def test_lanes_and_what_was_given_up_are_counted_apart() -> None:
    here = station()
    lanes = (LaneCounts("n", 10, 2, 3, 1), LaneCounts("u", 5, 0, 0, 0))
    here.pulses = [replace(here.pulses[0], lanes=lanes)]
    text = generate_latest(Metrics(here.parts()).registry).decode()
    assert 'waterworks_lane_batches_duplicate_total{gateway="gw-1",lane="n",site="shuanghe"} 2.0' in text
    assert 'waterworks_lane_batches_lost_total{gateway="gw-1",lane="n",site="shuanghe"} 3.0' in text
    assert 'waterworks_lane_batches_behind{gateway="gw-1",lane="u",site="shuanghe"} 0.0' in text
    assert 'waterworks_gateway_readings_given_up_total{gateway="gw-1",reason="overflow",site="shuanghe"} 70.0' in text


def test_the_account_by_gateway_and_day(http: httpx.Client, here: Station) -> None:
    hole = Absent("1-00000000000000aa", "n", 3, 5, "", None, NOW_MS - 1000, NOW_MS)
    one = DayAccount("shuanghe", "gw-1", "2026-04-30", 10, 2, 3, 4, 5, 100, 20, 40, {"overflow": 2}, [hole])
    here.accounts = [one, replace(one, day="2026-05-01"), replace(one, day="2026-01-01"), replace(one, site="qingshan")]
    body = http.get("/api/v1/account", params={"site": "shuanghe", "to": "2026-04-30"}).json()
    assert body["days"] == [
        {
            "site": "shuanghe", "gateway": "gw-1", "day": "2026-04-30", "expected": 15, "received": 10, "lost": 2, "missing": 3,
            "late": 4, "duplicate": 5, "received_readings": 100, "lost_readings": 20, "late_readings": 40, "why": {"overflow": 2},
            "absent": [
                {"epoch": "1-00000000000000aa", "lane": "n", "first": 3, "last": 5, "why": None, "readings": None,
                 "from": "2026-05-01T01:59:59.000Z", "to": "2026-05-01T02:00:00.000Z"}
            ],
        }
    ]  # fmt: skip
    assert (body["late_after_s"], body["left_out"], body["total"]["expected"]) == (3600, 0, 15)
    assert http.get("/api/v1/account").json()["total"]["expected"] == 45, "the last 31 days"
    assert http.get("/api/v1/account", params={"from": "2026-01-01"}).json()["total"]["expected"] == 60
    assert http.get("/api/v1/account", params={"from": "may"}).status_code == 422


def test_openapi_is_the_golden_one() -> None:
    """WRITE_GOLDEN=1 writes it; what version 1 promised may be added to and not changed."""
    schema = build(station().parts()).openapi()
    text = json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    golden = GOLDEN / "openapi.json"
    if os.environ.get("WRITE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_fault_codes_are_plain_in_the_interface(http: httpx.Client) -> None:
    query = dict(zip(("site", "gateway", "device", "point"), FAULT, strict=True))
    from_ms = NOW_MS - 2 * MINUTE_MS
    assert from_ms > 0
    body = http.get("/api/v1/readings", params={**query, "from": "2026-05-01T01:58:00Z"}).json()
    assert [one["value"] for one in body["readings"]] == [7, 7]
