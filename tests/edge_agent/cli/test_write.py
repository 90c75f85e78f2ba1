"""`edge-agent write` against an instrument: within limits, confirmed, read back, audited."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli.main import build_app
from edge_agent.common.program import run
from tests.support.instrument import Behaviour, PtyInstrument, TcpInstrument

POINTS = """
          - {id: speed, table: holding, address: 0, scale: 0.1, unit: Hz, write: {low: 0, high: 50}}
          - id: mode
            table: holding
            address: 1
            kind: code
            write: {}
            texts: {"0": {zh: 自动, en: automatic}, "2": {zh: 手动, en: manual}}
          - {id: lamp, table: holding, address: 2, bit: 4, write: {}}
          - {id: total, table: holding, address: 3, type: u32, unit: m3, write: {low: 0, high: 1000000}}
          - {id: level, table: holding, address: 0, unit: mm}
          - {id: reset, table: coil, address: 1, read: false, write: {}}
"""


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour({1: {0: 455, 1: 0, 2: 0xFF0F, 3: 1, 4: 2}})


def site(folder: Path, link: str) -> str:
    path = folder / "site.yaml"
    head = f"site: a\ngateway: b\nmqtt: {{brokers: [{{host: 127.0.0.1}}]}}\nbuses:\n  - id: one\n    {link}\n"
    path.write_text(
        head
        + "    devices:\n      - id: vfd\n        unit: 1\n        requests: {timeout: 300 ms, retries: 0}\n        points:"
        + POINTS
    )
    return str(path)


def call(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = run(build_app(), [str(argument) for argument in arguments])
    return code, *capfd.readouterr()


def audit(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("echo", [False, True], ids=["rtu", "rtu-echo"])
@pytest.mark.parametrize(
    ("point", "value", "after"),
    [
        ("speed", "42.5", {0: 425}),
        ("mode", "manual", {1: 2}),
        ("lamp", "true", {2: 0xFF1F}),
        ("total", "70000", {3: 1, 4: 4464}),
    ],
)
def test_what_is_written_is_read_back_over_rtu(
    point: str,
    value: str,
    after: dict[int, int],
    echo: bool,
    behaviour: Behaviour,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    behaviour.echo = echo
    with PtyInstrument(behaviour) as bench:
        path = site(tmp_path, f"serial: {{port: {bench.path}}}")
        code, out, err = call(capfd, "write", path, "vfd", point, value, "--yes", "--state-dir", tmp_path)
    assert code == 0, err
    assert "now says" in out
    assert {at: behaviour.units[1][at] for at in after} == after
    assert [(line["outcome"], line["point"]) for line in audit(tmp_path)] == [("tried", point), ("written", point)]


def test_the_audit_says_who_what_and_from_what_to_what(
    behaviour: Behaviour, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "li")
    with TcpInstrument(behaviour) as bench:
        path = site(tmp_path, f"tcp: {{host: 127.0.0.1, port: {bench.port}}}")
        code, out, _ = call(capfd, "write", path, "vfd", "speed", "50", "--yes", "--state-dir", tmp_path, "--json")
    assert (code, json.loads(out)["outcome"]) == (0, "written")
    last = audit(tmp_path)[-1]
    wanted = {
        "by": "li",
        "site": "a",
        "gateway": "b",
        "device": "vfd",
        "point": "speed",
        "before": 45.5,
        "wanted": 50,
        "after": 50.0,
    }
    assert wanted.items() <= last.items()
    assert oct((tmp_path / "audit.jsonl").stat().st_mode & 0o777) == "0o640"


@pytest.mark.parametrize(
    ("point", "value", "code"),
    [
        ("speed", "-5", "WRT701"),
        ("speed", "50.1", "WRT701"),
        ("speed", "45.55", "WRT701"),
        ("level", "1", "WRT701"),
        ("mode", "1", "WRT701"),
        ("nothing", "1", "USE010"),
    ],
)
def test_what_the_profile_does_not_allow_never_reaches_the_line(
    point: str, value: str, code: str, behaviour: Behaviour, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with TcpInstrument(behaviour) as bench:
        path = site(tmp_path, f"tcp: {{host: 127.0.0.1, port: {bench.port}}}")
        exit_code, _, err = call(capfd, "write", path, "vfd", point, value, "--yes", "--state-dir", tmp_path)
    assert exit_code != 0
    assert err.split()[0] == code
    assert behaviour.asked == []


def test_a_dry_run_says_the_words_and_opens_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capfd, "write", site(tmp_path, "serial: {port: /dev/null}"), "vfd", "speed", "45", "--dry-run")
    assert (code, out.strip()) == (0, 'device "vfd" / point "speed": 45 Hz would be written: function 6, address 0, 01C2')


def test_refused_deaf_and_silent_devices_are_told_apart(
    behaviour: Behaviour, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with TcpInstrument(behaviour) as bench:
        arguments = (
            "write",
            site(tmp_path, f"tcp: {{host: 127.0.0.1, port: {bench.port}}}"),
            "vfd",
            "speed",
            "50",
            "--yes",
            "--state-dir",
            tmp_path,
        )
        behaviour.locked = {0}
        refused = call(capfd, *arguments)[2]
        behaviour.locked, behaviour.deaf = set(), True
        deaf = call(capfd, *arguments)[2]
        behaviour.silent = {1}
        silent = call(capfd, *arguments)[2]
    assert [text.split()[0] for text in (refused, deaf, silent)] == ["WRT704", "WRT702", "WRT705"]
    assert [line["outcome"] for line in audit(tmp_path)] == ["tried", "refused", "tried", "differs", "tried", "unknown"]


def test_without_an_audit_nothing_is_written(behaviour: Behaviour, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with TcpInstrument(behaviour) as bench:
        path = site(tmp_path, f"tcp: {{host: 127.0.0.1, port: {bench.port}}}")
        code, _, err = call(capfd, "write", path, "vfd", "speed", "50", "--yes", "--state-dir", "/proc/nowhere")
    assert (code, err.split()[0], behaviour.units[1][0]) == (1, "WRT703", 455)


@pytest.mark.parametrize(("answer", "after"), [("y", 500), ("n", 455), ("", 455)])
def test_it_asks_on_a_terminal(answer: str, after: int, behaviour: Behaviour, tmp_path: Path) -> None:
    with TcpInstrument(behaviour) as bench:
        path = site(tmp_path, f"tcp: {{host: 127.0.0.1, port: {bench.port}}}")
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "edge_agent", "write", path, "vfd", "speed", "50", "--state-dir", str(tmp_path)]
        with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
            os.write(ours, answer.encode() + b"\n")
            _, err = program.communicate(timeout=20)
        os.close(ours)
        os.close(theirs)
    assert program.returncode == 0
    assert 'device "vfd" / point "speed" says 45.5 Hz.' in err
    assert behaviour.units[1][0] == after


def test_without_a_terminal_it_wants_yes(behaviour: Behaviour, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with TcpInstrument(behaviour) as bench:
        code, _, err = call(capfd, "write", site(tmp_path, f"tcp: {{host: 127.0.0.1, port: {bench.port}}}"), "vfd", "speed", "50")
    assert (code, err.split()[0], behaviour.asked) == (2, "USE023", [])


def test_what_is_only_written_is_neither_read_before_nor_after(
    tmp_path: Path, behaviour: Behaviour, capfd: pytest.CaptureFixture[str]
) -> None:
    with TcpInstrument(behaviour) as bench:
        path = site(tmp_path, f"tcp: {{host: 127.0.0.1, port: {bench.port}}}")
        code, out, err = call(capfd, "write", path, "vfd", "reset", "true", "--yes", "--state-dir", tmp_path)
        assert (code, err) == (0, "")
        assert "written; it cannot be read back" in out
        assert [pdu for _, pdu in behaviour.asked] == [bytes.fromhex("050001FF00")]
        assert [(line["outcome"], line["before"], line["after"]) for line in audit(tmp_path)] == [
            ("tried", None, None),
            ("written", None, None),
        ]
        assert call(capfd, "read", path, "vfd")[1].count("reset") == 0
