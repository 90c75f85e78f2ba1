"""Messages and batches for tests of the collector's stores and intake."""

from __future__ import annotations

import msgspec

from collector.domain.identity import SeriesKey
from collector.domain.series import SeriesColumn, SeriesInfo
from collector.intake.records import BatchKey, Record
from collector.seams import StoreBatch
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.message import Text

EPOCH = "1-0123456789abcdef"
T0 = 1_790_000_000_000
FLOW = SeriesInfo(
    SeriesKey("shiquan", "gw-1", "panel", "outlet-flow"),
    "m3/h",
    "outlet.flow",
    "number",
    1000,
    2,
    device_name=Text("仪表盘", "panel"),
)
STATE = SeriesInfo(SeriesKey("shiquan", "gw-1", "drive", "running"), "", "pump.running", "bool")


def birth(seq: int = 1, epoch: str = EPOCH, hold_ms: int = 1000, low: int = 1) -> tuple[bytes, str]:
    """An encoded birth of two series, and its hash."""
    body = m.BirthBody("test 1", [m.Series(0, "panel", "outlet-flow", "m3/h", "outlet.flow", 1000)], receipt_hold_ms=hold_ms)
    raw, name = encoding.encode_birth_body(body)
    return encoding.encode(m.Birth(1, epoch, "u", seq, low, name, "boot", T0, msgspec.Raw(raw))), name


def data(
    seq: int, values: list[float | None], lane: m.Lane = "n", epoch: str = EPOCH, low: int = 1, name: str | None = None
) -> bytes:
    """An encoded batch of series 0, one value a second from T0 + 1000 * seq."""
    block = m.Block([0] + [1000] * (len(values) - 1), [m.Column(0, list(values))])
    body = m.Body([block])
    return encoding.encode(m.Data(1, epoch, lane, seq, low, name or birth()[1], T0 + 1000 * seq, body))


def record(offset: int, payload: bytes, seq: int, lane: m.Lane = "n", kind: str = "data", epoch: str = EPOCH) -> Record:
    """A record of shiquan/gw-1."""
    return Record(offset, BatchKey("shiquan", "gw-1", epoch, lane, seq), T0, payload, kind)  # type: ignore[arg-type]


def batch(
    seq: int, times: list[int], values: list[m.Value], info: SeriesInfo = FLOW, qualities: list[int] | None = None
) -> StoreBatch:
    """A batch of one series; times count from T0."""
    column = SeriesColumn(info, [T0 + t for t in times], values, qualities or [0] * len(times))
    return StoreBatch(BatchKey(info.key.site, info.key.gateway, EPOCH, "n", seq), [column])
