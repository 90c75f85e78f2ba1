"""The simulated stations: their codec, their physics, and what a master sees on each transport."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from examples.demo.account import check_readings, check_warnings, unmatched
from examples.station_sim.modbus import RtuRequests, TcpRequests, answer, crc16, rtu_frame, tcp_frame
from examples.station_sim.station import Station, load_record
from examples.station_sim.water import Water

# A connection that is accepted in the very turn in which its server closes is dropped by asyncio with a warning (3.11).
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

RECORD = Path(__file__).parents[2] / "examples" / "demo" / "record" / "next-day.csv.gz"


def request(unit: int, function: int, address: int, count: int) -> bytes:
    return rtu_frame(unit, bytes((function,)) + address.to_bytes(2, "big") + count.to_bytes(2, "big"))


def test_crc_of_the_standard() -> None:
    assert crc16(b"123456789") == bytes.fromhex("374b")


@given(st.lists(st.tuples(st.integers(1, 247), st.integers(0, 65535), st.integers(1, 125)), max_size=4), st.data())
def test_any_chunking_finds_the_same_requests(wanted: list[tuple[int, int, int]], data: Any) -> None:
    stream = b"".join(request(unit, 3, address, count) for unit, address, count in wanted)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    requests, found = RtuRequests(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += requests.feed(stream[start:end])
    assert [unit for unit, _, _ in found] == [unit for unit, _, _ in wanted]


@given(st.integers(0, 7), st.integers(1, 255))
def test_a_damaged_request_is_none(position: int, flip: int) -> None:
    frame = bytearray(request(1, 3, 0, 10))
    frame[position] ^= flip
    assert RtuRequests().feed(bytes(frame)) == []


def test_answers_and_exceptions() -> None:
    def read(function: int, address: int, count: int) -> list[int] | int:
        return list(range(count)) if address < 100 else 2

    assert answer(bytes.fromhex("0300000002"), read) == bytes.fromhex("030400000001")
    assert answer(bytes.fromhex("0100000003"), lambda f, a, c: [1, 0, 1]) == bytes.fromhex("010105")
    assert answer(bytes.fromhex("0300640001"), read) == bytes.fromhex("8302")
    assert answer(bytes.fromhex("030000007e"), read) == bytes.fromhex("8303")
    assert answer(bytes.fromhex("0600000001"), read) == bytes.fromhex("8601")


def test_tcp_requests_in_pieces() -> None:
    frame = tcp_frame(7, 1, bytes.fromhex("0300000001"))
    requests = TcpRequests()
    assert requests.feed(frame[:5]) == []
    assert requests.feed(frame[5:] + frame) == [(7, 1, frame[7:]), (7, 1, frame[7:])]
    with pytest.raises(ValueError, match="no Modbus"):
        TcpRequests().feed(b"GET / HTTP/1.1")


def settled(water: Water, seconds: float = 30.0) -> Water:
    for _ in range(int(seconds * 10)):
        water.step(0.1)
    return water


def test_a_dry_pump_loses_flow_and_pressure_and_takes_less_current() -> None:
    normal, dry = settled(Water(random.Random(1))), Water(random.Random(1))
    dry.dry = True
    settled(dry)
    assert normal.flow_m3_h > 35
    assert dry.flow_m3_h < 0.5
    assert 0.3 < dry.current_a / normal.current_a < 0.6
    assert dry.outlet_pressure_mpa < 0.1 < normal.outlet_pressure_mpa
    dry.dry = False
    assert settled(dry).flow_m3_h == pytest.approx(normal.flow_m3_h, rel=0.01)


def test_the_tank_fills_and_the_pump_stops_and_starts_by_its_level() -> None:
    water = Water(random.Random(1), level_m=3.39)
    before = water.starts
    for _ in range(3600):
        water.step(2.0)
    assert not water.running or water.starts > before
    stopped = Water(random.Random(1), running=False, level_m=2.4)
    settled(stopped)
    assert stopped.flow_m3_h < 0.1
    assert stopped.current_a < 0.05


class Host:
    """One station on a loop of its own."""

    def __init__(self, run_dir: Path) -> None:
        self.station = Station("shiquan", 1, load_record(RECORD), 0, run_dir)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.call(self.station.start(("127.0.0.1", 9)))

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def stop(self) -> None:
        async def rest() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*others, return_exceptions=True)
            for _ in range(20):  # what was closed is let go of in the next turns of the loop
                await asyncio.sleep(0.005)
            await self.loop.shutdown_asyncgens()

        self.call(self.station.stop())
        self.call(rest())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.stop()


def tcp_read(port: int, address: int, count: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(tcp_frame(9, 1, bytes((3,)) + address.to_bytes(2, "big") + count.to_bytes(2, "big")))
        return link.recv(300)


def test_the_panel_counts_the_reads_of_its_counter_and_no_others(host: Host) -> None:
    port = int(host.station.ports["panel"])
    replies = [tcp_read(port, 20, 2), tcp_read(port, 0, 4), tcp_read(port, 0, 24), tcp_read(port, 21, 1), tcp_read(port, 20, 2)]
    assert replies[0][9:] == (1).to_bytes(4, "big")
    assert replies[2][9 + 40 : 9 + 44] == (2).to_bytes(4, "big")
    assert replies[4][9:] == (3).to_bytes(4, "big")


def test_the_line_answers_on_pty_and_rfc2217_alike_and_takes_its_time(host: Host) -> None:
    frame = request(1, 4, 0, 36)
    replies = []
    for url in (host.station.ports["pty"], f"rfc2217://127.0.0.1:{host.station.ports['rfc2217']}"):
        with serial.serial_for_url(url, baudrate=9600, timeout=3) as port:
            began = time.monotonic()
            port.write(frame)
            replies.append(port.read(5 + 72))
            assert time.monotonic() - began >= (len(frame) + 77) * 10 / 9600
    assert len(replies[0]) == 77
    assert replies[0] == replies[1]


@pytest.mark.parametrize("wrong", [{"baudrate": 19200}, {"parity": "E"}])
def test_wrong_settings_are_heard_by_nobody(host: Host, wrong: dict[str, Any]) -> None:
    url = f"rfc2217://127.0.0.1:{host.station.ports['rfc2217']}"
    with serial.serial_for_url(url, timeout=0.3, **{"baudrate": 9600, **wrong}) as port:
        port.write(request(2, 3, 0x3000, 4))
        assert port.read(1) == b""
    assert host.station.line.garbled


def test_a_silent_instrument_and_a_cut_link(host: Host) -> None:
    host.call(host.station.do("silent:level", True))
    with serial.Serial(str(host.station.ports["pty"]), 9600, timeout=0.3) as port:
        port.write(request(3, 3, 4, 1))
        assert port.read(1) == b""
        host.call(host.station.do("silent:level", False))
        port.write(request(3, 3, 4, 1))
        assert len(port.read(7)) == 7
    relay = ("127.0.0.1", int(host.station.ports["broker"]))
    socket.create_connection(relay, timeout=2).close()
    host.call(host.station.do("link-cut", True))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(relay, timeout=2)
    host.call(host.station.do("link-cut", False))
    socket.create_connection(relay, timeout=2).close()
    with pytest.raises(ValueError, match="no fault"):
        host.call(host.station.do("flood", True))


def test_the_journal_holds_what_was_served(host: Host, tmp_path: Path) -> None:
    tcp_read(int(host.station.ports["panel"]), 0, 2)
    host.station.write_journal()
    (line,) = (tmp_path / "shiquan-panel.jsonl").read_text().splitlines()
    _, function, address, words = json.loads(line)
    assert (function, address, len(words)) == (3, 0, 2)


def test_the_account_finds_a_lost_a_doubled_and_a_wrong_reading() -> None:
    key, rows = ("a", "d", "p"), [(1, 5.0), (2, 6.0), (3, 7.0)]
    assert check_readings({key: 3}, {key: rows}, {key: [5.0, 6.0, 7.0]}, {}).errors == []
    assert check_readings({key: 4}, {key: rows}, {key: [5.0, 6.0, 7.0]}, {}).errors
    assert check_readings({key: 4}, {key: [*rows, (3, 7.0)]}, {key: [5.0, 6.0, 7.0, 7.0]}, {}).errors
    assert check_readings({key: 3}, {key: rows}, {key: [5.0, 6.5, 7.0]}, {}).errors
    assert check_readings({key: 3}, {key: rows}, {key: [5.0, 6.0, 6.5, 6.6, 7.0]}, {}).errors
    assert check_readings({key: 3}, {key: rows}, {key: [5.0, 6.0, 6.5, 6.6, 7.0]}, {"a": 1}).errors == []
    assert check_readings({key: 3}, {key: rows}, {key: [5.0, 6.0, 7.0, 8.0]}, {}).errors == []
    assert check_readings({key: 3}, {key: rows}, {key: [5.0, 6.0, 6.0, 6.0, 6.0, 7.0]}, {}).errors
    assert check_readings({key: 3}, {key: rows}, {key: [5.0, 6.0, 6.0, 6.0, 6.0, 7.0]}, {}, {key: 2}).errors == []
    assert check_readings({key: 3}, {key: rows}, {key: [5.0, 6.0, 7.0, 7.0, 7.0, 7.0, 7.0]}, {}, {key: 2}).errors, "more than that"
    assert unmatched([1, 2], [2, 1]) is None


def test_warnings_are_compared_one_by_one() -> None:
    dry = {"site": "a", "rule": "pump-dry-run", "subject": "gw-1/drive", "state": "raised", "over": True}
    assert check_warnings([dry], [dry]) == []
    assert len(check_warnings([dry], [dry, dry])) == 1
    assert len(check_warnings([dry], [{**dry, "over": False}])) == 2
