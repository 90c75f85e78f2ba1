"""Laws of the encoding: every message reads back, nothing else is read, and hostile bytes cost bounded work."""

from __future__ import annotations

import contextlib
import math
import struct
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.contract import encoding as e
from edge_agent.contract import message as m
from tests.support.contract_messages import DECODERS, MESSAGES, shown

HEAD = b'{"v":1,"k":"d","e":"1-0123456789abcdef","l":"n","s":%s,"low":1,"b":"x","t0":1790000000000,"d":%s}'


@pytest.mark.parametrize("kind", MESSAGES)
def test_what_is_encoded_reads_back(kind: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(MESSAGES[kind])
    def law(message: Any) -> None:
        decoded = DECODERS[kind](e.encode(message))
        assert shown(decoded) == shown(message)
        assert DECODERS[kind](msgspec.json.encode(message)) is not None

    law()


@pytest.mark.parametrize("kind", MESSAGES)
def test_damaged_bytes_are_malformed_or_another_message_but_never_another_error(kind: str) -> None:
    @settings(max_examples=100, deadline=None)
    @given(MESSAGES[kind], st.data())
    def law(message: Any, chance: st.DataObject) -> None:
        payload = bytearray(chance.draw(st.sampled_from([e.encode(message), msgspec.json.encode(message)])))
        for _ in range(chance.draw(st.integers(1, 4))):
            payload[chance.draw(st.integers(0, len(payload) - 1))] = chance.draw(st.integers(0, 255))
        for decode in DECODERS.values():
            with contextlib.suppress(e.Malformed):
                decode(bytes(payload))

    law()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda raw: b"{" + raw) | st.binary(max_size=300).map(zlib.compress))
def test_random_bytes_are_malformed(payload: bytes) -> None:
    for decode in DECODERS.values():
        with pytest.raises(e.Malformed):
            decode(payload)


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_truncation_and_every_tail_is_refused(kind: str) -> None:
    @settings(max_examples=5, deadline=None)
    @given(MESSAGES[kind])
    def law(message: Any) -> None:
        for payload in (msgspec.json.encode(message), zlib.compress(msgspec.json.encode(message))):
            for end in range(len(payload)):
                with pytest.raises(e.Malformed):
                    DECODERS[kind](payload[:end])
            with pytest.raises(e.Malformed):
                DECODERS[kind](payload + b"x")

    law()


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zlib.compress(b"{" + b" " * (64 << 20))
    assert len(bomb) < 100_000
    with pytest.raises(e.Malformed, match="too-large"):
        e.unpack(bomb)
    with pytest.raises(e.Malformed, match="too-large"):
        e.unpack(b"{" + b" " * e.MAX_UNPACKED)
    assert len(e.unpack(zlib.compress(b"{" + b" " * (e.MAX_UNPACKED - 1)))) == e.MAX_UNPACKED


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "0x10", "01", "1.", ".5", "9223372036854775808"]
)
def test_what_is_no_number_is_no_value(number: str) -> None:
    with pytest.raises(e.Malformed):
        e.decode_sequenced(HEAD % (b"1", b'{"blocks":[[[0],[[0,[%s]]]]]}' % number.encode()))


@pytest.mark.parametrize("seq", ["0", "-1", "9007199254740992", "9223372036854775808", "1e3", "1.5", '"1"', "true", "1" * 400])
def test_a_sequence_outside_its_range_is_refused(seq: str) -> None:
    with pytest.raises(e.Malformed):
        e.decode_sequenced(HEAD % (seq.encode(), b"{}"))


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 50_000])
def test_deep_nesting_is_refused(deep: bytes) -> None:
    for payload in (HEAD % (b"1", deep), b"{" + b'"extra":' + deep, deep):
        for decode in DECODERS.values():
            with pytest.raises(e.Malformed):
                decode(payload)


@pytest.mark.parametrize(
    "body",
    [
        b'{"blocks":[[[0,1],[[0,[1]]]]]}',
        b'{"blocks":[[[0],[[0,[1],[[0,2]]]]]]}',
        b'{"blocks":[[[0],[[0,[1],[[0,0],[1,1]]]]]]}',
        b'{"blocks":[[[0],[[0,[1],[[128,1]]]]]]}',
        b'{"blocks":[[[0],[[-1,[1]]]]]}',
        b'{"blocks":[[[0],[[20000,[1]]]]]}',
        b'{"blocks":[[[1000000000001],[[0,[1]]]]]}',
        b'{"blocks":[[[0],[[0,["' + b"a" * (e.MAX_TEXT + 1) + b'"]]]]]}',
    ],
)
def test_a_body_that_contradicts_itself_is_refused(body: bytes) -> None:
    with pytest.raises(e.Malformed):
        e.decode_sequenced(HEAD % (b"1", body))


@pytest.mark.parametrize(
    "epoch",
    ["", "1", "1-", "-0123456789abcdef", "01-0123456789abcdef", "1-0123456789ABCDEF", "1-0123456789abcde/", "²-0123456789abcdef"],
)
def test_an_epoch_of_another_form_is_refused(epoch: str) -> None:
    with pytest.raises(e.Malformed):
        e.parse_epoch(epoch)


