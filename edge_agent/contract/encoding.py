"""Pure. Messages to bytes and back: JSON, zlib when shorter; everything from a wire is bounded before it is parsed.

First byte `{` is JSON, anything else must be one zlib stream. Raises `Malformed` with a stable reason; never anything else.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import accumulate
from typing import Any, TypeVar

import msgspec

from edge_agent.contract import message as m
from edge_agent.contract.topics import is_id

MAX_UNPACKED = 1 << 20
"""A message may hold at most 1 MiB when unpacked."""
MAX_SERIES = 20_000
MAX_READINGS = 200_000
MAX_TEXT = 4096
MAX_NAME = 128
"""Of an event's kind, a command's name, an id of a question, a log or a boot."""
MAX_EVENTS = 10_000
MAX_ABOUT = 100
"""Entries of an event's `about`, a command's `args`, a reply's `result`."""
MAX_PAST = 64
"""Earlier runs that a birth names."""
MAX_SEQUENCE = (1 << 53) - 1
"""Beyond it JSON numbers are no longer exact everywhere."""
MAX_INTEGER = (1 << 63) - 1
"""Values beyond it cannot be kept by every store."""
MAX_STEP_MS = 10**12
"""Of one instant to the next, and of an event to its message."""
MIN_TIME_MS = 946_684_800_000
"""2000-01-01."""
MAX_TIME_MS = 4_102_444_800_000
"""2100-01-01."""
SHORT_BYTES = 8000
"""What is no longer than this is compressed with a window of its own size: the same bytes, a tenth of the time (zlib clears 256 KiB
for each stream otherwise)."""

T = TypeVar("T")


class Malformed(Exception):
    """Bytes that are no message of version 1. reason: `too-large`, `not-decodable`, `version`, `shape`, `range`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


_encoder = msgspec.json.Encoder()
_sequenced = msgspec.json.Decoder(m.Sequenced)
_receipt = msgspec.json.Decoder(m.Receipt)
_status = msgspec.json.Decoder(m.Status)
_time = msgspec.json.Decoder(m.TimeMessage)
_command = msgspec.json.Decoder(m.Command)
_reply = msgspec.json.Decoder(m.Reply)
_body = msgspec.json.Decoder(m.Body)
_birth_body = msgspec.json.Decoder(m.BirthBody)


class _Versioned(msgspec.Struct):
    """What a message of any version has."""

    v: int


_versioned = msgspec.json.Decoder(_Versioned)


def pack(raw: bytes) -> bytes:
    """The bytes to send for JSON `raw`: compressed when that is shorter."""
    stream = zlib.compressobj(6, zlib.DEFLATED, 13, 7) if len(raw) <= SHORT_BYTES else zlib.compressobj(6)
    packed = stream.compress(raw) + stream.flush()
    return packed if len(packed) < len(raw) else raw


def unpack(payload: bytes) -> bytes:
    """The JSON inside `payload`. Never unpacks more than MAX_UNPACKED; refuses truncated streams and bytes behind the end."""
    if not payload:
        raise Malformed("not-decodable", "empty")
    if payload[:1] == b"{":
        if len(payload) > MAX_UNPACKED:
            raise Malformed("too-large", f"{len(payload)} bytes")
        return payload
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(payload, MAX_UNPACKED + 1)
    except zlib.error as error:
        raise Malformed("not-decodable", f"zlib: {error}") from None
    if len(raw) > MAX_UNPACKED:
        raise Malformed("too-large", f"more than {MAX_UNPACKED} bytes unpacked")
    if not stream.eof:
        raise Malformed("not-decodable", "truncated zlib stream")
    if stream.unused_data:
        raise Malformed("not-decodable", "bytes behind the zlib stream")
    return raw


def encode(message: msgspec.Struct) -> bytes:
    """The bytes of any message of this contract."""
    return pack(_encoder.encode(message))


def encode_body(body: m.Body) -> bytes:
    """A data message's body, encoded once, for `DataFrame.d`. Raises ValueError for NaN or an infinity, which are no values."""
    for block in body.blocks:
        for column in block.c:
            for value in column.v:
                if isinstance(value, float) and not math.isfinite(value):
                    raise ValueError(f"series {column.i}: {value} is no value")
    return _encoder.encode(body)


