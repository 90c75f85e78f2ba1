"""Pure. A rule as the engine holds it: the condition of one failure, what it needs, and what people are told.

Three kinds. `process`: an expression over readings, judged in the time of measurement. `event`: begins and ends with an event
that the agent reports (`device.silent`). `link`: an expression over what the collector sees of a gateway, in its own time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from collector.domain.warning import NO_TEXT, Level
from collector.rules.expression import Expression
from edge_agent.contract.message import Text

Kind = Literal["process", "event", "link"]

LINK_NAMES = ("silence_s", "behind", "lost", "online")
"""What a link rule may speak of: seconds since the gateway was heard, batches known to be missing, batches lost, its status."""


@dataclass(frozen=True, slots=True)
class Need:
    """One name of a rule's expressions, bound to series by role.

    The first need is the anchor: the rule attaches once to every series that has one of its roles. Others are looked for on
    the same device, then the same equipment (`Device.part_of`), then the same gateway, then the same site; at the two last
    only where there is exactly one. `many`: all series of the gateway with one of the roles, as a group.
    """

    name: str
    roles: tuple[str, ...]
    unit: str = ""
    """The unit in which the expressions see values and limits; empty: as it comes."""
    optional: bool = False
    """Without it the rule still attaches, and the name is unknown."""
    many: bool = False
    at_least: int = 1
    """A group with fewer series does not attach."""


@dataclass(frozen=True, slots=True)
class Param:
    """A named threshold with its default."""

    name: str
    value: float
    unit: str = ""
    source: str = ""
    """`[S]` published, `[m]` common knowledge to be verified, `[H]` heuristic to be tuned per site, then the words."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A small test of the rule: what the signals do, and whether a warning must come of it."""

    name: str
    every_ms: int
    signals: Mapping[str, tuple[str, ...]]
    """Need (`X`, or `X/2` for the second of a group) to its pieces: `12 for 2m`, `1..2 for 10m`, `bad for 1m`, `none for 1m`."""
    raised: int
    over: int = 0
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    nameplate: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One failure. Times in ms. `for_ms`: how long the condition must hold; `clear_ms`: how long the clearing one must."""

    id: str
    kind: Kind
    group: str
    level: Level
    title: Text
    meaning: Text = NO_TEXT
    cause: Text = NO_TEXT
    action: Text = NO_TEXT
    source: str = ""
    needs: tuple[Need, ...] = ()
    params: Mapping[str, Param] = field(default_factory=dict)
    when: Expression | None = None
    """None for event rules alone."""
    clear: Expression | None = None
    """None: the opposite of `when`."""
    running: Expression | None = None
    """Where it is not true the equipment is off and `when` is unknown; `blank_ms` after it became true still."""
    for_ms: int = 0
    clear_ms: int = 0
    blank_ms: int = 0
    event: str = ""
    evidence: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    """Rules of the gateway that are the cause: while one is on, this one is held back."""
    scenarios: tuple[Scenario, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Changes when what has been learnt under this rule means nothing any more."""
        parts = [self.kind, self.event, *(e.text for e in (self.when, self.clear, self.running) if e is not None)]
        return "|".join(parts + [f"{n.name}={','.join(n.roles)}:{n.unit}" for n in self.needs])