@pytest.mark.parametrize("ranges", [[(5, 7)], [(4, 9)], [(9, 8)], [(7, 8), (9, 10)], [(10, 11), (7, 8)], [(7, e.MAX_SEQUENCE + 1)]])
def test_ranges_out_of_order_are_refused(ranges: list[tuple[int, int]]) -> None:
    receipt = m.Receipt(1, "log", [m.LaneReceipt("1-0123456789abcdef", "n", 5, ranges)])
    with pytest.raises(e.Malformed):
        e.decode_receipt(e.encode(receipt))


def test_a_birth_whose_hash_is_not_that_of_its_body_is_refused() -> None:
    raw, name = e.encode_birth_body(m.BirthBody("a", []))
    for h, lane in ((name[::-1], "u"), (name, "n")):
        birth = m.Birth(1, "1-0123456789abcdef", lane, 1, 1, h, "boot", 1_790_000_000_000, msgspec.Raw(raw))  # type: ignore[arg-type]
        with pytest.raises(e.Malformed):
            e.decode_sequenced(e.encode(birth))


LONG = "x" * (e.MAX_TEXT + 1)
NO_BIRTHS: list[tuple[str, list[m.Series], list[m.Device]]] = [
    *[("shape", [m.Series(0, bad, "flow")], []) for bad in ("<script>", "a/b", "a+b", "#", "", "A", "a" * 33, "a\n")],
    *[("shape", [m.Series(0, "meter", bad)], []) for bad in ("<script>", "a/b", "a.b", "", "水位")],
    *[("shape", [], [m.Device(bad)]) for bad in ("<script>", "a/b", "", "-a")],
    ("shape", [m.Series(0, "meter", "flow"), m.Series(0, "meter", "level")], []),
    ("shape", [m.Series(0, "meter", "flow"), m.Series(1, "meter", "flow")], []),
    ("range", [m.Series(-1, "meter", "flow")], []),
    ("range", [m.Series(e.MAX_SERIES, "meter", "flow")], []),
    ("too-large", [m.Series(0, "meter", "flow", unit=LONG)], []),
    ("too-large", [m.Series(0, "meter", "flow", name=m.Text("a", LONG))], []),
    ("too-large", [m.Series(0, "meter", "flow", texts={"1": m.Text(LONG, "a")})], []),
    ("too-large", [m.Series(0, "meter", "flow", signs={"1": LONG})], []),
    ("too-large", [], [m.Device("meter", name=m.Text(LONG, ""))]),
    ("too-large", [], [m.Device("meter", nameplate={"maker": LONG})]),
    ("shape", [], [m.Device("meter", fed_by=["pump", LONG])]),
]


@pytest.mark.parametrize(("reason", "series", "devices"), NO_BIRTHS)
def test_a_birth_whose_names_are_no_ids_or_stand_twice_or_never_end_is_refused(
    reason: str, series: list[m.Series], devices: list[m.Device]
) -> None:
    raw, name = e.encode_birth_body(m.BirthBody("a", series, devices))
    birth = m.Birth(1, "1-0123456789abcdef", "u", 1, 1, name, "boot", 1_790_000_000_000, msgspec.Raw(raw))
    with pytest.raises(e.Malformed) as refused:
        e.decode_sequenced(e.encode(birth))
    assert refused.value.reason == reason


@pytest.mark.parametrize("kind", MESSAGES)
def test_another_version_is_refused_by_name(kind: str) -> None:
    @settings(max_examples=3, deadline=None)
    @given(MESSAGES[kind])
    def law(message: Any) -> None:
        with pytest.raises(e.Malformed) as refused:
            DECODERS[kind](e.encode(msgspec.structs.replace(message, v=2)))
        assert refused.value.reason == "version"

    law()


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_goes_out_as_the_shortest_decimal_that_reads_back(value: float) -> None:
    short = e.shortest_float32(value)
    assert struct.pack(">f", short) == struct.pack(">f", value)
    digits = len(repr(abs(short)).partition("e")[0].replace(".", "").strip("0"))
    assert digits <= 9
    if digits > 1:
        assert struct.pack(">f", float(f"{value:.{digits - 1}g}")) != struct.pack(">f", value) or digits == 1


@given(st.lists(st.integers(0, 127), min_size=1, max_size=50))
def test_qualities_read_back(codes: list[int]) -> None:
    column = m.Column(0, [1] * len(codes), e.run_lengths(codes))
    assert list(e.qualities(column)) == codes
    assert (column.q == []) == (not any(codes))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_body_is_made_of_what_is_no_value(value: float) -> None:
    with pytest.raises(ValueError, match="no value"):
        e.encode_body(m.Body([m.Block([0], [m.Column(0, [value])])]))


@given(st.integers(0, 3 * e.SHORT_BYTES), st.integers(0, 20))
def test_a_short_window_costs_no_bytes_and_is_read_by_everybody(length: int, variety: int) -> None:
    raw = b'{"' + bytes(97 + n * n % (variety + 1) for n in range(length))
    packed = e.pack(raw)
    assert packed == raw or zlib.decompress(packed) == raw
    assert len(packed) <= len(zlib.compress(raw, 6)) + 8
