"""A message sent again is the message it was, whatever the clock has learnt since."""

from __future__ import annotations

import pytest

from edge_agent.contract.message import Data
from edge_agent.delivery import machine as ev
from edge_agent.model.points import Delivery
from tests.support.courier_line import UTC_MS, CourierLine, messages


@pytest.mark.parametrize("step_ms", [-3_600_000, 45_000])
def test_a_stamp_stays_whatever_the_clock_learns(step_ms: int) -> None:
    line = CourierLine(Delivery(batch_ms=1000, resend_ms=1000, window_ms=10_000_000)).start()
    line.read(1.0)
    line.tick(1000)
    line.set_clock(UTC_MS + step_ms)
    line.tell(ev.Disconnected())
    line.tell(ev.Connected())
    line.tick(5000)
    sent = [message for message in messages(line.sent) if isinstance(message, Data)]
    assert len(sent) >= 3
    assert {message.t0 for message in sent} == {UTC_MS + 1000}
