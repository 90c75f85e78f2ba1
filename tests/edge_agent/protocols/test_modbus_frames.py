"""Frames and PDUs against vectors; laws of finding a reply."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.protocols.modbus_ascii import AsciiWindow, ascii_frame, lrc
from edge_agent.protocols.modbus_frames import Expected, RtuWindow, TcpStream, Unreadable, crc16, rtu_frame, tcp_frame
from edge_agent.protocols.modbus_pdus import (
    Span,
    mask_request,
    masks_request,
    read_expected,
    read_request,
    read_words,
    read_write_expected,
    read_write_request,
    read_write_words,
    write_expected,
    write_request,
)

VECTORS = Path(__file__).parents[2] / "vectors"
ALL = json.loads((VECTORS / "modbus.json").read_text())["vectors"]
STREAMS = json.loads((VECTORS / "modbus-streams.json").read_text())["vectors"]
TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
FRAMED = [v for v in ALL if v["framing"] in ("modbus_rtu", "modbus_ascii", "modbus_pdu", "modbus_tcp")]


def raw(vector: dict) -> bytes:
    """The bytes of a frame; of an ASCII frame those that its digits say."""
    return bytes.fromhex(vector["text"][1:-2] if vector["framing"] == "modbus_ascii" else vector["hex"])


def pdu_of(vector: dict) -> bytes:
    cut = {"modbus_rtu": slice(1, -2), "modbus_ascii": slice(1, -1), "modbus_pdu": slice(None), "modbus_tcp": slice(7, None)}
    return raw(vector)[cut[vector["framing"]]]


def named(vectors: list[dict]) -> list:
    return [pytest.param(v, id=v["id"]) for v in vectors]


@pytest.mark.parametrize("vector", named([v for v in ALL if v["framing"] == "modbus_rtu"]))
def test_rtu_vector_frames(vector: dict) -> None:
    frame = raw(vector)
    assert (rtu_frame(frame[0], frame[1:-2]) == frame) == vector["valid"]


@pytest.mark.parametrize("vector", named([v for v in ALL if v["framing"] == "modbus_ascii"]))
def test_ascii_vector_frames(vector: dict) -> None:
    frame, text = raw(vector), vector["text"].encode()
    assert (ascii_frame(frame[0], frame[1:-1]) == text) == vector["valid"]
    window = AsciiWindow(frame[0], Expected(frame[1:-1], len(frame) - 2), b":request\r\n")
    assert window.feed(text) == (frame[1:-1] if vector["valid"] else None)
    assert window.mismatches == (not vector["valid"])


@pytest.mark.parametrize("vector", named([v for v in ALL if v["framing"] == "modbus_tcp"]))
def test_tcp_vector_frames(vector: dict) -> None:
    frame, stream = raw(vector), TcpStream()
    if not vector["valid"]:
        with suppress(Unreadable):
            assert stream.feed(frame) == []
        return
    decoded = vector["decoded"]
    assert stream.feed(frame) == [(decoded["tid"], decoded["unit"], frame[7:])]
    assert tcp_frame(decoded["tid"], decoded["unit"], frame[7:]) == frame


@pytest.mark.parametrize("vector", named([v for v in FRAMED if v["valid"] and "request" in v["dir"]]))
def test_vector_requests(vector: dict) -> None:
    d, pdu = vector["decoded"], pdu_of(vector)
    if d["fc"] in TABLES:
        assert read_request(Span(TABLES[d["fc"]], d["address"], d["quantity"])) == pdu
    elif d["fc"] in (5, 6):
        value = int(d["value"].startswith("FF00")) if d["fc"] == 5 else d["value"]
        assert write_request(d["fc"], d["address"], [value]) == pdu
        assert write_expected(pdu).accepts(pdu)
    elif d["fc"] == 15:
        bits = bytes.fromhex(d["bits_lsb_first"])
        assert write_request(15, d["address"], [bits[i // 8] >> i % 8 & 1 for i in range(d["quantity"])]) == pdu
    elif d["fc"] == 16:
        assert write_request(16, d["address"], d["registers"]) == pdu
    elif d["fc"] == 22:
        assert masks_request(d["address"], d["and_mask"], d["or_mask"]) == pdu
        assert write_expected(pdu).accepts(pdu)
    elif d["fc"] == 23:
        span = Span("holding", d["address"], d["quantity"])
        assert read_write_request(span, d["write_address"], d["write_registers"]) == pdu
    elif d["fc"] == 43:
        assert pdu == bytes((43, d["mei"], d["read_code"], d["object_id"]))
    else:
        pytest.fail(f"function {d['fc']} is in no vector's test")


@pytest.mark.parametrize(
    "vector", named([v for v in FRAMED if v["valid"] and v["dir"] == "response" and v["decoded"]["fc"] in (*TABLES, 15, 16, 23)])
)
def test_vector_replies(vector: dict) -> None:
    d, pdu = vector["decoded"], pdu_of(vector)
    if d["fc"] in (15, 16):
        words = [0] * d["quantity"]
        assert write_expected(write_request(d["fc"], d["address"], words)).accepts(pdu)
        return
    if d["fc"] == 23:
        span = Span("holding", 3, pdu[1] // 2)
        assert read_write_expected(span).accepts(pdu)
        assert list(read_write_words(span, pdu)) == d["registers"]
        return
    if d["fc"] in (1, 2):
        span = Span(TABLES[d["fc"]], 0, 8 * pdu[1])
        bits = bytes.fromhex(d["bits_lsb_first"])
        assert read_words(span, pdu) == tuple(bits[i // 8] >> i % 8 & 1 for i in range(8 * pdu[1]))
        return
    span = Span(TABLES[d["fc"]], 0, pdu[1] // 2)
    assert read_words(span, pdu) == struct.unpack(f">{pdu[1] // 2}H", pdu[2:])
    if "registers" in d:
        assert list(read_words(span, pdu)) == d["registers"]


@pytest.mark.parametrize("vector", named([v for v in FRAMED if v["dir"] == "exception" and v["framing"] != "modbus_pdu"]))
def test_vector_exceptions(vector: dict) -> None:
    d, pdu = vector["decoded"], pdu_of(vector)
    assert Expected(bytes((d["fc"] & 0x7F, 4)), 6).accepts(pdu)
    assert pdu[1] == d["exception"]


@pytest.mark.parametrize("vector", named([v for v in STREAMS if v["protocol"] == "modbus_rtu"]))
def test_rtu_streams(vector: dict) -> None:
    frames = [bytes.fromhex(frame) for frame in vector["frames"]]
    for wanted in (frame for frame in frames if len(frame) != 8):
        window = RtuWindow(wanted[0], Expected(wanted[1:3], len(wanted) - 3), frames[0] if len(frames[0]) == 8 else b"\x11request")
        found = [pdu for chunk in vector["chunks"] if (pdu := window.feed(bytes.fromhex(chunk)))]
        assert found == [wanted[1:-2]]


@pytest.mark.parametrize("vector", named([v for v in STREAMS if v["protocol"] == "modbus_tcp"]))
def test_tcp_streams(vector: dict) -> None:
    stream = TcpStream()
    found = [frame for chunk in vector["chunks"] for frame in stream.feed(bytes.fromhex(chunk))]
    assert [tcp_frame(*frame) for frame in found] == [bytes.fromhex(frame) for frame in vector["frames"]]


def test_crc_check_value() -> None:
    assert crc16(b"123456789") == bytes.fromhex("374B")


def test_an_echo_whose_beginning_is_a_valid_reply_is_no_reply() -> None:
    span = Span("holding", 0x02A0, 1)
    request = rtu_frame(17, read_request(span))
    assert crc16(request[:5]) == request[5:7]
    window = RtuWindow(17, read_expected(span), request)
    assert window.feed(request) is None
    assert window.came == b""
    assert window.feed(rtu_frame(17, b"\x03\x02\x12\x34")) == b"\x03\x02\x12\x34"


def test_lrc_is_the_twos_complement_of_the_sum() -> None:
    assert lrc(bytes.fromhex("0103")) == 0xFC
    assert lrc(b"") == 0


def test_a_mask_write_changes_its_bits_alone() -> None:
    request = mask_request(4, 0x00F0, 0x1230)
    and_mask, or_mask = struct.unpack(">HH", request[3:])
    assert 0xABCD & and_mask | or_mask & ~and_mask & 0xFFFF == 0xAB3D


def test_writing_beyond_the_limits_is_refused() -> None:
    holding = Span("holding", 0, 125)
    read_write_request(holding, 0, [0] * 121)
    for span, address, words in (
        (holding, 0, [0] * 122),
        (holding, 0, []),
        (holding, 65535, [0, 0]),
        (Span("holding", 0, 126), 0, [0]),
        (Span("input", 0, 1), 0, [0]),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - whichever library says it
            read_write_request(span, address, words)
    for function, address, count in ((15, 0, 1969), (16, 0, 124), (16, 65535, 2), (6, 0, 2), (22, 0, 1)):
        with pytest.raises(ValueError):  # noqa: PT011 - whichever library says it
            write_request(function, address, [0] * count)
    with pytest.raises(ValueError, match="no reply"):
        read_write_words(holding, b"\x17\x02\x00\x01")


def test_limits_are_refused() -> None:
    for span in (Span("holding", 0, 126), Span("coil", 0, 2001), Span("input", 0, 0), Span("holding", 65535, 2)):
        with pytest.raises(ValueError):  # noqa: PT011 - whichever library says it
            read_request(span)


def _span(address: int, words: list[int]) -> tuple[Span, bytes, bytes]:
    span = Span("holding", address, len(words))
    reply = bytes((3, 2 * len(words))) + struct.pack(f">{len(words)}H", *words)
    return span, rtu_frame(17, read_request(span)), reply


WORDS = st.lists(st.integers(0, 65535), min_size=1, max_size=8)


@given(WORDS, st.integers(0, 60000), st.integers(0, 1000), st.integers(1, 255))
def test_a_damaged_byte_never_gives_another_value(words: list[int], address: int, where: int, flip: int) -> None:
    span, request, reply = _span(address, words)
    frame = bytearray(rtu_frame(17, reply))
    frame[where % len(frame)] ^= flip
    pdu = RtuWindow(17, read_expected(span), request).feed(bytes(frame))
    assert pdu is None or pdu[0] == 0x83


@given(
    WORDS,
    st.integers(0, 60000),
    st.lists(st.sampled_from(["noise", "echo", "foreign", "reply", "cut"]), max_size=5),
    st.binary(max_size=6),
    st.lists(st.integers(0, 80), max_size=8),
)
def test_any_chunking_gives_the_same(words: list[int], address: int, pieces: list[str], noise: bytes, cuts: list[int]) -> None:
    span, request, reply = _span(address, words)
    made = {
        "noise": noise,
        "echo": request,
        "foreign": rtu_frame(18, reply),
        "reply": rtu_frame(17, reply),
        "cut": rtu_frame(17, reply)[:-1],
    }
    stream = b"".join(made[piece] for piece in pieces)
    whole = RtuWindow(17, read_expected(span), request).feed(stream)
    window, at, found = RtuWindow(17, read_expected(span), request), 0, None
    for cut in [*sorted(cuts), len(stream)]:
        found = found or window.feed(stream[at:cut])
        at = max(at, cut)
    assert found == whole
    assert whole in (None, reply)
    if "reply" in pieces and not {"echo", "noise"} & set(pieces):
        assert whole == reply


@given(WORDS, st.integers(0, 60000), st.integers(0, 1000), st.integers(1, 255))
def test_a_damaged_character_never_gives_another_value(words: list[int], address: int, where: int, flip: int) -> None:
    """One character: two may pass the LRC, which is a sum."""
    span, _, reply = _span(address, words)
    frame = bytearray(ascii_frame(17, reply))
    frame[where % len(frame)] ^= flip
    pdu = AsciiWindow(17, read_expected(span), ascii_frame(17, read_request(span))).feed(bytes(frame))
    assert pdu is None


@given(
    WORDS,
    st.integers(0, 60000),
    st.lists(st.sampled_from(["noise", "colon", "echo", "foreign", "reply", "cut", "lower"]), max_size=5),
    st.binary(max_size=6),
    st.lists(st.integers(0, 160), max_size=8),
)
def test_any_chunking_of_characters_gives_the_same(
    words: list[int], address: int, pieces: list[str], noise: bytes, cuts: list[int]
) -> None:
    span, _, reply = _span(address, words)
    request = ascii_frame(17, read_request(span))
    made = {
        "noise": noise,
        "colon": b":",
        "echo": request,
        "foreign": ascii_frame(18, reply),
        "reply": ascii_frame(17, reply),
        "cut": ascii_frame(17, reply)[:-3],
        "lower": b"\xff" + ascii_frame(17, reply)[1:],
    }
    stream = b"".join(made[piece] for piece in pieces)
    whole = AsciiWindow(17, read_expected(span), request).feed(stream)
    window, at, found = AsciiWindow(17, read_expected(span), request), 0, None
    for cut in [*sorted(cuts), len(stream)]:
        found = found or window.feed(stream[at:cut])
        at = max(at, cut)
    assert found == whole
    assert whole == (reply if "reply" in pieces else None)


@given(
    st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 255), st.binary(min_size=2, max_size=253)), max_size=4),
    st.lists(st.integers(0, 300)),
)
def test_tcp_chunking_gives_the_same(frames: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(tcp_frame(*frame) for frame in frames)
    reader, at, found = TcpStream(), 0, []
    for cut in [*sorted(cuts), len(stream)]:
        found += reader.feed(stream[at:cut])
        at = max(at, min(cut, len(stream)))
    assert found == frames


@given(st.binary(max_size=400))
def test_no_bytes_break_a_window_or_a_stream(noise: bytes) -> None:
    span, request, _ = _span(5, [1, 2])
    RtuWindow(17, read_expected(span), request).feed(noise)
    RtuWindow(17, Expected(b"\x2b\x0e\x01", 0), request).feed(noise)
    AsciiWindow(17, read_expected(span), request).feed(noise)
    with suppress(Unreadable):
        TcpStream().feed(noise)
