"""Does I/O: finds out whether what says nothing over TCP would answer in the other framing.

Terminal servers, and some gateways on port 502, hand on RTU frames (with a CRC, without MODBUS TCP's header). What is asked in one
framing is noise in the other, so nothing at all comes back: that is told from a dead device by asking once in the other one.
"""

from __future__ import annotations

import threading

from edge_agent.common.clock import Clock
from edge_agent.io.link import Driver, Link, Watch
from edge_agent.model.points import Bus, Framing
from edge_agent.protocols.modbus import Ask, Master, Span
from edge_agent.protocols.session import Failure

_OTHERS: dict[Framing, Framing] = {"tcp": "rtu-over-tcp", "rtu-over-tcp": "tcp"}
SPOKEN: dict[Framing, str] = {"tcp": "Modbus TCP frames", "rtu-over-tcp": "RTU frames"}

_FIRST_TRY, _MOST_TURNS_TO_TRY = 3, 200


def other_framing(bus: Bus) -> Framing | None:
    """The framing that may be meant instead; None on a serial line."""
    return _OTHERS.get(bus.framing)


def answers_in(framing: Framing, link: Link, clock: Clock, stop: threading.Event, unit: int, span: Span, timeout_ms: int) -> bool:
    """True if a device answers one read in this framing, with whatever. The connection is a new one, and closed afterwards: half a
    frame of the wrong kind may wait in it. Raises Stopped."""
    link.close()
    master = Master(framing)
    driver = Driver(link, clock, stop, master.connected)
    try:
        driver.run(master.read(Ask(unit, span, timeout_ms, retries=0)), Watch())
    except Failure:
        return master.tally.exceptions > 0
    finally:
        link.close()
    return True


class OtherFraming:
    """Tries the other framing of a bus on which nothing answers: after a few turns, and then ever more rarely."""

    def __init__(self, bus: Bus, link: Link, clock: Clock) -> None:
        self.hint = ""
        """What the bus is told to be set to; empty: nothing is known against it."""
        self._other, self._link, self._clock = other_framing(bus), link, clock
        self._turns, self._try_at = 0, _FIRST_TRY

    def heard(self) -> None:
        """Something answered as it was asked."""
        self.hint, self._turns, self._try_at = "", 0, _FIRST_TRY

    def unheard(self, stop: threading.Event, unit: int, span: Span, timeout_ms: int) -> None:
        """A turn got no answer: it may be the time for a try. Raises Stopped."""
        self._turns += 1
        if self._other is None or self._turns < self._try_at:
            return
        self._turns, self._try_at = 0, min(2 * self._try_at, _MOST_TURNS_TO_TRY)
        is_other = answers_in(self._other, self._link, self._clock, stop, unit, span, timeout_ms)
        self.hint = f"it answers in {SPOKEN[self._other]}: write `framing: {self._other}` (BUS107)" if is_other else ""
