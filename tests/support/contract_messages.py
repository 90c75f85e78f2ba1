"""Pure. Strategies for every message of the contract, and how a message is decoded and shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st

from edge_agent.contract import encoding as e
from edge_agent.contract import message as m
from edge_agent.contract.topics import ID_PATTERN

DECODERS: dict[str, Callable[[bytes], Any]] = {
    "data": e.decode_sequenced,
    "birth": e.decode_sequenced,
    "receipt": e.decode_receipt,
    "status": e.decode_status,
    "time": e.decode_time,
    "command": e.decode_command,
    "reply": e.decode_reply,
}
"""By the kind of message; the first word of a golden file's name."""


def shown(decoded: Any) -> str:
    """A decoded message with every field, as golden files hold it."""
    return json.dumps(_plain(decoded), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return _plain(e.decode_birth_body(bytes(value)))
    if isinstance(value, msgspec.Struct):
        return {"": type(value).__name__, **{name: _plain(getattr(value, name)) for name in value.__struct_fields__}}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


texts = st.text(st.characters(codec="utf-8"), max_size=20)
ids = st.from_regex(ID_PATTERN, fullmatch=True)
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(numbers, st.integers(-e.MAX_INTEGER, e.MAX_INTEGER), st.booleans(), texts, st.none())
epochs = st.builds(lambda n, r: f"{n}-{r:016x}", st.integers(0, 10**10 - 1), st.integers(0, 2**64 - 1))
lanes: st.SearchStrategy[m.Lane] = st.sampled_from(m.LANES)
sequences = st.integers(1, e.MAX_SEQUENCE)
times = st.integers(e.MIN_TIME_MS, e.MAX_TIME_MS)
clocks = st.none() | st.builds(m.Clock, texts, st.integers(0, 10**9))
abouts = st.dictionaries(texts, values, max_size=3)


kinds = st.from_regex(r"[a-z]{1,9}[.-][a-z]{1,9}", fullmatch=True)
subjects = st.lists(ids, max_size=2).map(".".join)
some_ids = st.just("") | ids


@st.composite
def columns(draw: st.DrawFn, instants: int) -> m.Column:
    codes = draw(st.lists(st.integers(0, 127), min_size=instants, max_size=instants))
    return m.Column(draw(st.integers(0, 999)), draw(st.lists(values, min_size=instants, max_size=instants)), e.run_lengths(codes))


@st.composite
def blocks(draw: st.DrawFn) -> m.Block:
    steps = draw(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=5))
    return m.Block(steps, draw(st.lists(columns(len(steps)), min_size=1, max_size=3)))


events = st.builds(m.Event, st.integers(-(10**9), 10**9), kinds, st.none() | st.booleans(), subjects, texts, abouts)
_gaps = st.builds(m.Gap, epochs, lanes, sequences, sequences, st.integers(0, 9999), texts, st.none() | times, st.none() | times)
gaps = _gaps.map(lambda gap: msgspec.structs.replace(gap, a=min(gap.a, gap.z), z=max(gap.a, gap.z)))
bodies = st.builds(m.Body, st.lists(blocks(), max_size=3), st.lists(events, max_size=2), st.lists(gaps, max_size=2))


@st.composite
def data(draw: st.DrawFn) -> m.Data:
    seq = draw(sequences)
    low, birth = draw(st.integers(1, seq)), draw(texts)
    return m.Data(m.VERSION, draw(epochs), draw(lanes), seq, low, birth, draw(times), draw(bodies), draw(clocks))


words = st.builds(m.Text, texts, texts)
limits = st.builds(m.Limits, *[st.none() | numbers] * 6)
series = st.builds(
    m.Series, st.integers(0, e.MAX_SERIES - 1), ids, ids, texts, texts, st.integers(0, 10**6),
    st.sampled_from(["number", "counter", "bool", "text", "code", "bits"]), lanes, st.none() | st.integers(0, 9), st.none() | words,
    st.none() | limits, st.dictionaries(texts, words, max_size=2), st.dictionaries(texts, texts, max_size=2),
)  # fmt: skip
plates = st.dictionaries(texts, st.one_of(numbers, st.integers(-e.MAX_INTEGER, e.MAX_INTEGER), st.booleans(), texts), max_size=2)
devices = st.builds(m.Device, ids, texts, texts, some_ids, st.none() | words, plates, some_ids, st.lists(ids, max_size=2))
tables = st.lists(series, max_size=3, unique_by=(lambda s: s.i, lambda s: (s.device, s.point)))
pasts = st.lists(
    st.builds(m.Past, epochs, st.integers(0, e.MAX_SEQUENCE), st.integers(0, e.MAX_SEQUENCE), st.just(0) | times), max_size=3
)
birth_bodies = st.builds(
    m.BirthBody, texts, tables, st.lists(devices, max_size=2), st.integers(0, 10**6), receipt_every=st.integers(0, 500)
)


@st.composite
def births(draw: st.DrawFn) -> m.Birth:
    raw, name = e.encode_birth_body(draw(birth_bodies))
    seq = draw(sequences)
    low = draw(st.integers(1, seq))
    return m.Birth(
        m.VERSION, draw(epochs), m.URGENT, seq, low, name, draw(texts), draw(times), msgspec.Raw(raw), draw(clocks), draw(pasts)
    )


@st.composite
def lane_receipts(draw: st.DrawFn) -> m.LaneReceipt:
    marks = sorted(draw(st.sets(st.integers(1, 10**6), min_size=1, max_size=9)))
    upto, ranges, below = marks[0] - 1, [], marks[0] - 1
    for first, last in zip(marks[1::2], marks[2::2], strict=False):
        if first > below + 1:
            ranges.append((first, last))
            below = last
    return m.LaneReceipt(draw(epochs), draw(lanes), upto, ranges)


MESSAGES: dict[str, st.SearchStrategy[Any]] = {
    "data": data(),
    "birth": births(),
    "receipt": st.builds(m.Receipt, st.just(m.VERSION), texts, st.lists(lane_receipts(), max_size=4)),
    "status": st.builds(m.Status, st.just(m.VERSION), st.sampled_from(["online", "offline"]), epochs, texts, texts),
    "time": st.one_of(st.builds(m.TimeAsk, st.just(m.VERSION), texts), st.builds(m.TimeTell, st.just(m.VERSION), texts, times)),
    "command": st.builds(m.Command, st.just(m.VERSION), texts, texts, abouts, st.none() | times),
    "reply": st.builds(m.Reply, st.just(m.VERSION), texts, st.booleans(), abouts, texts),
}
