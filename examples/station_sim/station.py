"""Does I/O: one simulated station - its water, its instruments, its transports, and what can be made to fail in it."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import random
import time
from collections.abc import Mapping
from pathlib import Path

from examples.station_sim import instruments as inst
from examples.station_sim.line import Line, LineSettings, PtyMaster, serve_rfc2217
from examples.station_sim.tcp import Guests, Relay, serve_modbus_tcp
from examples.station_sim.water import Water

METER, DRIVE, LEVEL = 1, 2, 3
"""Unit addresses on the line."""
STEP_S = 0.1


def now_ms() -> int:
    """ms UTC."""
    return time.time_ns() // 1_000_000


def load_record(path: Path) -> list[dict[str, float]]:
    """Rows of a station's record, one a minute; an empty cell keeps the last value."""
    rows: list[dict[str, float]] = []
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            last = rows[-1] if rows else {}
            cells = {k: v for k, v in row.items() if k not in ("time", "event")}
            rows.append({k: float(v) if v not in ("", None) else last.get(k, 0.0) for k, v in cells.items()})
    return rows


class Station:
    """One station. `ports` says how to reach it after `start`."""

    def __init__(self, name: str, seed: int, record: list[dict[str, float]], first_row: int, run_dir: Path) -> None:
        self.name = name
        self.run_dir = run_dir
        self._record, self._first_row, self._began = record, first_row, time.monotonic()
        self.water = Water(random.Random(seed))
        self.panel = inst.panel(self.water, self._row)
        on_line = [inst.energy_meter(self.water, METER), inst.pump_drive(self.water, DRIVE), inst.level_probe(self.water, LEVEL)]
        self.line = Line(LineSettings(), on_line, now_ms)
        self.instruments = {i.name: i for i in (self.panel, *on_line)}
        self.ports: dict[str, str | int] = {}
        self._pty: PtyMaster | None = None
        self._servers: list[asyncio.Server] = []
        self._guests: Guests = set()
        self._relay: Relay | None = None

    def _row(self) -> Mapping[str, float]:
        minute = int((time.monotonic() - self._began) / 60.0)
        return self._record[(self._first_row + minute) % len(self._record)]

    async def start(self, broker: tuple[str, int] | None) -> None:
        """Opens every transport on loopback, and a relay to the broker where one is given."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self._pty = PtyMaster(self.line, str(self.run_dir / f"{self.name}-rs485"))
        self._pty.start()
        self._servers.append(await serve_rfc2217(self.line, "127.0.0.1", 0, self._guests))
        self.ports |= {"pty": self._pty.path, "rfc2217": self._servers[-1].sockets[0].getsockname()[1]}
        self._servers.append(await serve_modbus_tcp(self.panel, "127.0.0.1", 0, now_ms, self._guests))
        self.ports["panel"] = self._servers[-1].sockets[0].getsockname()[1]
        if broker is not None:
            self._relay = Relay(broker)
            await self._relay.start()
            self.ports["broker"] = self._relay.port

    async def live(self) -> None:
        """Lets the water run for ever."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(STEP_S)
            now = time.monotonic()
            self.water.step(min(now - last, 5.0))
            last = now

    async def do(self, fault: str, on: bool) -> None:
        """`pump-dry`, `silent:<instrument>`, `link-cut`, `port-gone`; begins (on) or ends. Raises ValueError for another."""
        if fault == "pump-dry":
            self.water.dry = on
        elif fault.startswith("silent:") and fault[7:] in self.instruments:
            self.instruments[fault[7:]].silent = on
        elif fault == "link-cut" and self._relay is not None:
            await (self._relay.cut() if on else self._relay.restore())
        elif fault == "port-gone" and self._pty is not None:
            if on:
                self._pty.close()
            else:
                self._pty = PtyMaster(self.line, str(self.run_dir / f"{self.name}-rs485"))
                self._pty.start()
        else:
            raise ValueError(f"station {self.name} has no fault {fault!r}")

    def write_journal(self) -> None:
        """What was served, instrument by instrument, one JSON line each read: the account's other side."""
        for instrument in self.instruments.values():
            with (self.run_dir / f"{self.name}-{instrument.name}.jsonl").open("w", encoding="utf-8") as file:
                for served in instrument.journal:
                    file.write(json.dumps([served.at_ms, served.function, served.address, served.words]) + "\n")

    async def stop(self) -> None:
        """Closes every transport and writes the journal."""
        if self._relay is not None:
            await self._relay.cut()
        for server in self._servers:
            server.close()
        for guest in list(self._guests):
            guest.close()
        if self._pty is not None:
            self._pty.close()
        self.write_journal()