def encode_birth_body(body: m.BirthBody) -> tuple[bytes, str]:
    """A birth's body and its hash."""
    raw = _encoder.encode(body)
    return raw, birth_hash(raw)


def birth_hash(raw: bytes) -> str:
    """The name of a birth: 64 bits of BLAKE2b over its encoded body, in hex."""
    return hashlib.blake2b(raw, digest_size=8).hexdigest()


def decode_body(raw: bytes) -> m.Body:
    """The body that `encode_body` made. Raises Malformed."""
    return _decode(_body, raw)


@lru_cache(maxsize=8)
def decode_birth_body(raw: bytes) -> m.BirthBody:
    """The body that `encode_birth_body` made: its names are ids, each index and each point stands once. Raises Malformed.

    The last answers are kept: a birth is checked when it comes and read right behind that, and comes again with each connection.
    """
    body = _decode(_birth_body, raw)
    if len(body.series) > MAX_SERIES:
        raise Malformed("too-large", f"{len(body.series)} series")
    _check_birth(body)
    return body


def _decode(decoder: msgspec.json.Decoder[T], raw: bytes) -> T:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise Malformed("shape", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed("not-decodable", str(error)) from None


def _checked(decoder: msgspec.json.Decoder[Any], payload: bytes) -> Any:
    raw = unpack(payload)
    try:
        decoded = _decode(decoder, raw)
    except Malformed as malformed:
        if malformed.reason == "shape":
            _check_version(raw)
        raise
    if decoded.v != m.VERSION:
        raise Malformed("version", f"{decoded.v}")
    return decoded


def _check_version(raw: bytes) -> None:
    """A message of another version need not look like one of ours: it is refused by name all the same."""
    try:
        said = _versioned.decode(raw).v
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return
    if said != m.VERSION:
        raise Malformed("version", f"{said}")


def decode_sequenced(payload: bytes) -> m.Data | m.Birth:
    """A message of topic `data` or `birth`, checked in every bound of the contract. Raises Malformed."""
    decoded = _checked(_sequenced, payload)
    _check_header(decoded)
    if isinstance(decoded, m.Data):
        _check_body(decoded.d)
        _check_events(decoded.d)
    elif birth_hash(bytes(decoded.body)) != decoded.h:
        raise Malformed("shape", "the birth's hash is not that of its body")
    else:
        decode_birth_body(bytes(decoded.body))
    return decoded  # type: ignore[no-any-return]


def decode_receipt(payload: bytes) -> m.Receipt:
    """Raises Malformed; ranges must be in order, apart, above `upto`."""
    receipt: m.Receipt = _checked(_receipt, payload)
    _check_names(receipt.log)
    for lane in receipt.lanes:
        below = lane.upto
        if not 0 <= lane.upto <= MAX_SEQUENCE:
            raise Malformed("range", f"upto {lane.upto}")
        for first, last in lane.ranges:
            if not below + 1 < first <= last <= MAX_SEQUENCE:
                raise Malformed("range", f"ranges {lane.ranges} above {lane.upto}")
            below = last
    return receipt


def decode_status(payload: bytes) -> m.Status:
    """Raises Malformed."""
    status: m.Status = _checked(_status, payload)
    _check_names(status.epoch, status.boot, status.software)
    return status


def decode_time(payload: bytes) -> m.TimeAsk | m.TimeTell:
    """Raises Malformed."""
    decoded = _checked(_time, payload)
    _check_names(decoded.id)
    if isinstance(decoded, m.TimeTell) and not MIN_TIME_MS <= decoded.t <= MAX_TIME_MS:
        raise Malformed("range", f"time {decoded.t}")
    return decoded  # type: ignore[no-any-return]


def decode_command(payload: bytes) -> m.Command:
    """Raises Malformed."""
    command: m.Command = _checked(_command, payload)
    _check_names(command.id, command.name)
    _check_words("", command.args)
    return command


def decode_reply(payload: bytes) -> m.Reply:
    """Raises Malformed."""
    reply: m.Reply = _checked(_reply, payload)
    _check_names(reply.id)
    if len(reply.result) > MAX_ABOUT * 10:
        raise Malformed("too-large", "result")
    for name, value in reply.result.items():
        _check_words(reply.problem, {name: value})
    return reply


def _check_names(*names: str) -> None:
    if any(len(name) > MAX_NAME for name in names):
        raise Malformed("too-large", "a name")


@lru_cache(maxsize=1024)
def parse_epoch(epoch: str) -> tuple[int, str]:
    """Start counter and random part of an epoch `{counter}-{16 hex}`; the last answers are kept. Raises Malformed."""
    counter, _, rest = epoch.partition("-")
    plain = counter.isascii() and counter.isdigit() and len(counter) <= 10 and (counter == "0" or counter[0] != "0")
    if not plain or len(rest) != 16 or any(c not in "0123456789abcdef" for c in rest):
        raise Malformed("shape", f"epoch {epoch[:40]!r}")
    return int(counter), rest


def _check_header(head: m.Data | m.Birth) -> None:
    parse_epoch(head.e)
    if not 1 <= head.s <= MAX_SEQUENCE or not 1 <= head.low <= head.s:
        raise Malformed("range", f"sequence {head.s}, lowest held {head.low}")
    if not MIN_TIME_MS <= head.t0 <= MAX_TIME_MS:
        raise Malformed("range", f"t0 {head.t0}")
    if head.c is not None and not (len(head.c.source) <= MAX_NAME and 0 <= head.c.bound_ms <= MAX_TIME_MS):
        raise Malformed("range", "clock")
    if len(head.b if isinstance(head, m.Data) else head.boot) > MAX_NAME:
        raise Malformed("too-large", "a name in the header")
    if isinstance(head, m.Birth):
        _check_birth_header(head)


def _check_birth_header(head: m.Birth) -> None:
    if head.l != m.URGENT:
        raise Malformed("shape", "a birth outside lane u")
    if len(head.past) > MAX_PAST:
        raise Malformed("too-large", f"{len(head.past)} earlier runs")
    for run in head.past:
        parse_epoch(run.e)
        is_time = run.t == 0 or MIN_TIME_MS <= run.t <= MAX_TIME_MS
        if not (0 <= run.n <= MAX_SEQUENCE and 0 <= run.u <= MAX_SEQUENCE and is_time):
            raise Malformed("range", f"earlier run {run.e}")


def _check_body(body: m.Body) -> None:
    readings = 0
    for block in body.blocks:
        instants = len(block.t)
        if instants and not (min(block.t) >= -MAX_STEP_MS and max(block.t) <= MAX_STEP_MS):
            raise Malformed("range", "time offset")
        for column in block.c:
            readings += instants
            if len(column.v) != instants:
                raise Malformed("shape", f"series {column.i}: {len(column.v)} values at {instants} instants")
            if column.q and (sum(n for _, n in column.q) != instants or any(n < 1 or not 0 <= c < 128 for c, n in column.q)):
                raise Malformed("shape", f"series {column.i}: qualities do not cover its values")
            if not 0 <= column.i < MAX_SERIES:
                raise Malformed("range", f"series index {column.i}")
            kinds = set(map(type, column.v))
            if str in kinds and any(type(value) is str and len(value) > MAX_TEXT for value in column.v):
                raise Malformed("too-large", f"series {column.i}: text")
            if int in kinds and any(type(value) is int and not -MAX_INTEGER <= value <= MAX_INTEGER for value in column.v):
                raise Malformed("range", f"series {column.i}: an integer of more than 63 bits")
    if readings > MAX_READINGS:
        raise Malformed("too-large", f"{readings} readings")


def _check_events(body: m.Body) -> None:
    if len(body.events) > MAX_EVENTS or len(body.gaps) > MAX_EVENTS:
        raise Malformed("too-large", f"{len(body.events)} events, {len(body.gaps)} gaps")
    for event in body.events:
        if not _is_kind(event.kind):
            raise Malformed("shape", f"event {event.kind[:40]!r}")
        if event.subject and not (len(event.subject) <= MAX_NAME and all(map(is_id, event.subject.split(".")))):
            raise Malformed("shape", f"event {event.kind}: subject {event.subject[:40]!r} is no id")
        if abs(event.t) > MAX_STEP_MS:
            raise Malformed("range", "time offset")
        _check_words(event.reason, event.about)
    for gap in body.gaps:
        parse_epoch(gap.e)
        if not (1 <= gap.a <= gap.z <= MAX_SEQUENCE and 0 <= gap.readings <= MAX_SEQUENCE):
            raise Malformed("range", f"gap {gap.a}-{gap.z}")
        if len(gap.why) > MAX_NAME or any(t is not None and not MIN_TIME_MS <= t <= MAX_TIME_MS for t in (gap.t_from, gap.t_to)):
            raise Malformed("range", "gap")


def _is_kind(text: str) -> bool:
    """Names of events and commands: ids, dots and underscores, nothing that means something to a topic, a page or a log."""
    return 1 <= len(text) <= MAX_NAME and text.isascii() and text.replace(".", "").replace("-", "").replace("_", "").isalnum()


def _check_words(text: str, about: Mapping[str, m.Value]) -> None:
    if len(about) > MAX_ABOUT or len(text) > MAX_TEXT or any(len(name) > MAX_NAME for name in about):
        raise Malformed("too-large", "words")
    for value in about.values():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise Malformed("too-large", "words")
        if type(value) is int and not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise Malformed("range", "an integer of more than 63 bits")


def _check_birth(body: m.BirthBody) -> None:
    indices: set[int] = set()
    points: set[tuple[str, str]] = set()
    for series in body.series:
        if not 0 <= series.i < MAX_SERIES:
            raise Malformed("range", f"series index {series.i}")
        if not (is_id(series.device) and is_id(series.point)):
            raise Malformed("shape", f"series {series.i}: {series.device[:40]!r}, {series.point[:40]!r} are no two ids")
        if series.i in indices or (series.device, series.point) in points:
            raise Malformed("shape", f"series {series.i}: {series.device}.{series.point} or its index stands twice")
        indices.add(series.i)
        points.add((series.device, series.point))
        if any(len(text) > MAX_TEXT for text in _series_texts(series)):
            raise Malformed("too-large", f"series {series.i}: text")
    for device in body.devices:
        if not is_id(device.id):
            raise Malformed("shape", f"device {device.id[:40]!r} is no id")
        if not all(is_id(name) for name in (device.bus, device.part_of, *device.fed_by) if name):
            raise Malformed("shape", f"device {device.id}: a name beside it is no id")
        if any(len(text) > MAX_TEXT for text in _device_texts(device)):
            raise Malformed("too-large", f"device {device.id}: text")
    if len(body.software) > MAX_TEXT:
        raise Malformed("too-large", "software")


def _series_texts(series: m.Series) -> Iterator[str]:
    yield from (series.unit, series.role, *series.texts, *series.signs, *series.signs.values())
    for text in (series.name, *series.texts.values()):
        if text is not None:
            yield from (text.zh, text.en)


def _device_texts(device: m.Device) -> Iterator[str]:
    yield from (device.profile, device.profile_version, device.bus, device.part_of, *device.fed_by, *device.nameplate)
    yield from (value for value in device.nameplate.values() if isinstance(value, str))
    if device.name is not None:
        yield from (device.name.zh, device.name.en)


def times_ms(t0: int, block: m.Block) -> list[int]:
    """The instants of a block, ms UTC."""
    times = list(accumulate(block.t, initial=t0))
    del times[0]
    return times


def qualities(column: m.Column) -> Iterator[int]:
    """One quality code for each value of a column."""
    if not column.q:
        for _ in column.v:
            yield 0
    for code, count in column.q:
        for _ in range(count):
            yield code


def run_lengths(codes: list[int]) -> list[tuple[int, int]]:
    """Qualities as `Column.q` holds them: empty where all are good."""
    runs: list[tuple[int, int]] = []
    for code in codes:
        if runs and runs[-1][0] == code:
            runs[-1] = (code, runs[-1][1] + 1)
        else:
            runs.append((code, 1))
    return [] if len(runs) == 1 and runs[0][0] == 0 else runs


def shortest_float32(value: float) -> float:
    """The shortest decimal that reads back the same float32 as `value`, which must be one. NaN and infinities pass unchanged."""
    if not math.isfinite(value):
        return value
    packed = struct.pack(">f", value)
    for digits in range(1, 10):
        candidate = float(f"{value:.{digits}g}")
        try:
            if struct.pack(">f", candidate) == packed:
                return candidate
        except OverflowError:
            continue
    return value
