"""Pure. A warning and the acts on it, as everything behind the rules knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_agent.contract.message import Text

NO_TEXT = Text("", "")

Level = Literal["blue", "yellow", "red"]
State = Literal["raised", "acknowledged", "closed", "returned", "past"]
"""The life of a warning so far; `past`: was over before it was known, recorded without a siren."""


@dataclass(frozen=True, slots=True)
class Warning:
    """One failure of one piece of equipment (告警). Identity: (rule, subject, began). Times ms UTC; None: not yet."""

    id: str
    """Stable text made of its identity; safe in a URL."""
    rule: str
    site: str
    subject: str
    """`gateway/device.point`, `gateway/device`, `gateway` or an equipment."""
    level: Level
    state: State
    began_ms: int
    known_ms: int
    sent_ms: int | None = None
    over_ms: int | None = None
    """When the condition was over; the warning stays until a person closes it."""
    title: Text = NO_TEXT
    meaning: Text = NO_TEXT
    action: Text = NO_TEXT
    """The first thing to do."""
    evidence: tuple[tuple[str, str], ...] = ()
    """Series path and what it showed, e.g. ("gw-1/pump-1.current", "3.1 A")."""
    responsible: str = ""
    acknowledged_by: str = ""
    closed_by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """One line of the audit trail."""

    at_ms: int
    who: str
    what: str
    warning: str
    note: str = ""
