"""Pure. Applies births: from a record of the log to series, times, values, qualities and events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collector.domain.identity import GatewayId, SeriesKey
from collector.domain.interpreted import Interpreted, SiteEvent
from collector.domain.series import AHEAD_MS, SeriesColumn, SeriesInfo
from collector.intake.records import Record
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.quality import Quality

MAX_BIRTHS = 64
"""Births kept of one gateway; the oldest learned goes first."""
UNSURE_MS = 60_000
"""Stamps that may be off by more make a good reading uncertain (clock)."""


class Births:
    """Births by gateway and hash, and the series they name. One SeriesInfo per series and birth, shared by all batches."""

    def __init__(self) -> None:
        self._series: dict[GatewayId, dict[str, dict[int, SeriesInfo]]] = {}
        self.newest: dict[GatewayId, m.BirthBody] = {}
        self.unknown_series = 0
        """Columns whose index no birth names; they are left out."""

    def take(self, record: Record) -> m.BirthBody:
        """Learns the birth of a record. Raises Malformed for a record that holds none."""
        head = record.head or encoding.decode_sequenced(record.payload)
        if not isinstance(head, m.Birth):
            raise encoding.Malformed("shape", "no birth")
        return self._learn(GatewayId(record.key.site, record.key.gateway), head)

    def load(self, records: Iterable[Record]) -> None:
        """Learns the births of a log, oldest first."""
        for record in records:
            self.take(record)

    def series(self, gateway: GatewayId, birth: str) -> dict[int, SeriesInfo] | None:
        """Series by index, or None while the birth is unknown."""
        return self._series.get(gateway, {}).get(birth)

    def _learn(self, gateway: GatewayId, head: m.Birth) -> m.BirthBody:
        body = encoding.decode_birth_body(bytes(head.body))
        self.newest[gateway] = body
        births = self._series.setdefault(gateway, {})
        known = births.pop(head.h, None)
        births[head.h] = _infos(gateway, body) if known is None else known
        if len(births) > MAX_BIRTHS:
            del births[next(iter(births))]
        return body


def _infos(gateway: GatewayId, body: m.BirthBody) -> dict[int, SeriesInfo]:
    names = {device.id: device.name for device in body.devices}
    return {s.i: _info(gateway, s, names.get(s.device)) for s in body.series}


def _info(gateway: GatewayId, series: m.Series, device_name: m.Text | None) -> SeriesInfo:
    key = SeriesKey(gateway.site, gateway.gateway, series.device, series.point)
    s = series
    return SeriesInfo(key, s.unit, s.role, s.kind, s.period_ms, s.decimals, s.name, s.limits, s.texts, device_name)


def interpret(record: Record, births: Births) -> Interpreted | None:
    """The record with its birth applied; None while the birth is unknown. Raises Malformed (never for what intake let in)."""
    head = record.head or encoding.decode_sequenced(record.payload)
    gateway = GatewayId(record.key.site, record.key.gateway)
    common = (record.offset, gateway, head.e, head.l, head.s, record.received_ms)
    if isinstance(head, m.Birth):
        return Interpreted(*common, birth=births.take(record))
    known = births.series(gateway, head.b)
    if known is None:
        return None
    bound_ms = head.c.bound_ms if head.c is not None else 0
    columns = []
    until_ms = record.received_ms + AHEAD_MS
    for block in head.d.blocks:
        times = encoding.times_ms(head.t0, block)
        is_sure = bound_ms <= UNSURE_MS and max(times, default=until_ms) <= until_ms
        good = [int(Quality.GOOD)] * len(times)  # one list for all columns, as the times are
        for column in block.c:
            info = known.get(column.i)
            if info is None:
                births.unknown_series += 1
            else:
                codes = good if is_sure and not column.q else _qualities(column, bound_ms, times, until_ms)
                columns.append(SeriesColumn(info, times, column.v, codes))
    events = tuple(_event(event, head.t0) for event in head.d.events)
    return Interpreted(*common, tuple(columns), events, tuple(head.d.gaps), clock_bound_ms=bound_ms)


def _qualities(column: m.Column, bound_ms: int, times: Sequence[int], until_ms: int) -> list[int]:
    """Qualities by reading; good ones with a stamp that may be far off, or that lies after `until_ms`, are uncertain."""
    codes = list(encoding.qualities(column))
    if bound_ms > UNSURE_MS:
        return [int(Quality.UNCERTAIN_CLOCK) if code == 0 else code for code in codes]
    if max(times, default=until_ms) > until_ms:
        ahead = int(Quality.UNCERTAIN_CLOCK)
        return [ahead if code == 0 and time_ms > until_ms else code for code, time_ms in zip(codes, times, strict=True)]
    return codes


def _event(event: m.Event, t0: int) -> SiteEvent:
    return SiteEvent(t0 + event.t, event.kind, event.on, event.subject, event.reason, tuple(event.about.items()))
