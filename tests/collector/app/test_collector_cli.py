"""The command line: what it says, as JSON and to people, and how it ends."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest

from collector.cli import build_app
from collector.io.broker_process import BrokerPlan, BrokerProcess
from collector.io.state_folder import StateFolder
from collector.io.status_file import Status, write_status
from edge_agent.common.program import run

EXAMPLES = Path(__file__).parents[3] / "examples"
MAPPING = "time: {column: t}\nseries: [{column: a, device: panel, point: a, unit: NTU, role: water.turbidity}]\n"


def call(*words: object) -> int:
    return run(build_app(), [str(word) for word in words])


def test_check_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("check", EXAMPLES / "collector.yaml", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "collector-check/1"
    assert told["sites"] == 1
    assert told["rules"] > 5
    assert call("config", "show", "--origin", "--config", EXAMPLES / "collector.yaml") == 0
    assert any(line.startswith("web.port") and "collector.yaml:" in line for line in capsys.readouterr().out.splitlines())


def test_every_error_of_a_check_ends_with_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "county.yaml").write_text("rules: [{rule: nothing-like-it}]\n")
    file = tmp_path / "collector.yaml"
    file.write_text("mqtt: {embedded: {host: 0.0.0.0}}\nstore: {influx: {url: 'http://x', org: o, bucket: b, token_file: t}}\n")
    assert call("check", file, "--json") == 78
    codes = [problem["code"] for problem in json.loads(capsys.readouterr().out)["problems"]]
    assert codes == ["CFG204", "CFG212", "BRK801"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("mqtt: {embedded: {host: 0.0.0.0}}\n", ["BRK801"]),
        ("web: {host: 0.0.0.0}\n", ["WEB901", "WEB902"]),
        ("web: {base_url: 'ftp://x'}\n", ["WEB903"]),
        ("state_directory: collector.yaml/state\n", ["COL406"]),
    ],
)
def test_a_check_refuses_what_a_run_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, codes: list[str]
) -> None:
    file = tmp_path / "collector.yaml"
    file.write_text(text if "state_directory" in text else f"{text}state_directory: state\n")
    assert call("check", file, "--json") == 78
    assert [problem["code"] for problem in json.loads(capsys.readouterr().out)["problems"]] == codes
    assert not (tmp_path / "state").exists()


def test_a_check_names_the_command_that_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "collector.yaml"
    file.write_text("state_directory: state\n")
    assert call("check", file) == 0
    assert f"Next: collector run {file}" in capsys.readouterr().err


def test_replay_without_sending(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.yaml").write_text(MAPPING)
    (tmp_path / "r.csv").write_text("t,a\n2026-01-01T08:00:00,1\n2026-01-01T08:01:00,x\n")
    words = ("replay", tmp_path / "r.csv", "--site", "s", "--gateway", "g", "--map", tmp_path / "m.yaml", "--dry-run", "--json")
    assert call(*words, "--end-at", "2026-03-01T08:00:00+08:00") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["readings"], report["skipped"]["unparsable_cells"]) == (2, 1, 1)
    assert (report["first"], report["last"]) == ("2026-02-28T23:58:59.000Z", "2026-02-28T23:59:59.000Z")
    assert call(*words, "--end-at", "tomorrow") == 2
    assert json.loads(capsys.readouterr().out)["problems"][0]["code"] == "USE412"


def test_a_replay_that_nobody_receipts_gives_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.yaml").write_text(MAPPING)
    (tmp_path / "r.csv").write_text("t,a\n2026-01-01T08:00:00,1\n")
    broker = BrokerProcess(BrokerPlan("waterworks", port=0))
    broker.start()
    try:
        words = ("replay", tmp_path / "r.csv", "--site", "s", "--gateway", "g", "--map", tmp_path / "m.yaml")
        assert call(*words, "--broker", f"127.0.0.1:{broker.port}", "--timeout", 6) == 75
    finally:
        broker.stop()
    told = capsys.readouterr().err
    assert told.count("no receipt for 5 s") == 1
    assert "TRY413" in told


@pytest.mark.parametrize(
    ("record", "mapping", "code"),
    [
        ("t,b\n", MAPPING, "COL411"),
        ("t,a\nnever,1\n", MAPPING, "COL415"),
        (b"\xff\xfe", MAPPING, "COL416"),
        ("t,a\n", MAPPING.replace("NTU", "NTUs"), "CFG216"),
        ("t,a\n", "separator: ab\n" + MAPPING, "CFG215"),
        ("t,a\n", MAPPING.replace("device: panel", "device: Panel"), "CFG211"),
    ],
)
def test_records_and_mappings_that_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], record: str | bytes, mapping: str, code: str
) -> None:
    (tmp_path / "m.yaml").write_text(mapping)
    (tmp_path / "r.csv").write_bytes(record if isinstance(record, bytes) else record.encode())
    words = ("replay", tmp_path / "r.csv", "--site", "s", "--gateway", "g", "--map", tmp_path / "m.yaml", "--dry-run", "--json")
    assert call(*words) != 0
    assert [problem["code"] for problem in json.loads(capsys.readouterr().out)["problems"]] == [code]


def test_without_a_collector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("state_directory: state\n")
    assert call("status", "--config", file, "--json") == 75
    assert call("account", "--config", file, "--json") == 75
    assert capsys.readouterr().out.count("TRY4") == 2


def test_the_status_of_a_collector_that_was_killed_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, state = tmp_path / "c.yaml", tmp_path / "state"
    file.write_text("state_directory: state\n")
    now_ms = time.time_ns() // 1_000_000
    fresh = Status(
        now_ms,
        now_ms,
        7,
        "127.0.0.1",
        1883,
        True,
        "http://x",
        5,
        5,
        4,
        1,
        5,
        0,
        0,
        0,
        refused={"shape": 2},
        last_refused="t: shape",
    )
    with StateFolder(state):
        write_status(state, fresh)
        assert call("status", "--config", file) == 0
        assert "refused   shape 2; the last on t: shape" in capsys.readouterr().out
        write_status(state, msgspec.structs.replace(fresh, at_ms=now_ms - 60_000))
        assert call("status", "--config", file) == 1
        assert "COL410" in capsys.readouterr().err
    write_status(state, fresh)
    assert call("status", "--config", file) == 75
    assert "TRY411" in capsys.readouterr().err


def test_a_broker_user_fits_the_users_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("broker-user", "gw-1", "s/g") == 0
    printed = capsys.readouterr()
    (tmp_path / "users").write_text(printed.out)
    assert printed.err.split()[-1] not in printed.out
    assert call("broker-config", "--users", tmp_path / "users", "--out", tmp_path, "--config", EXAMPLES / "collector.yaml") == 0
    assert "user gw-1\ntopic write waterworks/s/g/birth" in (tmp_path / "acl").read_text()
    assert call("broker-user", "gw-1", "nonsense") == 1
