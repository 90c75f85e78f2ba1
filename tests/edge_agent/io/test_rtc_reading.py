"""The RTC through files such as the kernel's, and this machine's own."""

from __future__ import annotations

from pathlib import Path

from edge_agent.delivery.clock import Memory
from edge_agent.delivery.rtc import RtcSeen
from edge_agent.io.clock_memory import MemoryFile
from edge_agent.io.rtc import KernelRtc


def rtc(folder: Path, name: str = "rtc0", **files: str) -> Path:
    (folder / name).mkdir(parents=True)
    for file, text in files.items():
        (folder / name / file).write_text(text)
    return folder


def test_time_and_battery_of_a_pi_5(tmp_path: Path) -> None:
    classes = rtc(tmp_path, hctosys="1\n", since_epoch="1790000000\n", battery_voltage="2950000\n")
    assert KernelRtc(classes, tmp_path / "dev").look() == RtcSeen(1_790_000_000_500, battery_uv=2_950_000)


def test_the_rtc_that_sets_the_clock_is_meant(tmp_path: Path) -> None:
    rtc(tmp_path, "rtc0", hctosys="0", since_epoch="5")
    classes = rtc(tmp_path, "rtc1", hctosys="1", since_epoch="1790000000")
    assert KernelRtc(classes, tmp_path / "dev").look() == RtcSeen(1_790_000_000_500)


def test_no_rtc_and_one_that_says_nothing(tmp_path: Path) -> None:
    assert KernelRtc(tmp_path, tmp_path).look() is None
    assert KernelRtc(rtc(tmp_path / "c", since_epoch="soon"), tmp_path).look() == RtcSeen()


def test_a_device_that_knows_no_flags_gives_none(tmp_path: Path) -> None:
    (tmp_path / "rtc0").write_bytes(b"")
    assert KernelRtc(rtc(tmp_path / "c", since_epoch="1"), tmp_path).look() == RtcSeen(1500)


def test_this_machines_rtc_can_be_looked_at() -> None:
    seen = KernelRtc().look()
    assert seen is None or isinstance(seen, RtcSeen)


def test_memory_survives_and_a_torn_or_foreign_file_is_none(tmp_path: Path) -> None:
    file = MemoryFile(tmp_path / "clock.json")
    assert file.read() == Memory()
    memory = Memory(5, "b", -7, rtc_lost=True, rtc_trouble=True)
    file.write(memory)
    assert file.read() == memory
    for content in (b"", (tmp_path / "clock.json").read_bytes()[:-4], b'{"last_ms":"x"}', b"\xff" * 9000):
        (tmp_path / "clock.json").write_bytes(content)
        assert file.read() == Memory()
    MemoryFile(tmp_path / "no" / "folder").write(memory)
