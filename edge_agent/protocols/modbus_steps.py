"""Pure. The steps that a device wants before it is read: a write, or a read whose answer nobody uses; then a rest."""

from __future__ import annotations

from edge_agent.model.points import Step
from edge_agent.protocols.modbus import Master
from edge_agent.protocols.modbus_frames import Expected
from edge_agent.protocols.modbus_pdus import write_expected, write_request
from edge_agent.protocols.session import Pause, Session


def step(master: Master, unit: int, wanted: Step, timeout_ms: int, pause_ms: int = 0) -> Session[None]:
    """One step, sent once, and the time for which the device is to be left alone. Raises as `Master.read`, at once.

    A step that failed is not waited for: a dead probe that wants 40 s to warm up would cost its neighbours 40 s with every probe.
    """
    request, expected = step_request(wanted)
    yield from master.ask(unit, request, expected, timeout_ms, pause_ms)
    yield from rest(wanted)


def rest(wanted: Step) -> Session[None]:
    """The time for which the device is to be left alone: also after a wake-up, which nobody answers."""
    if wanted.wait_ms:
        yield Pause(wanted.wait_ms)


def step_request(wanted: Step) -> tuple[bytes, Expected]:
    """The PDU of a step and the reply to it. Raises ValueError beyond the protocol's limits."""
    if wanted.function > 4:
        request = write_request(wanted.function, wanted.address, wanted.words)
        return request, write_expected(request)
    data = (wanted.count + 7) // 8 if wanted.function < 3 else 2 * wanted.count
    request = bytes((wanted.function, *wanted.address.to_bytes(2, "big"), *wanted.count.to_bytes(2, "big")))
    return request, Expected(bytes((wanted.function, data)), 2 + data)
