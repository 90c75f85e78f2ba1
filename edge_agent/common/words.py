"""Pure. Numbers as people say them: `1 reading`, `2 readings`; sizes.

What lies on a disk or in memory is told in KiB and MiB; what goes over the air in kB and MB, because that is how it is paid for.
"""

from __future__ import annotations

_STORED = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_SENT = (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000))


def counted(number: int, one: str, many: str = "") -> str:
    """The number with its noun. many: the plural where it is not the singular and an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def stored(size_bytes: int) -> str:
    """A size on a disk or in memory."""
    return _sized(size_bytes, _STORED)


def sent(size_bytes: int) -> str:
    """A size on the air."""
    return _sized(size_bytes, _SENT)


def _sized(size_bytes: int, units: tuple[tuple[str, int], ...]) -> str:
    for unit, factor in units:
        if size_bytes >= factor:
            text = f"{size_bytes / factor:.1f}"
            return f"{text.removesuffix('.0')} {unit}"
    return f"{size_bytes} B"
