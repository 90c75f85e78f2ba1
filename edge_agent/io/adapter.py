"""Does I/O: how long a USB serial adapter holds back what has come, as the kernel says."""

from __future__ import annotations

from pathlib import Path

from edge_agent.model.points import Bus, Serial

_CLASS = Path("/sys/class/tty")


def adapter_lag_us(bus: Bus, tty_class: Path = _CLASS) -> float | None:
    """The latency timer of the adapter of a serial bus (FTDI: 16 ms unless it was set); None where there is none to be read."""
    if not isinstance(bus.link, Serial) or "://" in bus.link.port:
        return None
    try:
        name = Path(bus.link.port).resolve().name
        return 1000.0 * int((tty_class / name / "device" / "latency_timer").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
