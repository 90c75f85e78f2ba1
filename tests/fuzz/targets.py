"""Pure. What is fuzzed: a target takes bytes, lets pass the documented refusal alone, and checks the laws of what was accepted."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from collector.config.county_file import county_of
from collector.config.rules_file import BookFile
from collector.domain.county import County
from edge_agent.common.located import Findings, Located
from edge_agent.common.located_yaml import parse_yaml, validate
from edge_agent.common.problem import ProblemError
from edge_agent.config.profile_file import ProfileFile
from edge_agent.config.site_file import SiteFile
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.encoding import Malformed
from edge_agent.contract.topics import is_id, parse_topic
from edge_agent.delivery import network_time
from edge_agent.delivery.machine import ReceiptCame
from edge_agent.protocols.modbus import Span, read_expected, read_request, read_words
from edge_agent.protocols.modbus_frames import RtuWindow, TcpStream, Unreadable, rtu_frame, tcp_frame
from tests.support.courier_line import CourierLine

REFUSED = "refused"
ACCEPTED = "accepted"
Target = Callable[[bytes], str]


class Broken(Exception):
    """Something was accepted that breaks a law."""


def demand(law: bool, what: str) -> None:
    """Raises Broken where a law does not hold."""
    if not law:
        raise Broken(what)


# --- contract --------------------------------------------------------------------------------------------------------

_OTHERS = (encoding.decode_status, encoding.decode_command, encoding.decode_reply)


def contract(data: bytes) -> str:
    """Every kind of message but receipts. What is accepted is encoded and decoded to the same, within every bound."""
    accepted = REFUSED
    for decode in (encoding.decode_sequenced, encoding.decode_time, *_OTHERS):
        try:
            decoded = decode(data)
        except Malformed:
            continue
        accepted = ACCEPTED
        demand(decode(encoding.encode(decoded)) == decoded, "it reads back as another message")
        if isinstance(decoded, m.Data):
            _check_data(decoded)
    found = parse_topic(data[:200].decode("utf-8", "replace"), "waterworks")
    demand(found is None or (is_id(found.site) and is_id(found.gateway)), "a topic with a name that is no id")
    text = data[:400].decode("latin-1")
    for parse in (network_time.time_of_qlts, network_time.time_of_cclk, network_time.time_of_mmcli):
        demand(isinstance(parse(text), int | None), "a time that is none")
    return accepted


def _check_data(data: m.Data) -> None:
    for block in data.d.blocks:
        demand(len(encoding.times_ms(data.t0, block)) == len(block.t), "times")
        for column in block.c:
            demand(len(column.v) == len(block.t) == len(list(encoding.qualities(column))), "columns of different length")
            for value in column.v:
                demand(not isinstance(value, float) or math.isfinite(value), "a value that is no number")
                demand(not isinstance(value, str) or len(value) <= encoding.MAX_TEXT, "a text without end")


# --- receipts --------------------------------------------------------------------------------------------------------


class Receipts:
    """Receipts against a Courier that holds batches of two runs. Only what was sent and is covered may go."""

    def __init__(self) -> None:
        self._renew()

    def _renew(self) -> None:
        before = CourierLine().start(counter=1)
        for number in range(6):
            before.read(float(number))
            before.tick(5000)
        self._line = CourierLine(disk=before).start(counter=2, boot="boot-2")
        for number in range(3):
            self._line.read(float(number))
            self._line.tick(5000)
        self._runs = 0

    def __call__(self, data: bytes) -> str:
        try:
            receipt = encoding.decode_receipt(data)
        except Malformed:
            return REFUSED
        demand(encoding.decode_receipt(encoding.encode(receipt)) == receipt, "it reads back as another receipt")
        line = self._line
        outbox = line.courier.holding.outbox
        before = {held.key for held in outbox.oldest_first()}
        line.tell(ReceiptCame(receipt))
        gone = before - {held.key for held in outbox.oldest_first()}
        for key in gone:
            said = [c for c in receipt.lanes if (c.e, c.l) == (key.epoch, key.lane)]
            asking = [c for c in said if key.seq <= c.upto or any(a <= key.seq <= z for a, z in c.ranges)]
            demand(bool(asking), f"{key} was let go unasked")
            tops = [claim.ranges[-1][1] if claim.ranges else claim.upto for claim in asking]
            demand(min(tops) < 1 << 40, "a jump was believed")
        line.sent.clear()
        line.writes.clear()
        line.reports.clear()
        line.fetches.clear()
        self._runs += 1
        if gone or self._runs >= 5000:
            self._renew()
        return ACCEPTED


# --- frames ----------------------------------------------------------------------------------------------------------

SPAN = Span("holding", 107, 3)
UNIT = 17
REQUEST = rtu_frame(UNIT, read_request(SPAN))
EXPECTED = read_expected(SPAN)


def frames(data: bytes) -> str:
    """RTU windows and TCP streams: however the bytes are cut the same comes out, and only whole frames of the right shape."""
    expected = EXPECTED
    whole = RtuWindow(UNIT, expected, REQUEST)
    pdu = whole.feed(data)
    cut = RtuWindow(UNIT, expected, REQUEST)
    half = len(data) // 2
    again = cut.feed(data[:half])
    again = cut.feed(data[half:]) if again is None else again
    demand(pdu == again, "another reply when the bytes are cut")
    if pdu is not None:
        demand(rtu_frame(UNIT, pdu) in data, "a reply that never came")
        if len(pdu) == expected.length:
            demand(len(read_words(SPAN, pdu)) == SPAN.count, "registers")
    try:
        found = TcpStream().feed(data)
    except Unreadable:
        return REFUSED if pdu is None else ACCEPTED
    at = 0
    for transaction, unit, frame in found:
        made = tcp_frame(transaction, unit, frame)
        demand(data[at : at + len(made)] == made, "a frame that never came")
        at += len(made)
    return ACCEPTED if found or pdu is not None else REFUSED


# --- YAML ------------------------------------------------------------------------------------------------------------


def yaml(data: bytes) -> str:
    """Site, profile, county and rule files: a tree or problems in words, nothing else."""
    text = data.decode("utf-8", "replace")
    try:
        tree = parse_yaml(text, "fuzz.yaml")
    except ProblemError as error:
        demand(
            bool(error.problems) and all(p.what and p.do and p.code[:3] == "CFG" for p in error.problems), "a problem without words"
        )
        return REFUSED
    accepted = REFUSED
    for read in _models(text):
        try:
            read(tree)
        except ProblemError as error:
            demand(all(p.what and p.do for p in error.problems), "a problem without words")
        else:
            accepted = ACCEPTED
    return accepted


def _county(tree: Located) -> County:
    findings = Findings()
    made = county_of(tree, findings)
    findings.raise_if_any()
    return made


def _models(text: str) -> list[Callable[[Located], object]]:
    if "rules:" in text:
        return [lambda tree: validate(tree, BookFile), _county]
    if "profile: 1" in text:
        return [lambda tree: validate(tree, ProfileFile)]
    return [lambda tree: validate(tree, SiteFile), _county]


def target(name: str) -> Target:
    """The target of this name."""
    return {"contract": lambda: contract, "receipt": Receipts, "frames": lambda: frames, "yaml": lambda: yaml}[name]()


def seeded(seed: int, name: str) -> Random:
    """The chance of one run."""
    return Random(f"{seed} {name}")
