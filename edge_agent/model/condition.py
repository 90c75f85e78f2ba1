"""Pure. A tiny closed language of conditions: `mode == 2 and not (ct < 5 or given(pt))`.

Numbers, names (of parameters or points; small letters, digits, hyphens), `== != < <= > >=`, `and`, `or`, `not`, parentheses, and
`given(name)`: a value is known. A name alone is true where its value is known and not 0. A comparison with a name of which no value
is known is false. Nothing else exists: no arithmetic, no calls, no texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne

_WORDS = re.compile(
    r"\s*(?:(?P<number>-?(?:0x[0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?))(?![\w.])|(?P<name>[a-z][a-z0-9-]*)|(?P<mark>==|!=|<=|>=|<|>|\(|\)))"
)
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_MEANT = {"=": "==", "&": "and", "|": "or", "!": "not", "≤": "<=", "≥": ">=", "≠": "!="}
MAX_LENGTH = 500
_MAX_DEPTH = 20

Values = Mapping[str, float | None]
"""What is known, by name; None: nothing."""


class Unreadable(ValueError):
    """A text that is no condition. what: words for people; do: the mend."""

    def __init__(self, what: str, do: str) -> None:
        self.what, self.do = what, do
        super().__init__(what)


@dataclass(frozen=True, slots=True)
class Name:
    """The value of a parameter or point."""

    name: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it stands."""

    number: float


def _value(side: Name | Number, values: Values) -> float | None:
    return side.number if isinstance(side, Number) else values.get(side.name)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left OP right`."""

    left: Name | Number
    mark: str
    right: Name | Number

    def holds(self, values: Values) -> bool:
        """False where a side is not known."""
        left, right = _value(self.left, values), _value(self.right, values)
        return left is not None and right is not None and _COMPARE[self.mark](left, right)


@dataclass(frozen=True, slots=True)
class Truth:
    """A name alone."""

    name: str

    def holds(self, values: Values) -> bool:
        """True where it is known and not 0."""
        return bool(values.get(self.name))


@dataclass(frozen=True, slots=True)
class Given:
    """`given(name)`."""

    name: str

    def holds(self, values: Values) -> bool:
        """True where a value is known."""
        return values.get(self.name) is not None


@dataclass(frozen=True, slots=True)
class Not:
    """`not part`."""

    part: Condition

    def holds(self, values: Values) -> bool:
        """The contrary of its part."""
        return not self.part.holds(values)


@dataclass(frozen=True, slots=True)
class All:
    """`part and part ...`."""

    parts: tuple[Condition, ...]

    def holds(self, values: Values) -> bool:
        """True where each of them holds."""
        return all(part.holds(values) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Any:
    """`part or part ...`."""

    parts: tuple[Condition, ...]

    def holds(self, values: Values) -> bool:
        """True where one of them holds."""
        return any(part.holds(values) for part in self.parts)


Condition = Comparison | Truth | Given | Not | All | Any


def parse(text: str) -> Condition:
    """The condition of a text. Raises Unreadable."""
    if len(text) > MAX_LENGTH:
        raise Unreadable(f"The condition is longer than {MAX_LENGTH} characters.", "shorten it.")
    reader = _Reader(_words(text))
    made = reader.either(0)
    if reader.word is not None:
        raise _unexpected(reader.word)
    return made


def names_in(condition: Condition) -> Iterator[str]:
    """Every name it asks for, in the order of the text."""
    match condition:
        case Comparison(left, _, right):
            yield from (side.name for side in (left, right) if isinstance(side, Name))
        case Truth(name) | Given(name):
            yield name
        case Not(part):
            yield from names_in(part)
        case All(parts) | Any(parts):
            for part in parts:
                yield from names_in(part)


def _words(text: str) -> list[str]:
    words, at = [], 0
    while text[at:].strip():
        found = _WORDS.match(text, at)
        if found is None:
            rest = text[at:].lstrip()
            meant = _MEANT.get(rest[0], "")
            do = f"write `{meant}`." if meant else "use numbers, names, == != < <= > >=, and, or, not, given(name), parentheses."
            raise Unreadable(f"`{rest[:12]}` cannot stand in a condition.", do)
        words.append(found[0].strip())
        at = found.end()
    return words


def _unexpected(word: str | None) -> Unreadable:
    if word is None:
        return Unreadable("The condition ends too early.", "complete it: `name == number`, joined by and, or, not.")
    if word in _COMPARE:
        return Unreadable(f"`{word}` cannot stand here.", "join comparisons with `and`: `1 < x and x < 5`.")
    return Unreadable(f"`{word}` cannot stand here.", "join parts with `and` or `or`; close every parenthesis.")


class _Reader:
    """Descends the grammar: either = both (or both)*, both = one (and one)*, one = not one | (either) | comparison."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._at = 0

    @property
    def word(self) -> str | None:
        """The next word; None at the end."""
        return self._words[self._at] if self._at < len(self._words) else None

    def either(self, depth: int) -> Condition:
        parts = [self._both(depth)]
        while self._took("or"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _both(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._took("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self, depth: int) -> Condition:
        if depth > _MAX_DEPTH:
            raise Unreadable(f"The condition is nested deeper than {_MAX_DEPTH} levels.", "write it plainer.")
        if self._took("not"):
            return Not(self._one(depth + 1))
        if self._took("("):
            inner = self.either(depth + 1)
            self._needs(")")
            return inner
        if self.word == "given":
            self._at += 1
            self._needs("(")
            name = self._side()
            self._needs(")")
            if not isinstance(name, Name):
                raise Unreadable("`given` asks for a name.", "write `given(name)`.")
            return Given(name.name)
        left = self._side()
        if self.word in _COMPARE:
            mark = self._words[self._at]
            self._at += 1
            return Comparison(left, mark, self._side())
        if isinstance(left, Number):
            raise Unreadable("A number alone is no condition.", "compare it: `name == number`.")
        return Truth(left.name)

    def _took(self, word: str) -> bool:
        if self.word != word:
            return False
        self._at += 1
        return True

    def _needs(self, word: str) -> None:
        if not self._took(word):
            raise _unexpected(self.word)

    def _side(self) -> Name | Number:
        word = self.word
        if word is None or word in ("and", "or", "not", "given", "(", ")") or word in _COMPARE:
            raise _unexpected(word)
        self._at += 1
        if word[0].isalpha():
            return Name(word)
        bare = word.removeprefix("-")
        number = int(bare, 16) if bare.startswith("0x") else float(bare)
        return Number(-number if word[0] == "-" else number)
