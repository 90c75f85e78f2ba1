"""Does I/O (the C library): how memory is taken from the machine."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
"""mallopt(3)"""


def few_heaps(most: int) -> None:
    """At most so many heaps. glibc gives each thread one of its own, up to eight a core, and what is freed in one stays there."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, most)
