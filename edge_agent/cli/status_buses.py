"""Pure. Ports, devices and points in `edge-agent status`: state, since when, why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_agent.common.words import counted
from edge_agent.model.link_health import LINK_POINTS

Span = Callable[[int], str]
_POINTS_SHOWN = 20


def bus_lines(body: Mapping[str, Any], span: Span) -> list[str]:
    """A line for each port and each device, and one for each point that is not as it should be."""
    taken: dict[str, int] = {}
    for row in body["series"]:
        taken[row["device"]] = taken.get(row["device"], 0) + (0 if row["point"] in LINK_POINTS else row["taken"])
    lines, points = [], []
    for id, bus in body["buses"].items():
        since = _since(bus, body, span)
        busy = f", busy {100 * bus.get('busy_share', 0.0):.0f} %" if bus.get("state") == "ok" else _because(bus)
        plan = _plan(bus) if bus.get("state") == "ok" else ""
        port = "".join(f", {bus[key]}" for key in ("port", "note") if bus.get(key) and bus.get("state") == "ok")
        lines.append(f"bus      {id}: {bus.get('state', '')}{since}{busy}{plan}{port}")
        for device in bus.get("devices", ()):
            lines.append(
                f"device   {device['id']}: {_device(device, body, span)}, {counted(taken.get(device['id'], 0), 'reading')}"
            )
            if device["state"] != "silent":
                points += [_point(device["id"], point, body, span) for point in device["points"] if _is_worth_a_line(point)]
    more = [f"point    ... and {len(points) - _POINTS_SHOWN} more, see --json"] if len(points) > _POINTS_SHOWN else []
    return [*(lines or ["buses    none"]), *points[:_POINTS_SHOWN], *more]


def _plan(bus: Mapping[str, Any]) -> str:
    """What was measured, and in brackets what the plan said (docs/plan.md)."""
    measured, planned = bus.get("measured"), bus.get("planned")
    if not measured or not planned:
        return ""
    text = f" (plan: {100 * planned['busy_share']:.0f} %)"
    if measured["cycle_ms"] is not None:
        text += f", fastest points every {measured['cycle_ms'] / 1000:.2g} s (plan: {planned['cycle_ms'] / 1000:.2g} s)"
    late = [f"{figures['late_ms'] / 1000:.1f} s" for figures in (measured, planned)]
    if late != ["0.0 s", "0.0 s"]:
        point = f" ({measured['late_point']})" if measured["late_point"] else ""
        text += f", slowest point{point} {late[0]} late (plan: {late[1]})"
    return text


def _device(device: Mapping[str, Any], body: Mapping[str, Any], span: Span) -> str:
    text = f"{device['state']}{_since(device, body, span)}{_because(device)}"
    if device["state"] == "silent":
        return f"{text}, asked at least every {span(-(-device['probe_interval_ms'] // 1000))}"
    if device["turnaround_p50_ms"] is not None:
        text += f", answers in {device['turnaround_p50_ms']} ms (95 %: {device['turnaround_p95_ms']} ms)"
    counts: Sequence[tuple[str, str]] = (("timeouts", "time-outs"), ("errors", "line errors"), ("exceptions", "exceptions"))
    holes = device.get("holes") or ()
    text += f", {len(holes)} {'hole' if len(holes) == 1 else 'holes'} learned" if holes else ""
    return text + "".join(f", {device[key]} {word}" for key, word in counts if device[key])


def _point(device: str, point: Mapping[str, Any], body: Mapping[str, Any], span: Span) -> str:
    return f"point    {device}.{point['id']}: {point['state']}{_since(point, body, span)}{_because(point)}"


def _is_worth_a_line(point: Mapping[str, Any]) -> bool:
    return point["state"] in ("failing", "bad", "refused") or bool(point["reason"])


def _since(about: Mapping[str, Any], body: Mapping[str, Any], span: Span) -> str:
    return f" for {span(max(0, body['mono_ms'] - about['since_ms']) // 1000)}" if "since_ms" in about else ""


def _because(about: Mapping[str, Any]) -> str:
    return f" ({about['reason']})" if about.get("reason") else ""
