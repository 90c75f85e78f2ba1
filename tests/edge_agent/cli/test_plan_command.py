"""`edge-agent plan`: what is printed for sites as they are written, and for those that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent.cli.main import build_app
from edge_agent.common.program import run

REPOSITORY = Path(__file__).parents[3]
SITE = str(REPOSITORY / "examples" / "site.yaml")
HEAD = "site: dawan\ngateway: gw-1\nmqtt: {brokers: [{host: 127.0.0.1}]}\nbuses:\n"
PROFILE = "maker: acme\ntitle: {zh: 表, en: meter}\nversion: '1'\nsource: [made up]\nverified: false\nprotocol: modbus\n"


def call(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(build_app(), arguments)
    return code, *capfd.readouterr()


def site(folder: Path, *buses: str, **profiles: str) -> list[str]:
    """The arguments that name a site with these buses and profiles (maker acme)."""
    for name, points in profiles.items():
        file = folder / "acme" / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"profile: 1\nmodel: {name}\n{PROFILE}{points}", encoding="utf-8")
    path = folder / "site.yaml"
    path.write_text(HEAD + "".join(buses), encoding="utf-8")
    return [str(path), "--profiles", str(folder)]


def points(count: int, apart: int, period: str, extra: str = "") -> str:
    rows = "".join(
        f"  - {{id: p{i}, table: holding, address: {apart * i}, type: u16, unit: V, period: {period}{extra}}}\n"
        for i in range(count)
    )
    return f"points:\n{rows}"


def serial(id: str, *devices: str) -> str:
    rows = "".join(f"      - {each}\n" for each in devices)
    return f"  - id: {id}\n    serial: {{port: /dev/ttyS7, baudrate: 9600}}\n    devices:\n{rows}"


def test_a_site_with_a_line_and_a_network(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capfd, "plan", SITE)
    assert (code, err.strip()) == (0, f"Next: edge-agent read {SITE}")
    lan, line = out.split("\n\n")[0], out.split("\n\n")[2]
    assert lan.startswith(
        "bus lan busy 2 %, every point in time   (127.0.0.1:5020, tcp)\nrequests 1, everything once takes 0.02 s;"
    )
    assert line.startswith("bus rs485-1 busy 21 %, slowest point 0.1 s late   (usb:A50285BI, 9600 8N1, rtu)\nrequests 16, ")
    assert "asked while silent every" in out
    assert "addresses" not in out


def test_requests_are_listed_where_that_is_wanted(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capfd, "plan", SITE, "--requests")
    assert any(text.split()[:5] == ["level", "holding", "2-6", "2", "s"] for text in out.splitlines())
    assert len([text for text in out.splitlines() if " holding " in text or " input " in text]) == 17


def test_json_says_all_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capfd, "plan", SITE, "--json")
    body = json.loads(out)
    assert (code, err, body["schema"], body["site"]) == (0, "", "plan/1", "dawan")
    bus = body["buses"][1]
    assert bus["words"] == "bus rs485-1 busy 21 %, slowest point 0.1 s late"
    assert bus["requests"] == sum(len(device["requests"]) for device in bus["devices"]) == 16
    assert bus["busy_share"] == pytest.approx(sum(device["busy_share"] for device in bus["devices"]), abs=1e-3)
    assert bus["busy_share"] < bus["separate_busy_share"]
    assert (bus["late_ms"] < 60, bus["problem"]) == (True, None)
    assert bus["cycle_ms"] == bus["asked_cycle_ms"] == 1000
    asked = bus["devices"][2]["requests"][0]
    assert [(each["every"], each["first"], each["last"]) for each in asked["reads"]] == [(1, 2, 6)]


def test_a_bus_with_too_much_to_do_is_told_what_to_change(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    devices = [f"{{id: d{unit}, profile: acme/wide, unit: {unit}}}" for unit in range(1, 9)]
    calm = serial("calm", "{id: other, profile: acme/few, unit: 1}").replace("ttyS7", "ttyS8")
    arguments = site(tmp_path, serial("full", *devices), calm, wide=points(4, 40, "1 s"), few=points(2, 1, "1 s"))
    code, out, err = call(capfd, "plan", *arguments)
    assert code == 1
    assert out.startswith("bus full would need 126 % of its time, slowest point 1.")
    assert "\n\nbus calm busy " in out
    assert 'BUS120  bus "full"' in err
    assert "Do: raise `baudrate` from 9600 to " in err
    assert 'or: set the period of "d' in err or "or: set every period" in err
    assert "Next:" not in err
    code, out, err = call(capfd, "plan", *arguments, "--json")
    full, calm_body = json.loads(out)["buses"]
    assert (code, err) == (1, "")
    assert full["problem"]["code"] == "BUS120"
    assert full["late_point"].startswith("d")
    assert calm_body["problem"] is None


def test_every_profile_error_is_told_at_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = site(
        tmp_path,
        serial("one", "{id: a, profile: acme/bad, unit: 1}", "{id: b, profile: acme/none, unit: 2}"),
        bad=points(1, 1, "1 s").replace("u16", "u17"),
    )
    code, out, err = call(capfd, "plan", *arguments)
    assert (code, out) == (78, "")
    assert len([line for line in err.splitlines() if line.startswith("CFG")]) == 2, err


def test_points_that_fit_in_no_request_are_told_of_every_device(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torn = "requests: {max_registers: 10}\ngroups: [{id: g}]\n" + points(2, 60, "1 s", ", group: g")
    arguments = site(
        tmp_path,
        serial(
            "one",
            "{id: a, profile: acme/torn, unit: 1}",
            "{id: b, profile: acme/torn, unit: 2}",
            "{id: c, profile: acme/few, unit: 3}",
        ),
        serial("two", "{id: d, profile: acme/torn, unit: 1}").replace("ttyS7", "ttyS8"),
        torn=torn,
        few=points(1, 1, "1 s"),
    )
    code, out, err = call(capfd, "plan", *arguments, "--json")
    told = json.loads(out)["problems"]
    assert (code, err) == (1, "")
    assert [(each["code"], each["where"].split(" / ")[0]) for each in told] == [
        ("BUS110", 'device "a"'),
        ("BUS110", 'device "b"'),
        ("BUS110", 'device "d"'),
    ]


def test_a_device_without_points_is_refused_before_it_is_planned(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kind = "parameters: [{id: kind, name: {zh: 型, en: kind}, low: 0, high: 1, default: 0}]\n"
    devices = ("{id: a, profile: acme/off, unit: 1}", "{id: b, profile: acme/few, unit: 2}")
    arguments = site(
        tmp_path, serial("idle", *devices), off=kind + points(2, 1, "1 s", ", when: kind == 1"), few=points(1, 1, "1 s")
    )
    code, out, err = call(capfd, "plan", *arguments)
    assert (code, out, err[:6]) == (78, "", "CFG029")
