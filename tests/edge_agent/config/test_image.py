"""The image of a gateway: golden files for one board, HAT and adapter, and every conflict refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.common.problem import ProblemError
from edge_agent.config.firmware_file import Adapter, Board, Hat, load_piece
from edge_agent.config.image import BoundAdapter, Wanted, render
from edge_agent.model.points import Broker, Bus, Serial, Site
from tests.support.golden import assert_golden

ROOT = Path(__file__).parents[3]
FIRMWARE = ROOT / "firmware_configs"
GOLDEN = ROOT / "tests" / "golden" / "image"
UNITS = {str(p.relative_to(ROOT / "systemd")): p.read_text() for p in (ROOT / "systemd").rglob("*") if p.is_file()}
CMDLINE = "console=serial0,115200 console=tty1 root=PARTUUID=1234-02 rootfstype=ext4 fsck.repair=yes rootwait\n"


def site(*buses: Serial) -> Site:
    made = tuple(Bus(f"rs485-{n}", serial, "rtu", ()) for n, serial in enumerate(buses, 1))
    return Site("shiquan", "gw-1", (Broker("127.0.0.1"),), made)


def wanted(**changes: object) -> Wanted:
    fields: dict[str, object] = {
        "board": load_piece(FIRMWARE, Board, "raspberry-pi-4"),
        "site": site(Serial("/dev/ttyAMA0"), Serial("/dev/edge-rs485-2")),
        "hat": load_piece(FIRMWARE, Hat, "waveshare-rs485-can"),
        "adapters": (BoundAdapter("rs485-2", load_piece(FIRMWARE, Adapter, "ftdi-ft232r"), "A50285BI"),),
        "cmdline": CMDLINE,
    }
    return Wanted(**{**fields, **changes})  # type: ignore[arg-type]


def codes(problem: pytest.ExceptionInfo[ProblemError]) -> list[str]:
    return [p.code for p in problem.value.problems]


def test_the_files_are_the_golden_ones() -> None:
    files = render(wanted(), UNITS)
    own = {path: text for path, text in files.items() if Path(path).name not in UNITS and "usr/lib" not in path}
    for path, text in own.items():
        assert_golden(GOLDEN / path, text)
    assert {str(p.relative_to(GOLDEN)) for p in GOLDEN.rglob("*") if p.is_file()} == set(own)
    assert files["etc/systemd/system/edge-agent.service"] == UNITS["edge-agent.service"]


def test_the_console_goes_from_the_busses_uart_and_tty1_stays() -> None:
    words = render(wanted(), UNITS)["boot/firmware/cmdline.txt"].split()
    assert "console=tty1" in words
    assert not [word for word in words if word.startswith("console=serial0")]


def test_an_adapter_named_by_its_serial_number_needs_nothing_of_the_image() -> None:
    render(wanted(site=site(Serial("/dev/ttyAMA0"), Serial("/dev/edge-rs485-2"), Serial("usb:A50285BI"))), UNITS)
    with pytest.raises(ProblemError) as problem:
        render(wanted(site=site(Serial("/dev/ttyUSB0"))), UNITS)
    assert codes(problem) == ["CFG107"]


def test_a_console_on_the_uart_of_a_bus_is_refused() -> None:
    with pytest.raises(ProblemError) as problem:
        render(wanted(console="serial0"), UNITS)
    assert codes(problem) == ["CFG101"]


def test_parity_on_the_mini_uart_is_refused() -> None:
    with pytest.raises(ProblemError) as problem:
        render(wanted(site=site(Serial("/dev/ttyS0", parity="E"))), UNITS)
    assert codes(problem) == ["CFG102"]


def test_a_command_line_of_two_lines_is_refused() -> None:
    with pytest.raises(ProblemError) as problem:
        render(wanted(cmdline=CMDLINE + "quiet\n"), UNITS)
    assert codes(problem) == ["CFG103"]


def test_a_bus_that_nothing_provides_is_refused_and_told_what_there_is() -> None:
    with pytest.raises(ProblemError) as problem:
        render(wanted(adapters=()), UNITS)
    assert codes(problem) == ["CFG107"]
    assert "/dev/ttyAMA0" in problem.value.problems[0].do


def test_all_conflicts_come_at_once() -> None:
    with pytest.raises(ProblemError) as problem:
        render(wanted(console="ttyAMA0", choices={"crystal": "9"}, adapters=()), UNITS)
    assert codes(problem) == ["CFG106", "CFG101", "CFG107"]


def test_the_crystal_is_a_choice() -> None:
    assert "oscillator=8000000," in render(wanted(choices={"crystal": "8000000"}), UNITS)["boot/firmware/config.txt.add"]


def test_an_unknown_board_is_answered_with_all_there_are_and_none_is_suggested() -> None:
    with pytest.raises(ProblemError) as problem:
        load_piece(FIRMWARE, Board, "raspberry-pi-5")
    boards = ", ".join(sorted(path.stem for path in (FIRMWARE / "boards").glob("*.yaml")))
    assert problem.value.problems[0].do == f"choose one of: {boards}; what is made for another board may not boot."


def test_every_file_of_the_folder_loads() -> None:
    for shelf, kind in (("boards", Board), ("hats", Hat), ("adapters", Adapter)):
        files = sorted((FIRMWARE / shelf).glob("*.yaml"))
        assert files
        for file in files:
            assert load_piece(FIRMWARE, kind, file.stem).id == file.stem  # type: ignore[type-var]


def test_the_watchdog_stays_below_what_the_hardware_can() -> None:
    for file in (FIRMWARE / "boards").glob("*.yaml"):
        watchdog = load_piece(FIRMWARE, Board, file.stem).watchdog
        assert watchdog is None or watchdog.runtime_s < watchdog.longest_s
