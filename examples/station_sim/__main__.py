"""Does I/O: starts the simulated stations of a script and carries out its faults.

    python -m examples.station_sim examples/demo/stations.yaml --run-dir DIR [--broker HOST:PORT]

Writes DIR/ports.json when everything listens, prints one JSON line per fault as it begins and ends, obeys lines on standard
input (`{"station": "shiquan", "fault": "pump-dry", "on": true}`), writes its journals and ends on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import yaml

from examples.station_sim.station import Station, load_record, now_ms


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="station_sim", description="Simulated water stations on real transports.")
    parser.add_argument("script", type=Path, help="YAML: stations with seed and first row, record, faults with at/for seconds")
    parser.add_argument("--run-dir", type=Path, required=True, help="where ports.json, pty links and journals go")
    parser.add_argument("--broker", help="host:port that the stations' link relays lead to")
    parser.add_argument("--hold", action="store_true", help="begin the script's faults only after a line `go` on standard input")
    return parser.parse_args()


def say(**fields: object) -> None:
    """One JSON line on standard output."""
    print(json.dumps(fields), flush=True)


async def _fault(station: Station, fault: str, on: bool) -> None:
    try:
        await station.do(fault, on)
        say(t=now_ms(), station=station.name, fault=fault, on=on)
    except ValueError as error:
        say(t=now_ms(), error=str(error))


async def _scripted(station: Station, entry: dict[str, Any], go: asyncio.Event) -> None:
    await go.wait()
    await asyncio.sleep(float(entry["at"]))
    await _fault(station, entry["fault"], True)
    if "for" in entry:
        await asyncio.sleep(float(entry["for"]))
        await _fault(station, entry["fault"], False)


def _obey(stations: dict[str, Station], go: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    """Runs on a thread of its own: standard input may be a terminal, a pipe or nothing at all."""
    for line in sys.stdin:
        if line.strip() == "go":
            loop.call_soon_threadsafe(go.set)
        elif line.strip():
            order = json.loads(line)
            fault = _fault(stations[order["station"]], order["fault"], bool(order["on"]))
            asyncio.run_coroutine_threadsafe(fault, loop)


async def _run(arguments: argparse.Namespace) -> None:
    script = yaml.safe_load(arguments.script.read_text(encoding="utf-8"))
    record = load_record(arguments.script.parent / script["record"])
    broker = None
    if arguments.broker:
        host, _, port = arguments.broker.rpartition(":")
        broker = (host, int(port))
    stations = {s["name"]: Station(s["name"], s["seed"], record, s["first_row"], arguments.run_dir) for s in script["stations"]}
    stop, go = asyncio.Event(), asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    for station in stations.values():
        await station.start(broker)
    ports = {name: station.ports for name, station in stations.items()}
    temporary = arguments.run_dir / "ports.json.new"
    temporary.write_text(json.dumps(ports, indent=2), encoding="utf-8")
    temporary.replace(arguments.run_dir / "ports.json")
    if not arguments.hold:
        go.set()
    tasks = [asyncio.create_task(s.live()) for s in stations.values()]
    tasks += [asyncio.create_task(_scripted(stations[f["station"]], f, go)) for f in script.get("faults", [])]
    ear = threading.Thread(target=_obey, args=(stations, go, asyncio.get_running_loop()), daemon=True)
    ear.start()
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for station in stations.values():
        await station.stop()


def main() -> None:
    """The command."""
    asyncio.run(_run(_arguments()))


if __name__ == "__main__":
    main()
