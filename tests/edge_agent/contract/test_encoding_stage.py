"""Messages as bytes: whatever is said reads back, and nothing that comes from a wire is unpacked without bound."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract import encoding
from edge_agent.contract import message as m

EPOCH = "1-00000000000000aa"
T0 = 1_790_000_000_000
steps = st.lists(st.integers(-1000, 100_000), min_size=1, max_size=6)


@given(st.lists(st.sampled_from([0, 2, 64]), max_size=20))
def test_qualities_read_back(codes: list[int]) -> None:
    column = m.Column(0, [1.0] * len(codes), encoding.run_lengths(codes))
    assert list(encoding.qualities(column)) == codes


@given(steps)
def test_times_are_sums_of_their_steps(t: list[int]) -> None:
    assert encoding.times_ms(T0, m.Block(t, [])) == [T0 + sum(t[: i + 1]) for i in range(len(t))]


@given(steps, st.data())
def test_a_batch_reads_back(t: list[int], draw: st.DataObject) -> None:
    finite = st.floats(allow_nan=False, allow_infinity=False)
    value = st.one_of(st.none(), st.booleans(), st.integers(-(1 << 53), 1 << 53), finite, st.text(max_size=5))
    values = draw.draw(st.lists(value, min_size=len(t), max_size=len(t)))
    said = m.Data(m.VERSION, EPOCH, "n", 3, 2, "ab" * 8, T0, m.Body([m.Block(t, [m.Column(0, values)])]), m.Clock("ntp", 7))
    assert encoding.decode_sequenced(encoding.encode(said)) == said


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_is_sent_as_a_decimal_that_reads_back_the_same(value: float) -> None:
    assert struct.pack(">f", encoding.shortest_float32(value)) == struct.pack(">f", value)
    assert len(repr(encoding.shortest_float32(0.1))) == 3


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zlib.compress(b'{"' + b"x" * (64 << 20))
    assert len(bomb) < 100_000
    with pytest.raises(encoding.Malformed) as caught:
        encoding.decode_sequenced(bomb)
    assert caught.value.reason == "too-large"


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_cut_stream_and_bytes_behind_it_are_refused(cut: int) -> None:
    packed = zlib.compress(b'{"v":1}' * 40)
    for payload in (packed[:-cut], packed + b"x" * cut):
        with pytest.raises(encoding.Malformed):
            encoding.unpack(payload)
