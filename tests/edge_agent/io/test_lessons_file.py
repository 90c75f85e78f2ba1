"""What was learned of devices: over a restart, a kill, a damage, a change of device, a medium that refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.io.lessons_file import NAME, LessonsFigures, LessonsFile
from edge_agent.model.lessons import Hole, Lessons, LessonsOf, Refusal
from edge_agent.model.points import Bus, Device, Serial

DEVICE = Device("meter", 3, (), profile="acme/m", profile_version="2", nameplate={"firmware": "1.0"})
BUSES = (Bus("b1", Serial("/dev/ttyS0"), "rtu", (DEVICE, replace(DEVICE, id="other", unit=4))),)
KNOWN = Lessons("acme 1.0", (Hole("holding", 5, 8), Hole("input", 9, 9)), (Refusal("flow", "holding", 20, 2),))
LEARNED: dict[str, LessonsOf] = {"b1": {"meter": KNOWN}}
MORE: dict[str, LessonsOf] = {"b1": {"meter": KNOWN.with_hole(Hole("coil", 1, 2))}}


def kept(folder: Path) -> LessonsFile:
    file = LessonsFile(folder)
    file.read()
    file.keep(BUSES, LEARNED, 0)
    return file


def read(folder: Path, buses: tuple[Bus, ...] = BUSES) -> dict[str, LessonsOf]:
    file = LessonsFile(folder)
    assert file.read() == ""
    return file.of(buses)


def test_what_was_learned_is_there_after_a_restart(tmp_path: Path) -> None:
    assert read(tmp_path) == {"b1": {}}
    assert kept(tmp_path).figures == LessonsFigures(1)
    assert read(tmp_path) == {"b1": {"meter": KNOWN}}
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize(
    "changed",
    [
        replace(DEVICE, profile="acme/n"),
        replace(DEVICE, profile_version="3"),
        replace(DEVICE, unit=5),
        replace(DEVICE, nameplate={"firmware": "1.1"}),
        replace(DEVICE, id="another"),
    ],
)
def test_of_another_device_nothing_is_known(tmp_path: Path, changed: Device) -> None:
    kept(tmp_path)
    assert read(tmp_path, (replace(BUSES[0], devices=(changed,)),)) == {"b1": {}}


def test_the_file_is_written_once_a_minute_at_most_and_only_for_news(tmp_path: Path) -> None:
    file = kept(tmp_path)
    first = (tmp_path / NAME).stat().st_ino
    file.keep(BUSES, LEARNED, 61_000)
    assert (tmp_path / NAME).stat().st_ino == first
    file.keep(BUSES, MORE, 100_000)
    assert read(tmp_path) == LEARNED
    file.keep(BUSES, MORE, 121_000)
    assert read(tmp_path) == MORE
    file.keep(BUSES, {}, 122_000)
    file.save()
    assert read(tmp_path) == {"b1": {}}


def test_a_damaged_file_is_set_aside_and_counted_and_nothing_of_it_is_believed(tmp_path: Path) -> None:
    kept(tmp_path)
    path = tmp_path / NAME
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(len(whole))]
    damaged += [whole[:at] + bytes((whole[at] ^ 1 << at % 8,)) + whole[at + 1 :] for at in range(len(whole))]
    for content in damaged:
        path.write_bytes(content)
        file = LessonsFile(tmp_path)
        aside = file.read()
        if not aside:  # a capital letter in the checksum says the same
            assert content.lower() == whole
            continue
        assert (file.of(BUSES), file.figures.damaged) == ({"b1": {}}, 1)
        assert Path(aside).read_bytes() == content
        file.keep(BUSES, LEARNED, 0)
        assert path.read_bytes() == whole
        Path(aside).unlink()


@pytest.mark.parametrize(
    "body",
    [
        b'{"version":2,"devices":{}}',
        b'{"version":1,"devices":{"b1/meter":{"who":"x","lessons":{"holes":[{"table":"holding","first":9,"end":8}]}}}}',
        b'{"version":1,"devices":{"b1/meter":{"who":"x","lessons":{"holes":[{"table":"holding","first":9,"end":70000}]}}}}',
        b'{"version":1,"devices":{"b1/meter":{"who":"x","lessons":{"holes":[{"table":"eeprom","first":1,"end":2}]}}}}',
        b"[]",
    ],
)
def test_a_whole_file_that_is_not_ours_is_set_aside(tmp_path: Path, body: bytes) -> None:
    import zlib

    (tmp_path / NAME).write_bytes(b"%08x\n" % zlib.crc32(body) + body)
    assert LessonsFile(tmp_path).read().endswith(f"{NAME}.damaged-1")


@pytest.mark.parametrize(("hazard", "expected"), [("lessons.rename.before", LEARNED), ("lessons.rename.after", MORE)])
def test_a_kill_between_write_and_rename_costs_the_news_alone(tmp_path: Path, hazard: str, expected: dict[str, LessonsOf]) -> None:
    kept(tmp_path)
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from edge_agent.common import hazard\n"
        "from tests.edge_agent.io.test_lessons_file import BUSES, MORE, LessonsFile\n"
        "hazard.strike = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == sys.argv[2] else None\n"
        "file = LessonsFile(Path(sys.argv[1]))\n"
        "file.read()\n"
        "file.keep(BUSES, MORE, 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path), hazard], check=False, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert read(tmp_path) == expected
    file = LessonsFile(tmp_path)
    file.read()
    file.keep(BUSES, MORE, 0)
    assert read(tmp_path) == MORE
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_medium_that_refuses_is_told_and_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    file = LessonsFile(folder)
    assert file.read() == ""
    file.keep(BUSES, LEARNED, 0)
    assert file.figures == LessonsFigures(1, 0, "No such file or directory")
    folder.mkdir()
    file.keep(BUSES, LEARNED, 60_000)
    assert file.figures == LessonsFigures(1)
    assert read(folder) == LEARNED
