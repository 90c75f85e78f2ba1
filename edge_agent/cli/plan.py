"""Does I/O: `edge-agent plan` - what will be asked on each bus, what it costs, and what to change where it is too much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.output import AsJson, ProfileDirs, SiteFile, say, say_json, show_problems, table, talk
from edge_agent.common.problem import Exit

if TYPE_CHECKING:
    from edge_agent.common.problem import Problem
    from edge_agent.model.forecast import Asked, BusForecast
    from edge_agent.model.line_cost import Cost
    from edge_agent.model.points import Bus, Site


def register(app: typer.Typer) -> None:
    """Adds `plan`."""

    @app.command(epilog="Example: edge-agent plan site.yaml --requests")
    def plan(
        site: SiteFile,
        requests: Annotated[bool, typer.Option("--requests", help="List every request too.")] = False,
        profiles: ProfileDirs = None,
        as_json: AsJson = False,
    ) -> int:
        """Show how the buses will be read: requests, wire time, load, lateness; opens no port.

        Exit 1 if points cannot be read at their periods; then it says what to change.
        """
        from edge_agent.config.load import load_site

        loaded = load_site(site, profiles).site
        found = forecasts(loaded)
        problems = [problem for _, _, problem in found if problem is not None]
        if as_json:
            buses = [_as_dict(bus, each, problem) for bus, each, problem in found]
            say_json("plan/1", {"site": loaded.site, "gateway": loaded.gateway, "buses": buses})
            return Exit.PROBLEMS if problems else Exit.FINE
        say("\n\n".join(_text(bus, each, with_requests=requests) for bus, each, _ in found))
        if problems:
            talk("")
            show_problems(problems, as_json=False)
        else:
            talk(f"\nNext: edge-agent read {site}")
        return Exit.PROBLEMS if problems else Exit.FINE


def forecasts(site: Site) -> list[tuple[Bus, BusForecast, Problem | None]]:
    """Every bus with what it will do, and BUS120 where that is too much. Raises ProblemError with every BUS110 of the site."""
    from edge_agent.common.problem import ProblemError
    from edge_agent.io.adapter import adapter_lag_us
    from edge_agent.model.advice import overloaded
    from edge_agent.model.forecast import forecast
    from edge_agent.model.line_cost import cost_of

    found: list[tuple[Bus, BusForecast, Problem | None]] = []
    unreadable: list[Problem] = []
    for bus in site.buses:
        cost = cost_of(bus, adapter_lag_us(bus))
        try:
            each = forecast(bus, cost)
        except ProblemError:
            unreadable += _unreadable(bus, cost)
            continue
        found.append((bus, each, None if each.is_met else overloaded(bus, each, cost)))
    if unreadable:
        raise ProblemError(unreadable)
    return found


def _unreadable(bus: Bus, cost: Cost) -> list[Problem]:
    """BUS110 of each device of a bus that cannot be planned."""
    from edge_agent.common.problem import ProblemError
    from edge_agent.model.joint_plan import joint_plan

    problems: list[Problem] = []
    for device in bus.devices:
        try:
            joint_plan(device, cost)
        except ProblemError as error:
            problems += error.problems
    return problems


def _text(bus: Bus, found: BusForecast, *, with_requests: bool) -> str:
    from edge_agent.model.advice import spoken

    if not found.requests:
        return f"bus {found.id} has nothing to read   ({_line(bus)})"
    rows = [
        (
            device.id,
            str(len(device.asked)),
            f"{sum(each.wire_ms for each in device.asked):.0f} ms",
            f"{device.share:.1%}".replace("%", " %"),
            spoken(round(device.probe_interval_ms, -2)),
        )
        for device in found.devices
    ]
    lines = [
        f"{found.words}   ({_line(bus)})",
        f"requests {found.requests}, everything once takes {found.wire_ms / 1000:.2f} s; the fastest points are asked every"
        f" {spoken(found.asked_cycle_ms)} and come every {spoken(round(found.cycle_ms))}",
    ]
    if found.separate_share - found.share >= 0.005:
        saved = f"{found.separate_share - found.share:.1%}".replace("%", " %")
        lines.append(f"slow points ride along with fast ones: that frees {saved} of the bus")
    lines += ["", table(("device", "requests", "wire time", "busy", "asked while silent every"), rows)]
    if with_requests:
        asked = [(device.id, *_row(each)) for device in found.devices for each in device.asked]
        lines += ["", table(("device", "table", "addresses", "every", "wire time", "busy"), asked)]
    return "\n".join(lines)


def _row(asked: Asked) -> tuple[str, str, str, str, str]:
    from edge_agent.model.advice import spoken

    spans = asked.poll.spans()
    addresses = "; ".join(f"{span.address}-{span.end - 1}" if span.count > 1 else str(span.address) for _, span in spans)
    periods = "; ".join(spoken(asked.poll.period_ms * every) for every, _ in spans)
    return (
        spans[0][1].table,
        addresses,
        periods,
        f"{asked.wire_ms:.0f} ms",
        f"{asked.share:.1%}".replace("%", " %"),
    )


def _line(bus: Bus) -> str:
    from edge_agent.model.points import Serial

    link = bus.link
    if isinstance(link, Serial):
        return f"{link.port}, {link.baudrate} {link.bytesize}{link.parity}{link.stopbits}, {bus.framing}"
    return f"{link.host}:{link.port}, {bus.framing}"


def _as_dict(bus: Bus, found: BusForecast, problem: Problem | None) -> dict[str, object]:
    return {
        "id": found.id,
        "words": found.words,
        "busy_share": round(found.share, 4),
        "separate_busy_share": round(found.separate_share, 4),
        "requests": found.requests,
        "wire_ms": round(found.wire_ms, 1),
        "asked_cycle_ms": found.asked_cycle_ms,
        "cycle_ms": round(found.cycle_ms),
        "late_ms": found.late_ms,
        "late_point": found.late_point,
        "probe_budget": bus.probe_budget,
        "devices": [
            {
                "id": device.id,
                "busy_share": round(device.share, 4),
                "turnaround_ms": device.turnaround_ms,
                "probe_interval_ms": device.probe_interval_ms,
                "requests": [_request_as_dict(each) for each in device.asked],
            }
            for device in found.devices
        ],
        "problem": problem.as_dict() if problem is not None else None,
    }


def _request_as_dict(asked: Asked) -> dict[str, object]:
    whole = asked.poll.whole
    return {
        "table": whole.table,
        "period_ms": asked.poll.period_ms,
        "phase_ms": asked.poll.phase_ms,
        "wire_ms": round(asked.wire_ms, 2),
        "busy_share": round(asked.share, 5),
        "reads": [
            {"every": every, "first": span.address, "last": span.end - 1, "points": len(span.points)}
            for every, span in asked.poll.spans()
        ],
        "points": [point.id for point in whole.points],
    }
