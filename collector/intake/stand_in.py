"""Pure. What the log holds in place of a batch whose head is sound and whose content nobody can read.

Such a batch is the sender's own doing and would come again for ever. Its sequence is accounted for and receipted, the quarantine
keeps it as it came, and consumers see an event in its place. Bytes that cannot be trusted (not decodable), another version, and
births get no receipt: what a later version of this program can read must stay with the gateway.
"""

from __future__ import annotations

import contextlib
import zlib

import msgspec

from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.encoding import MAX_SEQUENCE, MAX_TIME_MS, MIN_TIME_MS, Malformed

UNREADABLE_EVENT = "batch.unreadable"
"""Kind of the event; `reason` says why, `about.bytes` how long the message was."""
HEAD_BYTES = 4096
"""The head of a message that is too large stands within so many bytes."""
_BODY = b',"d":'


class _Head(msgspec.Struct, frozen=True, tag_field="k", tag="d"):
    v: int
    e: str
    l: m.Lane
    s: int
    low: int
    b: str
    t0: int


_decoder = msgspec.json.Decoder(_Head)


def stand_in(payload: bytes, malformed: Malformed) -> m.Data | None:
    """The batch without its content, or None where nothing of it may be believed."""
    if malformed.reason not in {"shape", "range", "too-large"}:
        return None
    try:
        head = _decoder.decode(_head_bytes(payload))
        encoding.parse_epoch(head.e)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Malformed):
        return None
    is_bounded = 1 <= head.low <= head.s <= MAX_SEQUENCE and MIN_TIME_MS <= head.t0 <= MAX_TIME_MS and len(head.b) <= 64
    if head.v != m.VERSION or not is_bounded:
        return None
    event = m.Event(0, UNREADABLE_EVENT, reason=malformed.reason, about={"bytes": len(payload)})
    return m.Data(head.v, head.e, head.l, head.s, head.low, head.b, head.t0, m.Body(events=[event]))


def _head_bytes(payload: bytes) -> bytes:
    """JSON with the head: the whole message, or the begin of one that is too large."""
    try:
        return encoding.unpack(payload)
    except Malformed as malformed:
        if malformed.reason != "too-large":
            raise
    begin = payload[:HEAD_BYTES] if payload[:1] == b"{" else zlib.decompressobj().decompress(payload, HEAD_BYTES)
    head, found, _ = begin.partition(_BODY)
    return head + b"}" if found else b""


def begin_of(payload: bytes, most: int) -> str:
    """The begin of a message as text, unpacked where it is packed: at most so many bytes, whatever it holds."""
    begin = payload[:most]
    if payload[:1] == b"\x78":
        with contextlib.suppress(zlib.error):
            begin = zlib.decompressobj().decompress(payload, most)
    return begin.decode("utf-8", "replace")
