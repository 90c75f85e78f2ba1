"""Does I/O: `edge-agent scan` - searches a line or a gateway for devices."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_agent.cli.beside_agent import with_agent
from edge_agent.cli.output import AsJson, ProfileDirs, progress, say, say_json, show_problems, table, talk
from edge_agent.cli.scan_profiles import fits_of, known_profiles, named, why_of
from edge_agent.common.clock import SystemClock
from edge_agent.common.problem import Exit, Problem, ProblemError

if TYPE_CHECKING:
    from edge_agent.bus_visit import Found
    from edge_agent.config.identification import Fit
    from edge_agent.model.points import Bus
    from edge_agent.protocols.modbus import Span

_UNITS = re.compile(r"\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*")
_TCP = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(:(?P<port>\d{1,5}))?")
_PARITY: dict[str, Literal["N", "E", "O"]] = {"N": "N", "E": "E", "O": "O"}
_PROGRESS_S = 2.0


def register(app: typer.Typer) -> None:
    """Adds `scan`."""

    @app.command(epilog="Example: edge-agent scan --port /dev/ttyUSB0 --baud 9600 --units 1-32")
    def scan(
        port: Annotated[
            str, typer.Option(help="Serial port by path or `usb:SERIALNUMBER`, or pyserial URL such as rfc2217://host:port.")
        ] = "",
        tcp: Annotated[str, typer.Option(metavar="HOST[:PORT]", help="Modbus TCP instrument or gateway, port 502.")] = "",
        baud: Annotated[int, typer.Option(min=300, max=4_000_000, help="Speed of the line, bit/s.")] = 9600,
        parity: Annotated[str, typer.Option(metavar="N|E|O", help="Parity.")] = "N",
        stopbits: Annotated[int, typer.Option(min=1, max=2, help="Stop bits.")] = 1,
        rtu: Annotated[bool, typer.Option("--rtu-over-tcp", help="RTU frames on the TCP connection.")] = False,
        units: Annotated[str, typer.Option(metavar="LIST", help="Unit addresses, e.g. 1-32,40.")] = "1-247",
        ports: Annotated[
            bool, typer.Option("--ports", help="Only list this machine's serial ports with the names that last; none is opened.")
        ] = False,
        timeout: Annotated[int, typer.Option(min=20, max=10_000, help="How long a device may take to answer, ms.")] = 300,
        profiles: ProfileDirs = None,
        as_json: AsJson = False,
    ) -> int:
        """Search for Modbus devices by asking every unit address, and name profiles that fit. Nothing is written to any device."""
        if ports:
            from edge_agent.cli.scan_ports import list_ports
            from edge_agent.io.serial_ports import KernelPorts

            list_ports(KernelPorts().ports(), as_json=as_json)
            return Exit.FINE
        wanted = parse_units(units)
        bus = _bus(port, tcp, baud, parity, stopbits, timeout, over_tcp="rtu-over-tcp" if rtu else "tcp")
        from edge_agent.config.identification import registers_asked
        from edge_agent.protocols.modbus import Span

        known, broken = known_profiles(profiles or ())
        telling = [Span(asked.table, asked.first, asked.count) for asked in registers_asked(known)]
        searched, seen = _searched(bus, wanted, telling)
        found = [(f, fits_of(f, searched, known)) for f in seen]
        if as_json:
            units_found = [_as_dict(f, fits) for f, fits in found]
            say_json("scan/1", {"units": len(wanted), "framing": searched.framing, "found": units_found})
        else:
            _show(found, bus, searched, len(wanted))
            if broken:
                talk(f"Not compared, because of errors in it: {', '.join(broken)}. See `edge-agent profile list`.")
        return Exit.FINE if found else Exit.PROBLEMS


def parse_units(text: str) -> list[int]:
    """The addresses of `1-32,40`, each once, ascending. Raises ProblemError USE011."""
    numbers: set[int] = set()
    if _UNITS.fullmatch(text):
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
    if not numbers or max(numbers) > 255:
        do = "write addresses from 0 to 255, e.g. 1-32,40."
        raise ProblemError(Problem("USE011", "--units", f"{text!r} is no list of unit addresses.", do))
    return sorted(numbers)


def _bus(
    port: str, tcp: str, baud: int, parity: str, stopbits: int, timeout_ms: int, over_tcp: Literal["tcp", "rtu-over-tcp"]
) -> Bus:
    from edge_agent.model.points import Bus, Device, Serial, Tcp

    if bool(port) == bool(tcp):
        raise ProblemError(Problem("USE012", "edge-agent scan", "Say what to search.", "give either --port or --tcp."))
    timed = (Device("any", 0, (), timeout_ms=timeout_ms),)
    if port:
        if parity.upper() not in _PARITY:
            raise ProblemError(Problem("USE013", "--parity", f"{parity!r} is no parity.", "write N, E or O."))
        line = Serial(port, baud, _PARITY[parity.upper()], 2 if stopbits == 2 else 1)
        return Bus(port, line, "rtu", timed)
    match = _TCP.fullmatch(tcp)
    number = int(match["port"] or 502) if match else 0
    if match is None or not 0 < number < 65536:
        raise ProblemError(Problem("USE014", "--tcp", f"{tcp!r} is no address.", "write HOST or HOST:PORT."))
    return Bus(tcp, Tcp(match["host"].strip("[]"), number), over_tcp, timed)


def _searched(bus: Bus, units: list[int], telling: list[Span]) -> tuple[Bus, list[Found]]:
    """What is found. A gateway that says nothing at all is asked in the other framing too; gives the bus as it answered."""
    from edge_agent.bus_framing import SPOKEN, other_framing
    from edge_agent.bus_visit import scan as search

    other = other_framing(bus)
    wrong: ProblemError | None = None
    try:
        found = search(bus, units, SystemClock(), _Progress(), telling)
    except ProblemError as error:  # one that is asked in the wrong framing may just hang up
        found, wrong = [], ProblemError(with_agent(error.problems, bus))
    if not found and other is not None:
        if wrong is None:
            talk(f"Nothing answers in {SPOKEN[bus.framing]}; now in {SPOKEN[other]}.")
        changed = replace(bus, framing=other)
        with suppress(ProblemError):
            found = search(changed, units, SystemClock(), _Progress(), telling)
        if found:
            return changed, found
    if wrong is not None:
        raise wrong
    return bus, found


class _Progress:
    """A line now and then, with what is left."""

    def __init__(self) -> None:
        self._begun_s = self._told_s = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now_s = time.monotonic()
        if done and done < total and now_s - self._told_s >= _PROGRESS_S:
            self._told_s = now_s
            left_s = (now_s - self._begun_s) * (total - done) / done
            progress(f"{done} of {total} addresses, about {left_s:.0f} s left")


def _show(found: list[tuple[Found, tuple[Fit, ...]]], bus: Bus, searched: Bus, asked: int) -> None:
    rows = [
        (str(f.unit), f.how, " ".join(text for _, text in sorted(f.identification.items())), named(fits), why_of(fits))
        for f, fits in found
    ]
    if rows:
        say(table(("unit", "answer", "identification", "profile", "because"), rows))
        if any(fits and fits[0].confidence != "sure" for _, fits in found):
            talk("\nlikely: its registers look so. perhaps: only address and speed fit. Compare two values with the display first.")
        if searched.framing != bus.framing:
            from edge_agent.bus_problems import framing_problem

            show_problems([framing_problem(bus, f'bus "{bus.id}"', searched.framing)], as_json=False)
        talk("\nNext: write the devices into the site file, then `edge-agent check site.yaml`.")
        return
    causes = "A and B exchanged, no power, another speed or parity"
    do = "try another --baud or --parity."
    if searched.framing not in ("rtu", "ascii"):
        causes = "another program holds the gateway's only connection, no power, another speed or parity behind the gateway"
        do = "end other programs that use the gateway, then look at its page for speed and parity."
    silence = Problem(
        "BUS102", f'bus "{bus.id}"', f"None of {asked} addresses answers.", do, f"causes, the likely ones first: {causes}."
    )
    (told,) = with_agent([silence], bus)
    talk(f"{told.what} {told.detail[:1].upper()}{told.detail[1:]}")
    talk(f"\nNext: {told.do}")


def _as_dict(found: Found, fits: tuple[Fit, ...]) -> dict[str, object]:
    return {
        "unit": found.unit,
        "how": found.how,
        "identification": {str(k): v for k, v in found.identification.items()},
        "profiles": [{"profile": fit.profile, "confidence": fit.confidence, "because": fit.why} for fit in fits],
    }
