"""Pure. How far a reading can be trusted: a level and one reason, and the code that crosses the wire.

The table is append-only: a code, once given, keeps its meaning for ever (version-1 decoders read every version-1 message).
"""

from __future__ import annotations

from enum import IntEnum


class Quality(IntEnum):
    """Quality codes. 0 is good; 1-63 are uncertain (a value is there, with a doubt); 64-127 are bad (never judged as a value)."""

    GOOD = 0
    UNCERTAIN_CLOCK = 1
    """The value is right, its time is only bounded."""
    UNCERTAIN_RANGE = 2
    """Outside the range the instrument promises, still a number (e.g. NE 43 3.6-3.8 mA)."""
    UNCERTAIN_STUCK = 3
    UNCERTAIN_MANUAL = 4
    """Entered or forced by a person."""
    UNCERTAIN_SENSOR = 5
    """The instrument itself reports a doubt (warm-up, calibration due)."""
    UNCERTAIN_MAINTENANCE = 6
    UNCERTAIN_CALIBRATION = 7
    BAD_COMM = 64
    """No answer, or no acceptable answer, from the device."""
    BAD_RANGE = 65
    """Outside what the quantity can be (loop fault, impossible value)."""
    BAD_SENSOR = 66
    """The instrument says: no value (sentinel, NaN, fault bit)."""
    BAD_CLOCK = 67
    BAD_STOPPED = 68
    BAD_CONFIG = 69

    @property
    def is_good(self) -> bool:
        """True for GOOD alone."""
        return self == 0

    @property
    def is_bad(self) -> bool:
        """True where no rule may use the value."""
        return self >= 64

    @property
    def level(self) -> str:
        """`good`, `uncertain` or `bad`."""
        return "good" if self == 0 else "uncertain" if self < 64 else "bad"

    @property
    def reason(self) -> str:
        """The one reason (`comm`, `range`, `sensor`, ...); empty for good."""
        return "" if self == 0 else self.name.split("_", 1)[1].lower()

    def __str__(self) -> str:
        return self.level if self == 0 else f"{self.level}:{self.reason}"


def quality_from_code(code: int) -> Quality:
    """The quality of a wire code. An unknown code of a later version keeps its level: 1-63 uncertain, 64 and above bad."""
    try:
        return Quality(code)
    except ValueError:
        return Quality.UNCERTAIN_SENSOR if 0 < code < 64 else Quality.BAD_SENSOR
