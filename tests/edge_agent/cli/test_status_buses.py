"""What `edge-agent status` says of ports, devices and points, of the figures that a bus really gives."""

from __future__ import annotations

from typing import Any

import msgspec

from edge_agent.cli.status import _span
from edge_agent.cli.status_buses import bus_lines
from tests.edge_agent.test_bus_faults import answered, device, line
from tests.support.simulated_bus import SimulatedBus


def body(bus: SimulatedBus, taken: int = 0) -> dict[str, Any]:
    figures = msgspec.to_builtins(bus.runner.figures())
    series = [{"device": "d1", "point": point, "taken": taken} for point in ("p0", "link-timeouts")]
    return {"mono_ms": bus.clock.monotonic_ms(), "buses": {"line": figures}, "series": series}


def test_ports_and_devices_say_state_reason_and_since_when() -> None:
    bus = SimulatedBus(
        line(device(1), device(2)), lambda unit, pdu, now: None if unit == 2 and now > 60_000 else answered(unit, pdu)
    )
    bus.run(600_000)
    port, first, second = bus_lines(body(bus, 7), _span)
    assert port.startswith("bus      line: ok for 10 min, busy ")
    assert first.startswith("device   d1: ok for ")
    assert first.endswith("answers in 27 ms (95 %: 28 ms), 7 readings")
    assert second.startswith("device   d2: silent for 8 min (timeout), asked at least every ")
    shown = body(bus)["buses"]["line"]["devices"]
    assert [point["state"] for point in shown[1]["points"]] == ["bad"]
    assert [(point["id"], point["reason"]) for point in shown[0]["points"]] == [("p0", "")]


def test_a_point_that_is_refused_has_a_line_of_its_own() -> None:
    def answer(unit: int, pdu: bytes, _now_ms: float) -> bytes:
        return b"\x83\x02" if pdu[1:3] == b"\0\x32" else answered(unit, pdu)

    bus = SimulatedBus(line(device(1, points=3)), answer)
    bus.run(200_000)
    lines = bus_lines(body(bus), _span)
    assert [text for text in lines if text.startswith("point")] == ["point    d1.p1: refused for 3 min (exception 2)"]
    assert ", 2 exceptions" in lines[1]
