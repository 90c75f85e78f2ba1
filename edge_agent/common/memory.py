"""Does I/O (the C library): how memory is taken from the machine."""

from __future__ import annotations

import ctypes
import gc

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
"""mallopt(3)"""
LARGE_BYTES = 256 << 10
CONTAINERS = (20_000, 10, 10)
"""After so many new containers Python looks at the youngest for cycles, after ten such looks at the older ones (its own: 700)."""


def few_heaps(most: int) -> None:
    """At most so many heaps. glibc gives each thread one of its own, up to eight a core, and what is freed in one stays there."""
    _set(_M_ARENA_MAX, most)


def return_large_blocks(bytes_: int = LARGE_BYTES) -> None:
    """Blocks from this size on lie apart and go back to the machine as soon as they are freed.

    Left to itself glibc takes the largest block that was ever freed for small: states of half a megabyte, written every second,
    then lie between small things, and what they leave is never whole enough for the next, slightly larger one.
    """
    _set(_M_MMAP_THRESHOLD, bytes_)


def look_for_cycles_rarely() -> None:
    """What is there now is never looked at again, what comes is looked at rarely: messages are many containers without cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*CONTAINERS)


def _set(option: int, value: int) -> None:
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(option, value)
