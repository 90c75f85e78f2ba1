"""Pure. The life of a warning as one table: who may do what in which state, and what it becomes. docs/warnings.md shows this table.

The state says what people have done; whether the condition still lasts is `Warning.over_ms` and does not depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from collector.domain.warning import State, Warning
from edge_agent.contract.message import Text

What = Literal["acknowledge", "close", "return"]
ACTS: tuple[What, ...] = ("acknowledge", "close", "return")
STATES: tuple[State, ...] = ("raised", "acknowledged", "returned", "closed", "past")

STATE_TEXT: Mapping[State, Text] = {
    "raised": Text("已发出，无人接单", "raised, nobody has taken it"),
    "acknowledged": Text("已接单，处理中", "taken, being worked on"),
    "returned": Text("已退回，须重新处理", "sent back, has to be worked on again"),
    "closed": Text("已办结", "closed"),
    "past": Text("历史记录：得知时已恢复", "record: was over before it was known"),
}

TABLE: Mapping[tuple[State, What], State] = {
    ("raised", "acknowledge"): "acknowledged",
    ("raised", "close"): "closed",
    ("acknowledged", "close"): "closed",
    ("acknowledged", "return"): "returned",
    ("returned", "acknowledge"): "acknowledged",
    ("returned", "close"): "closed",
    ("closed", "return"): "returned",
}
"""Every act that exists. What is not here is refused."""

_REFUSALS: Mapping[tuple[State, What], Text] = {
    ("raised", "return"): Text("尚无人接单，不能退回。", "Nobody has taken it yet; there is nothing to send back."),
    ("acknowledged", "acknowledge"): Text("已有人接单。", "Somebody has taken it already."),
    ("returned", "return"): Text("已经退回。", "It has been sent back already."),
    ("closed", "acknowledge"): Text("已办结；如未解决，请先退回。", "It is closed; if it is not solved, send it back first."),
    ("closed", "close"): Text("已经办结。", "It is closed already."),
    ("past", "acknowledge"): Text(
        "这是历史记录，得知时已恢复，无需接单。", "It was over before it was known; there is nothing to take."
    ),
    ("past", "close"): Text("这是历史记录，无需办结。", "It is a record of the past; there is nothing to close."),
    ("past", "return"): Text("这是历史记录，不能退回。", "It is a record of the past; there is nothing to send back."),
}
_LASTS = Text("异常仍在持续，恢复后才能办结。", "The condition still lasts; it can be closed when it is over.")
_NO_NOTE = Text("退回须写明原因。", "Say why it is sent back.")
_NOBODY = Text("须写明是谁。", "Say who does it.")

MAX_NOTE = 2000


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an act cannot be done, for people."""

    why: Text


def act_on(warning: Warning, what: What, who: str, note: str) -> Warning | Refusal:
    """The warning after a person's act, or why not."""
    after = TABLE.get((warning.state, what))
    if after is None:
        return Refusal(_REFUSALS[warning.state, what])
    if not who.strip():
        return Refusal(_NOBODY)
    if what == "close" and warning.over_ms is None:
        return Refusal(_LASTS)
    if what == "return" and not note.strip():
        return Refusal(_NO_NOTE)
    changed = replace(warning, state=after, note=note.strip()[:MAX_NOTE] or warning.note)
    if what == "acknowledge":
        return replace(changed, acknowledged_by=who)
    return replace(changed, closed_by=who if what == "close" else "")


def ended(warning: Warning, over_ms: int) -> Warning:
    """The warning whose condition is over. Says nothing about what people have yet to do."""
    return warning if warning.over_ms is not None else replace(warning, over_ms=over_ms)


def table_markdown() -> str:
    """The table as docs/warnings.md holds it."""
    lines = ["| state | " + " | ".join(ACTS) + " |", "|---|" + "---|" * len(ACTS)]
    for state in STATES:
        cells = [TABLE.get((state, what)) or f"refused: {_REFUSALS[state, what].en}" for what in ACTS]
        lines.append(f"| **{state}** ({STATE_TEXT[state].zh}; {STATE_TEXT[state].en}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)
