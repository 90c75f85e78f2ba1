"""A log and a store in memory. They pass the same suites as the real ones (tests/suites/log.py, store.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from collector.domain.identity import SeriesKey
from collector.domain.series import Sample, SeriesInfo
from collector.intake.records import BatchKey, LaneState, Poison, Record
from collector.seams import StorageFailed, StoreBatch
from collector.stores.rollup import thin


class FakeLog:
    """`seams.Log`. `failure`: what the next appends raise, until it is emptied."""

    def __init__(self, log_id: str = "fake-log") -> None:
        self.log_id = log_id
        self.failure = ""
        self._records: dict[int, Record] = {}
        self._keys: set[BatchKey] = set()
        self._last = 0
        self._lanes: dict[tuple[str, str, str, str], LaneState] = {}
        self._poison: list[Poison] = []

    def lanes(self) -> list[LaneState]:
        return list(self._lanes.values())

    def append(self, records: Sequence[Record], lanes: Sequence[LaneState], poison: Sequence[Poison]) -> int:
        if self.failure:
            raise StorageFailed(self.failure)
        for record in records:
            if record.key not in self._keys:
                self._last += 1
                self._keys.add(record.key)
                self._records[self._last] = replace(record, offset=self._last, head=None)
        self._lanes |= {(s.site, s.gateway, s.epoch, s.lane): s for s in lanes}
        self._poison += [replace(one, id=len(self._poison) + n) for n, one in enumerate(poison, 1)]
        return self._last

    def read(self, after: int, limit: int) -> list[Record]:
        return [record for offset, record in self._records.items() if offset > after][:limit]

    def births(self) -> list[Record]:
        return [record for record in self._records.values() if record.kind == "birth"]

    def last_offset(self) -> int:
        return self._last

    def trim(self, below: int) -> int:
        gone = [offset for offset, record in self._records.items() if offset < below and record.kind == "data"]
        for offset in gone:
            self._keys.discard(self._records.pop(offset).key)
        return len(gone)

    def offset_before(self, received_ms: int) -> int:
        young = (o for o, r in self._records.items() if r.received_ms >= received_ms and r.kind == "data")
        return next(young, self._last + 1)

    def poison(self, limit: int) -> list[Poison]:
        return self._poison[::-1][:limit]

    def close(self) -> None:
        pass


class FakeStore:
    """`seams.Store`. `failure`: what the next writes raise (StoreAway, StoreRefused, StorageFailed), until it is None."""

    def __init__(self, until_ms: int = 1 << 62) -> None:
        """until_ms: later readings are not the latest."""
        self._until_ms = until_ms
        self.failure: Exception | None = None
        self.writes = 0
        self._cursor = 0
        self._batches: set[BatchKey] = set()
        self._series: dict[SeriesKey, SeriesInfo] = {}
        self._samples: dict[SeriesKey, dict[int, Sample]] = {}

    def cursor(self) -> int:
        return self._cursor

    def write(self, batches: Sequence[StoreBatch], cursor: int) -> None:
        if self.failure is not None:
            raise self.failure
        self.writes += 1
        for batch in batches:
            if batch.key in self._batches:
                continue
            self._batches.add(batch.key)
            for column in batch.columns:
                self._series[column.series.key] = column.series
                samples = self._samples.setdefault(column.series.key, {})
                rows = zip(column.times, column.values, column.qualities, strict=True)
                samples |= {time_ms: Sample(time_ms, value, quality) for time_ms, value, quality in rows}
        self._cursor = cursor

    def tidy(self) -> bool:
        return False

    def series(self, site: str | None = None) -> list[SeriesInfo]:
        return [info for key, info in self._series.items() if site in (None, key.site)]

    def latest(self, site: str | None = None) -> dict[SeriesKey, Sample]:
        newest = {
            key: max((time_ms for time_ms in samples if time_ms <= self._until_ms), default=None)
            for key, samples in self._samples.items()
            if site in (None, key.site)
        }
        return {key: self._samples[key][time_ms] for key, time_ms in newest.items() if time_ms is not None}

    def range(self, key: SeriesKey, from_ms: int, to_ms: int, max_points: int | None = None) -> list[Sample]:
        samples = self._samples.get(key, {})
        found = [samples[time_ms] for time_ms in sorted(samples) if from_ms <= time_ms < to_ms]
        return found if max_points is None else thin(found, from_ms, to_ms, max_points)

    def count(self, key: SeriesKey, from_ms: int, to_ms: int) -> int:
        return len(self.range(key, from_ms, to_ms))

    def close(self) -> None:
        pass
