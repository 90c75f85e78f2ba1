"""Pure over the Store seam. Raw readings in pages of bounded size, whatever the density of a series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from collector.domain.identity import SeriesKey
from collector.domain.series import Sample
from collector.seams import Store

_FIRST_WIDTH_MS = 3_600_000
_READ_AT_ONCE = 4
"""The store may hand over up to this many pages' worth at a time."""


@dataclass(frozen=True, slots=True)
class Page:
    """Readings in order of time, and where the next page begins (ms UTC); None: this was the last."""

    samples: Sequence[Sample]
    next_ms: int | None


def page(store: Store, key: SeriesKey, from_ms: int, to_ms: int, limit: int) -> Page:
    """Up to `limit` (>= 1) raw readings with from_ms <= time < to_ms.

    Walks in windows that grow over empty stretches and shrink where readings are dense, so that neither ten years of nothing nor a
    dense day is ever loaded at once.
    """
    found: list[Sample] = []
    at, width = from_ms, _FIRST_WIDTH_MS
    while at < to_ms:
        end = min(at + width, to_ms)
        count = store.count(key, at, end)
        if count > _READ_AT_ONCE * limit and end - at > 1:
            width = max((end - at) // 2, 1)
            continue
        if count:
            found.extend(store.range(key, at, end))
            if len(found) > limit:
                return Page(found[:limit], found[limit].time_ms)
        at, width = end, width if count else width * 8
    return Page(found, None)


def every(store: Store, key: SeriesKey, from_ms: int, to_ms: int, at_once: int, most: int) -> Iterator[Sequence[Sample]]:
    """Page after page, at most `most` readings in all."""
    given = 0
    start: int | None = from_ms
    while start is not None and given < most:
        one = page(store, key, start, to_ms, min(at_once, most - given))
        yield one.samples
        given += len(one.samples)
        start = one.next_ms
