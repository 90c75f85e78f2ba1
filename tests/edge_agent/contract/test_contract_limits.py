"""Limits before anything is believed: names, texts and numbers of events, gap records, headers, questions and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edge_agent.contract import encoding
from edge_agent.contract import message as m

LONG = "x" * 5000
HOSTILE = ["a b", "a+", "#", "a/b", "$SYS", "a\0b", "a\nb", "a\x1b[0m", "..", "<b>", LONG, "a" * 33]


def data(body: m.Body, **head: Any) -> bytes:
    fields = {"e": "1-0000000000000001", "l": "u", "s": 1, "low": 1, "b": "0" * 16, "t0": 1_790_000_000_000, **head}
    return encoding.encode(m.Data(1, d=body, **fields))


def refused(payload: bytes, decode: Callable[[bytes], object] = encoding.decode_sequenced) -> str:
    with pytest.raises(encoding.Malformed) as caught:
        decode(payload)
    return caught.value.reason


@pytest.mark.parametrize("name", HOSTILE)
def test_an_events_subject_is_ids_joined_by_dots(name: str) -> None:
    assert refused(data(m.Body(events=[m.Event(0, "device.silent", True, name)]))) == "shape"
    assert refused(data(m.Body(events=[m.Event(0, "device.silent", True, f"meter.{name}")]))) == "shape"
    encoding.decode_sequenced(data(m.Body(events=[m.Event(0, "point.refused", True, "meter-1.flow")])))


@pytest.mark.parametrize("kind", ["", "a b", "a+", "a/b", "a\nb", "<b>", "x" * 129, "é"])
def test_an_events_kind_is_a_plain_name(kind: str) -> None:
    assert refused(data(m.Body(events=[m.Event(0, kind)]))) == "shape"


@pytest.mark.parametrize(
    "event",
    [
        m.Event(10**12 + 1, "agent.start"),
        m.Event(0, "agent.start", reason=LONG),
        m.Event(0, "agent.start", about={"a": LONG}),
        m.Event(0, "agent.start", about={"a" * 200: 1}),
        m.Event(0, "agent.start", about={"a": 1 << 63}),
        m.Event(0, "agent.start", about={f"a{n}": 1 for n in range(101)}),
    ],
)
def test_what_an_event_says_is_bounded(event: m.Event) -> None:
    assert refused(data(m.Body(events=[event]))) in {"range", "too-large"}


def test_events_are_counted() -> None:
    assert refused(data(m.Body(events=[m.Event(0, "a")] * 10_001))) == "too-large"


@pytest.mark.parametrize(
    "gap",
    [
        m.Gap("nonsense", "n", 1, 2, 0, "age"),
        m.Gap("1-0000000000000001", "n", 0, 2, 0, "age"),
        m.Gap("1-0000000000000001", "n", 3, 2, 0, "age"),
        m.Gap("1-0000000000000001", "n", 1, 1 << 62, 0, "age"),
        m.Gap("1-0000000000000001", "n", 1, 2, -1, "age"),
        m.Gap("1-0000000000000001", "n", 1, 2, 0, "x" * 200),
        m.Gap("1-0000000000000001", "n", 1, 2, 0, "age", 5, None),
    ],
)
def test_a_gap_record_that_cannot_be_is_refused(gap: m.Gap) -> None:
    assert refused(data(m.Body(gaps=[gap]))) in {"range", "shape"}


@pytest.mark.parametrize("head", [{"b": LONG}, {"c": m.Clock(LONG, 1)}, {"c": m.Clock("ntp", -1)}, {"c": m.Clock("ntp", 1 << 60)}])
def test_a_header_is_bounded(head: dict[str, Any]) -> None:
    assert refused(data(m.Body(), **head)) in {"range", "too-large"}


@pytest.mark.parametrize(
    ("message", "decode"),
    [
        (m.Receipt(1, LONG, []), encoding.decode_receipt),
        (m.Status(1, "online", LONG), encoding.decode_status),
        (m.TimeAsk(1, LONG), encoding.decode_time),
        (m.TimeTell(1, LONG, 1_790_000_000_000), encoding.decode_time),
        (m.Command(1, "i", LONG), encoding.decode_command),
        (m.Command(1, "i", "ping", {"a": LONG}), encoding.decode_command),
        (m.Reply(1, LONG, True), encoding.decode_reply),
        (m.Reply(1, "i", True, {"a": LONG}), encoding.decode_reply),
        (m.Reply(1, "i", True, {"a": 1}, LONG), encoding.decode_reply),
        (m.Reply(1, "i", True, {f"a{n}": n for n in range(1001)}), encoding.decode_reply),
    ],
)
def test_other_messages_are_bounded(message: Any, decode: Callable[[bytes], object]) -> None:
    assert refused(encoding.encode(message), decode) == "too-large"


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("key", ["bus", "part_of", "fed_by"])
def test_names_beside_a_device_are_ids(key: str, name: str) -> None:
    device = m.Device("pump-1", **{key: [name] if key == "fed_by" else name})
    with pytest.raises(encoding.Malformed):
        encoding.decode_birth_body(encoding.encode_birth_body(m.BirthBody("x", [], [device]))[0])


@pytest.mark.parametrize("raw", [b'{"k":"d","v":2}', b'{"v":3,"kind":"new"}', b'{"v":2,"k":"d","e":7}'])
def test_a_message_of_another_version_is_refused_by_name_whatever_it_looks_like(raw: bytes) -> None:
    with pytest.raises(encoding.Malformed) as refused:
        encoding.decode_sequenced(raw)
    assert refused.value.reason == "version"


@pytest.mark.parametrize("raw", [b'{"k":"d","v":1}', b'{"k":"d"}', b'{"v":"x"}'])
def test_what_says_no_other_version_is_refused_for_its_shape(raw: bytes) -> None:
    with pytest.raises(encoding.Malformed) as refused:
        encoding.decode_sequenced(raw)
    assert refused.value.reason == "shape"
