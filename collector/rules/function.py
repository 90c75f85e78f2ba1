"""Pure. What a function of rule expressions is: its arguments, its result, and the memory it keeps for each place it is used at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from collector.rules.signal import Known, View

Takes = Literal["signal", "signals", "duration", "number", "text"]
"""`signal`: a name of `needs`; `signals`: one with `many`; `duration`: `"10m"` or a parameter with a unit of time, known when the
rule is attached; `number`: any expression; `text`: a quoted word."""

Thunk = Callable[[int], Known]
Argument = View | None | Sequence[View] | int | Thunk | str
"""In the order of Takes. A View of None: an optional need that the site does not have."""


class Memory(Protocol):
    """One use of a function in one attached rule."""

    def learn(self, at_ms: int) -> None:
        """Called once at every instant at which a signal of the rule was read, whatever the rest of the expression says."""
        ...

    def value(self, at_ms: int) -> Known:
        """The result; None: unknown."""
        ...

    def dump(self) -> Any:
        """Bytes, or plain lists and numbers, for the rule state."""
        ...

    def load(self, plain: Any) -> None:
        """Takes over what `dump` gave."""
        ...


@dataclass(frozen=True, slots=True)
class Function:
    """A function by name. variadic: the last argument may be repeated."""

    name: str
    takes: tuple[Takes, ...]
    gives: Literal["number", "truth"]
    make: Callable[..., Memory]
    """Called with one Argument for each of `takes`."""
    about: str
    variadic: bool = False


class Stateless:
    """The memory of a function that needs none."""

    def __init__(self, value: Thunk) -> None:
        self._value = value

    def learn(self, at_ms: int) -> None:
        """Nothing to learn."""

    def value(self, at_ms: int) -> Known:
        """The result."""
        return self._value(at_ms)

    def dump(self) -> None:
        """Nothing."""

    def load(self, plain: Any) -> None:
        """Nothing."""
