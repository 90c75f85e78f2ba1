"""Pure. Trees of plain values in which every value knows where it stands: file, line, column.

Trees are never changed; `merged` and `with_value` give new ones whose parts keep their own places, so that an error in a
merged configuration still points at the file that said it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent.common.problem import Problem, ProblemError

Scalar = str | int | float | bool | None
Key = str | int
Path = tuple[Key, ...]


class Mark(NamedTuple):
    """A place. line and column count from 1; line 0: the source has no lines (an environment variable)."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Located:
    """One value with its place: a scalar, a mapping of texts, or a list."""

    value: Scalar | dict[str, Located] | list[Located]
    mark: Mark
    keys: Mapping[str, Mark] = field(default_factory=dict)
    """Where each key of a mapping stands."""

    @property
    def mapping(self) -> dict[str, Located]:
        """The mapping, or an empty one where the value is something else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Located]:
        """The list, or an empty one where the value is something else."""
        return self.value if isinstance(self.value, list) else []

    @property
    def scalar(self) -> Scalar:
        """The scalar; None for mappings and lists."""
        return None if isinstance(self.value, dict | list) else self.value

    @property
    def text(self) -> str:
        """The scalar if it is a text, else empty; full-width characters folded as in ids."""
        return unicodedata.normalize("NFKC", self.value).strip() if isinstance(self.value, str) else ""

    def child(self, key: Key) -> Located | None:
        """The value of a key or index; None where there is none."""
        if isinstance(key, str):
            return self.mapping.get(key)
        return self.items[key] if 0 <= key < len(self.items) else None

    def get(self, *path: Key) -> Located | None:
        """The value at a path; None where there is none."""
        node: Located | None = self
        for key in path:
            node = node.child(key) if node is not None else None
        return node

    def plain(self) -> object:
        """The same as dicts, lists and scalars, without places."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def leaves(self, path: Path = ()) -> Iterator[tuple[Path, Located]]:
        """Every scalar (and empty mapping or list) with its path, in the order of the file."""
        children: list[tuple[Key, Located]] = [*self.mapping.items(), *enumerate(self.items)]
        if not children:
            yield path, self
        for key, child in children:
            yield from child.leaves((*path, key))


def by_id(node: Located) -> dict[str, Located] | None:
    """The items of a list by their `id`; None if it is no list, is empty, or an item has no text `id` of its own."""
    ids = [item.mapping["id"].text if "id" in item.mapping else "" for item in node.items]
    return dict(zip(ids, node.items, strict=True)) if ids and all(ids) and len(set(ids)) == len(ids) else None


def merged(below: Located, above: Located) -> Located:
    """`above` laid over `below`: mappings key by key, lists of items with ids item by item, anything else replaced."""
    if isinstance(below.value, dict) and isinstance(above.value, dict):
        children = dict(below.value)
        for key, child in above.value.items():
            children[key] = merged(children[key], child) if key in children else child
        return Located(children, above.mark, {**below.keys, **above.keys})
    lower, upper = by_id(below), by_id(above)
    if lower is not None and upper is not None:
        items = {name: merged(item, upper[name]) if name in upper else item for name, item in lower.items()}
        return Located([*items.values(), *(item for name, item in upper.items() if name not in lower)], below.mark)
    return above


def with_value(tree: Located, path: Path, value: Located) -> Located:
    """The tree with `value` at `path`; mappings that are missing on the way are made. Raises LookupError for a wrong list index."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    empty = Located({}, value.mark)
    if isinstance(key, int):
        items = list(tree.items)
        if not 0 <= key <= len(items):
            raise LookupError(f"{key} of {len(items)}")
        items[key : key + 1] = [with_value(items[key] if key < len(items) else empty, rest, value)]
        return Located(items, tree.mark)
    below = tree.child(key) or empty
    keys = {**tree.keys, key: tree.keys.get(key, value.mark)}
    return Located({**tree.mapping, key: with_value(below, rest, value)}, tree.mark, keys)


class Findings:
    """Problems of one load, each at a place; shown in the order of the files."""

    def __init__(self) -> None:
        self._found: list[tuple[Mark, Problem]] = []

    def add(self, code: str, mark: Mark, what: str, do: str, context: str = "") -> None:
        """One problem at a place, with the words of where it is in the plant (`bus "rs485-1" / device "pump-2"`)."""
        where = f"{mark}   {context}" if context else str(mark)
        problem = Problem(code, where, what, do)
        if all(problem != known for _, known in self._found):
            self._found.append((mark, problem))

    def extend(self, other: Findings) -> None:
        """All of another's."""
        self._found += [entry for entry in other._found if entry not in self._found]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """In the order of files and lines."""
        return tuple(problem for _, problem in sorted(self._found, key=lambda entry: entry[0]))

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_if_any(self) -> None:
        """Raises ProblemError with all of them."""
        if self._found:
            raise ProblemError(self.problems)
