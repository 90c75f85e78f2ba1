"""Pure. Where a value was from: the answer to its own question, or something that should not have been believed."""

from __future__ import annotations

from typing import Literal

from tests.bus_faults import reference
from tests.bus_faults.line import Line

Verdict = Literal["right", "one of two", "unseen damage", "wrong"]


def verdict_of(line: Line, wanted: reference.Wanted, words: tuple[int, ...]) -> Verdict:
    """`one of two`: two devices with one address answered the question, and it is what one of them said.
    `unseen damage`: the bytes that came hold a frame with this content that fits in every field and was never sent so."""
    question = line.last
    assert question is not None
    truths = [
        reference.says(wanted, instrument.answered[question.number])
        for instrument in line.instruments
        if instrument.unit == question.unit and question.number in instrument.answered
    ]
    if words in truths:
        return "right" if len(truths) == 1 else "one of two"
    heard = bytes(line.heard)
    if line.framing == "tcp":
        begins = [at for at in range(len(heard)) if heard.startswith(question.transaction.to_bytes(2, "big"), at)]
        pdus = [pdu for at in begins for pdu in reference.tcp_pdus(heard[at:], question.transaction, wanted.unit)]
    elif line.framing == "ascii":
        pdus = list(reference.ascii_pdus(heard, wanted.unit))
    else:
        pdus = list(reference.rtu_pdus(heard, wanted.unit, reference.length_of(wanted)))
    fitting = [pdu for pdu in pdus if reference.says(wanted, pdu) == words]
    if not fitting:
        return "wrong"
    sent = {frame.made for frame in line.frames if frame.is_intact}
    return "wrong" if any(line.framed(question, pdu) in sent for pdu in fitting) else "unseen damage"
