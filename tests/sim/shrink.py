"""Pure. A failing run made smaller: classes of faults are switched off one after the other, then the time of faults is halved.

A case stands on one line, as in corpus.txt: `seed [off=class,class] [ms=time of faults]`, then `#` and why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.sim.plan import CLASSES, Plan, plan, without
from tests.sim.scenario import Outcome, Parts, run
from tests.sim.world import SimFailure

SHORTEST_MS = 60_000


@dataclass(frozen=True, slots=True)
class Case:
    """A run: a seed, the classes of faults that are off, and how long faults last (0: as planned)."""

    seed: int
    off: tuple[str, ...] = ()
    faults_ms: int = 0

    def __str__(self) -> str:
        off = f" off={','.join(self.off)}" if self.off else ""
        return f"{self.seed}{off}" + (f" ms={self.faults_ms}" if self.faults_ms else "")

    def changed(self, planned: Plan) -> Plan:
        """The seed's plan with these switches."""
        left = without(planned, self.off)
        return replace(left, faults_ms=self.faults_ms) if self.faults_ms else left

    def run(self, parts: Parts = Parts()) -> Outcome:
        """Raises SimFailure where an oracle is violated."""
        return run(self.seed, parts, self.changed)


def read_case(line: str) -> Case | None:
    """The case on a line; None for a line without one. Raises ValueError for words it does not know."""
    words = line.split("#", maxsplit=1)[0].split()
    if not words:
        return None
    case = Case(int(words[0]))
    for word in words[1:]:
        name, _, value = word.partition("=")
        if name == "off" and set(value.split(",")) <= CLASSES.keys():
            case = replace(case, off=tuple(value.split(",")))
        elif name == "ms":
            case = replace(case, faults_ms=int(value))
        else:
            raise ValueError(f"{word!r} in {line!r}")
    return case


def shrink(seed: int, parts: Parts = Parts(), tell: Callable[[str], None] = lambda text: None) -> tuple[Case, str]:
    """The smallest case found that still fails, and its failure. The seed must fail."""
    case = Case(seed)
    failure = _failure(case, parts)
    for name in CLASSES:
        smaller = replace(case, off=(*case.off, name))
        said = _failure(smaller, parts)
        if said:
            case, failure = smaller, said
            tell(f"fails without {name} too")
    faults_ms = plan(seed).faults_ms // 2
    while faults_ms >= SHORTEST_MS:
        smaller = replace(case, faults_ms=faults_ms)
        said = _failure(smaller, parts)
        if not said:
            break
        case, failure, faults_ms = smaller, said, faults_ms // 2
        tell(f"fails within {smaller.faults_ms // 1000} s too")
    return case, failure


def _failure(case: Case, parts: Parts) -> str:
    try:
        case.run(parts)
    except SimFailure as failure:
        return str(failure)
    return ""
