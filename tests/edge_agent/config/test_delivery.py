"""What `delivery` of a site file comes to: presets, what gives way, and what `check` says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli.main import build_app
from edge_agent.common.problem import ProblemError
from edge_agent.common.program import run
from edge_agent.config.load import load_site
from edge_agent.model.points import Delivery

SITE = """
site: station-1
gateway: gw-1
mqtt: {brokers: [{host: 127.0.0.1}]}
buses:
  - id: lan
    tcp: {host: 127.0.0.1}
    devices: [{id: meter, points: [{id: flow, table: holding, address: 0, type: u16, period: 1 s}]}]
delivery: {%s}
"""


def path_of(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(SITE % text, encoding="utf-8")
    return path


def delivery(folder: Path, text: str) -> Delivery:
    return load_site(path_of(folder, text), environment={}).site.delivery


def test_the_data_saver_waits_for_company_and_its_receipts_do_too(tmp_path: Path) -> None:
    saver = delivery(tmp_path, "preset: data-saver")
    assert (saver.batch_ms, saver.window_ms, saver.shortest_window_ms, saver.qos) == (1_800_000, 300_000, 10_000, 0)
    assert (saver.batches_per_receipt, saver.receipt_hold_ms) == (4, 7_200_000)
    assert saver.receipt_hold_ms > 3 * saver.batch_ms, "the fourth batch is there before the hold is over"
    assert (saver.wait_ms("n"), saver.wait_ms("u")) == (7_230_000, 60_000)
    assert delivery(tmp_path, "preset: data-saver, in_flight: 2").batches_per_receipt == 1
    assert delivery(tmp_path, "confirm: puback, qos: 0").qos == 1


def test_the_slow_preset_and_single_keys_beside_it(tmp_path: Path) -> None:
    slow = delivery(tmp_path, "preset: slow")
    assert (slow.batch_ms, slow.window_ms, slow.resend_ms) == (240_000, 300_000, 60_000)
    mixed = delivery(tmp_path, "preset: slow, batch: 30 s")
    assert (mixed.batch_ms, mixed.window_ms) == (30_000, 300_000)
    assert delivery(tmp_path, "") == Delivery()


def test_the_window_gives_way_where_the_file_says_so_and_never_shrinks(tmp_path: Path) -> None:
    assert delivery(tmp_path, "batch: 60 s, gives_way: window").window_ms == 66_000
    assert delivery(tmp_path, "batch: 60 s").window_ms == 10_000
    assert delivery(tmp_path, "gives_way: window, window: 30 s").window_ms == 30_000


def test_urgent_points_have_a_window_of_their_own_never_a_longer_one(tmp_path: Path) -> None:
    assert delivery(tmp_path, "urgent_window: 0 s").shortest_window_ms == 0
    assert delivery(tmp_path, "urgent_window: 60 s").shortest_window_ms == 10_000


def check(capfd: pytest.CaptureFixture[str], path: Path) -> tuple[str, dict[str, Any]]:
    run(build_app(), ["check", str(path)])
    text = capfd.readouterr().out
    run(build_app(), ["check", str(path), "--json"])
    return text, json.loads(capfd.readouterr().out)["delivery"]


def test_check_says_what_the_choice_costs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text, found = check(capfd, path_of(tmp_path, "batch: 60 s"))
    assert "with `gives_way: window` it is spared" in text
    assert found["online_bytes_a_day"] == found["offline_bytes_a_day"] > 10_000_000
    assert (found["loss_ms"], found["loss_readings"]) == (10_000, 10)
    text, found = check(capfd, path_of(tmp_path, "batch: 60 s, gives_way: window, urgent_window: 0 s"))
    assert "the last 66 s, about 66 readings" in text
    assert "of urgent points only what was read at that instant" in text
    assert (found["online_bytes_a_day"], found["window_ms"]) == (0, 66_000)


@pytest.mark.parametrize("text", ["batch: {} s", "max_bytes: {} MiB"])
def test_a_number_without_end_is_a_problem_in_words(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProblemError) as refused:
        delivery(tmp_path, text.format("9" * 5000))
    assert {problem.code for problem in refused.value.problems} == {"CFG018"}


def test_host_and_port_in_one_are_told_apart(tmp_path: Path) -> None:
    path = path_of(tmp_path, "")
    path.write_text(path.read_text().replace("host: 127.0.0.1}]", 'host: "10.0.0.5:1883"}]'))
    with pytest.raises(ProblemError) as refused:
        load_site(path, environment={})
    (problem,) = refused.value.problems
    assert problem.do == "write `host: 10.0.0.5` and `port: 1883`."
    path.write_text(path.read_text().replace('"10.0.0.5:1883"', '"fe80::1"'))
    assert load_site(path, environment={}).site.brokers[0].host == "fe80::1"


def test_check_reckons_with_the_longest_batches_that_a_budget_may_ask_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of(tmp_path, "budget: {per_month: 10 MB, batch_most: 10 min}")
    assert run(build_app(), ["check", str(path)]) == 0
    out = capsys.readouterr().out
    assert "next to nothing a day while receipts come" not in out
    assert "flash gives way" in out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_bytes: 900 KiB", "900 KiB is too small; it must be at least 1 MiB."),
        ("max_bytes: 2000 GiB", "2000 GiB is too large; it must be at most 1024 GiB."),
        ("budget: {per_month: 500 kB}", "500 kB is too small; it must be at least 1 MB."),
    ],
)
def test_a_size_beyond_its_bounds_is_told_in_its_unit(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ProblemError) as problem:
        delivery(tmp_path, text)
    (found,) = problem.value.problems
    assert (found.code, found.what) == ("CFG009", words)


@pytest.mark.parametrize(
    ("second", "is_refused"),
    [
        ("{host: 127.0.0.1, port: 1883}", True),
        ("{host: 127.0.0.1, tls: {}}", False),
        ("{host: 127.0.0.1, port: 1884}", False),
        ("{host: localhost}", False),
    ],
)
def test_a_broker_stands_in_the_list_once(tmp_path: Path, second: str, is_refused: bool) -> None:
    path = tmp_path / "site.yaml"
    path.write_text((SITE % "").replace("[{host: 127.0.0.1}]", f"[{{host: 127.0.0.1}}, {second}]"), encoding="utf-8")
    try:
        load_site(path, environment={})
        found = []
    except ProblemError as error:
        found = [(problem.code, problem.what) for problem in error.problems]
    twice = "The broker 127.0.0.1:1883 is named twice; a second try at the same door helps nobody."
    assert found == ([("CFG020", twice)] if is_refused else [])
