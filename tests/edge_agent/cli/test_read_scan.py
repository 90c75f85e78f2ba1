"""`edge-agent read` and `edge-agent scan` against an instrument on loopback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.cli.main import build_app
from edge_agent.cli.scan import parse_units
from edge_agent.common.problem import ProblemError
from edge_agent.common.program import run
from edge_agent.io.serial_link import SerialLink
from edge_agent.model.points import Serial
from tests.support.instrument import Behaviour, PtyInstrument, TcpInstrument
from tests.support.ports import free_port

SITE = """
site: a
gateway: b
mqtt: {{brokers: [{{host: 127.0.0.1}}]}}
buses:
  - id: lan
    tcp: {{host: 127.0.0.1, port: {port}}}
    devices:
      - id: d
        unit: 1
        requests: {{timeout: 100 ms}}
        points:
          - {{id: voltage, table: holding, address: 0, type: u16, scale: 0.1, unit: V, role: power.voltage-a}}
          - {{id: running, table: holding, address: 1, type: u16, mask: 1, kind: bool}}
      - id: e
        unit: {unit}
        requests: {{timeout: 100 ms}}
        points:
          - {{id: level, table: holding, address: 0, type: u16, unit: mm}}
"""


def site(folder: Path, port: int, unit: int = 1) -> str:
    path = folder / "site.yaml"
    path.write_text(SITE.format(port=port, unit=unit).replace(", role: power.voltage-a", ""))
    return str(path)


def edge_agent(*arguments: str) -> int:
    return run(build_app(), arguments)


def test_read_shows_values_with_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with TcpInstrument(Behaviour({1: {0: 2257, 1: 3}})) as panel:
        assert edge_agent("read", site(tmp_path, panel.port), "d") == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split() for line in out[1:]] == [["d", "voltage", "225.7", "V", "good"], ["d", "running", "yes", "good"]]


def test_read_as_json_with_a_device_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with TcpInstrument(Behaviour({1: {0: 2257, 1: 2}})) as panel:
        assert edge_agent("read", site(tmp_path, panel.port, unit=9), "--json") == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["schema"] == "read/1"
    values = [(r["device"], r["point"], r["value"], r["quality"]) for r in shown["readings"]]
    assert values == [("d", "voltage", 225.7, "good"), ("d", "running", False, "good"), ("e", "level", None, "bad:comm")]
    assert [problem["code"] for problem in shown["problems"]] == ["BUS102"]


def test_read_of_an_unknown_device_or_a_closed_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = site(tmp_path, free_port())
    assert edge_agent("read", path, "pump") == 2
    assert "USE010" in capsys.readouterr().err
    assert edge_agent("read", path) == 1
    assert "BUS101" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("port", "what", "do"),
    [
        ("foo://bar", "protocol 'foo' not known", "write rfc2217://HOST:PORT"),
        ("rfc2217://127.0.0.1:{}", ": Connection refused.", "check address and port"),
        ("socket://127.0.0.1:{}", ": Connection refused.", "check address and port"),
        ("rfc2217://bar", ": not in the form HOST:PORT.", "check address and port"),
        ("/dev/null", ": it is no serial port.", "name a serial port"),
        ("/dev/no-such-port", "/dev/no-such-port: no such port; here are: ", "check that the adapter"),
        ("usb:NO-SUCH", "usb:NO-SUCH: this adapter is not plugged in; here are: ", "plug the adapter in"),
    ],
)
def test_scan_of_what_cannot_be_opened_says_why(port: str, what: str, do: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert edge_agent("scan", "--port", port.format(free_port())) == 1
    said = capsys.readouterr().err
    assert what in said
    assert f"Do: {do}" in said
    assert "Errno" not in said


def test_a_port_that_a_program_uses_is_named_with_the_mend(capsys: pytest.CaptureFixture[str]) -> None:
    with PtyInstrument(Behaviour({3: {0: 1}})) as line:
        link = SerialLink(Serial(line.path))
        link.open()
        assert edge_agent("scan", "--port", line.path) == 1
        link.close()
    said = capsys.readouterr().err
    assert f"{line.path}: another program uses it." in said
    assert "systemctl stop edge-agent" in said


def test_scan_finds_devices(capsys: pytest.CaptureFixture[str]) -> None:
    with PtyInstrument(Behaviour({3: {0: 1}})) as line:
        assert edge_agent("scan", "--port", line.path, "--baud", "115200", "--units", "2-4", "--timeout", "60", "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        device = {"unit": 3, "how": "answered", "identification": {}, "profiles": []}
        assert shown == {"schema": "scan/1", "units": 3, "framing": "rtu", "found": [device]}
        assert edge_agent("scan", "--port", line.path, "--baud", "115200", "--units", "1", "--timeout", "60") == 1
        assert "None of 1 addresses answers" in capsys.readouterr().err


def text_at(address: int, text: str) -> dict[int, int]:
    """Registers that hold a text."""
    return {address + i: int.from_bytes(text[2 * i : 2 * i + 2].encode(), "big") for i in range((len(text) + 1) // 2)}


PROFILE = """
profile: 1
maker: Acme
model: {model}
title: {{zh: 仪表, en: instrument}}
source: ["Acme manual, page 1"]
verified: false
protocol: modbus
identify: {identify}
points: [{{id: value, table: holding, address: 5, type: u16}}]
"""


def test_scan_names_the_profile_that_fits_and_how_sure_that_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "acme").mkdir()
    texts = "{texts: {vendor: acme, product: M1}}"
    for model, identify in (("m1", texts), ("m2", "{registers: [{address: 90, value: 5, mask: 7}]}"), ("m3", "{")):
        (tmp_path / "acme" / f"{model}.yaml").write_text(PROFILE.format(model=model, identify=identify), encoding="utf-8")
    probe = {**text_at(0x0D00, "pH / Redox"), 0: 1}
    units = {10: probe, 11: {1000: 0x1234, 1001: 0x5678}, 246: {0: 1}, 4: {0: 1}, 5: {90: 13}, 6: {}}
    with PtyInstrument(Behaviour(units, texts={4: {0: "ACME Ltd", 1: "M1-b"}})) as line:
        arguments = ("scan", "--port", line.path, "--timeout", "30", "--profiles", str(tmp_path), "--units")
        assert edge_agent(*arguments, "10-11") == 0
        shown = capsys.readouterr()
        assert edge_agent(*arguments, "4-6,10-11,246", "--json") == 0
        functions = {pdu[0] for _, pdu in line.behaviour.asked}
    found = {device["unit"]: device["profiles"] for device in json.loads(capsys.readouterr().out)["found"]}
    assert {unit: [(fit["profile"], fit["confidence"]) for fit in fits] for unit, fits in found.items()} == {
        4: [("acme/m1", "sure")],
        5: [("acme/m2", "likely")],
        6: [],
        10: [("aqualabo/pheht", "sure")],
        11: [("bender/rcmb300", "likely")],
        246: [("vega/vegapuls", "perhaps")],
    }
    assert "likely bender/rcmb300" in shown.out
    assert 'holding 3328 says "pH / Red"' in shown.out
    assert "Not compared, because of errors in it: acme/m3" in shown.err
    assert functions == {3, 43}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), "USE012"),
        (("--port", "x", "--tcp", "y"), "USE012"),
        (("--port", "x", "--parity", "Q"), "USE013"),
        (("--tcp", "a b"), "USE014"),
        (("--tcp", "h:99999"), "USE014"),
        (("--tcp", "h", "--units", "1-300"), "USE011"),
    ],
)
def test_scan_refuses_what_it_does_not_understand(
    arguments: tuple[str, ...], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edge_agent("scan", *arguments) == 2
    assert code in capsys.readouterr().err


def test_units() -> None:
    assert parse_units("1-3,9,2") == [1, 2, 3, 9]
    for wrong in ("", "5-1", "a", "1,,2", "256"):
        with pytest.raises(ProblemError):
            parse_units(wrong)


def _hears_ctrl_c() -> None:
    """Who was started in the background by a shell ignores SIGINT, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_watch_reads_again_on_one_connection_until_it_is_interrupted(tmp_path: Path) -> None:
    """What is owed from a round before is remembered: the link and its master live over all rounds."""
    behaviour = Behaviour({1: {0: 2257, 1: 3}})
    with TcpInstrument(behaviour) as panel:
        command = [
            sys.executable,
            "-m",
            "edge_agent",
            "read",
            site(tmp_path, panel.port),
            "d",
            "--watch",
            "--every",
            "0.1",
            "--json",
        ]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hears_ctrl_c,  # noqa: PLW1509 - no threads at this point
        ) as program:
            assert program.stdout is not None
            rounds = [json.loads(program.stdout.readline())]
            behaviour.units[1][0] = 2300
            while rounds[-1]["readings"][0]["value"] != 230.0:
                rounds.append(json.loads(program.stdout.readline()))
            program.send_signal(signal.SIGINT)
            program.stdout.read()
            assert program.wait(10) == 130
    assert rounds[0]["readings"][0]["value"] == 225.7
    assert behaviour.connections == 1
