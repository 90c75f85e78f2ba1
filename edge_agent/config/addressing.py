"""Pure. Addresses as a manual prints them, to wire addresses that count from 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from edge_agent.common.located import Findings, Located
from edge_agent.model.points import Table

_TABLES = get_args(Table)


@dataclass(frozen=True, slots=True)
class Counting:
    """The number that a manual gives to the first address of each table."""

    first: Mapping[str, int]


WIRE = Counting(dict.fromkeys(_TABLES, 0))


def counting_of(node: Located | None) -> Counting | None:
    """What `addresses` says; None where it says nothing, or nothing that can be used (the schema tells of that)."""
    first = node.get("first") if node is not None else None
    if first is None:
        return None
    if isinstance(first.scalar, int) and not isinstance(first.scalar, bool):
        return Counting(dict.fromkeys(_TABLES, first.scalar))
    said = {table: at.scalar for table, at in first.mapping.items()}
    return Counting({t: n for t, n in said.items() if isinstance(n, int) and not isinstance(n, bool)}) if said else None


def in_wire(node: Located, counting: Counting, findings: Findings, context: str = "", table: str = "") -> Located:
    """The tree with every register address lowered to the wire's. table: that of a node which does not say its own.

    Adds CFG032 for an address below the manual's first one, or of a table whose first address the manual does not give.
    """
    if counting == WIRE:
        return node
    if isinstance(node.value, list):
        return Located([in_wire(child, counting, findings, context, table) for child in node.value], node.mark)
    if not isinstance(node.value, dict):
        return node
    own = node.get("table")
    table = own.text if own is not None and own.text in _TABLES else table or "holding"
    is_range = "first" in node.mapping and "last" in node.mapping
    made = {}
    for key, child in node.value.items():
        if key == "address" or (is_range and key in ("first", "last")):
            made[key] = _lowered(child, table, counting, findings, context)
        elif key in ("nameplate", "addresses"):
            made[key] = child
        elif key == "write":
            made[key] = in_wire(child, counting, findings, context, {"discrete": "coil", "input": "holding"}.get(table, table))
        else:
            made[key] = in_wire(child, counting, findings, context, table)
    return Located(made, node.mark, node.keys)


def _lowered(at: Located, table: str, counting: Counting, findings: Findings, context: str) -> Located:
    number = at.scalar
    if not isinstance(number, int) or isinstance(number, bool):
        return at
    first = counting.first.get(table)
    if first is None:
        do = f"add `{table}: ...` to `first`, the number of its first address in the manual."
        findings.add("CFG032", at.mark, f"`addresses` does not say how the manual counts the table `{table}`.", do, context)
        return at
    if number < first:
        what = f"The address {number} lies below {first}, which `addresses` names as the first of table `{table}`."
        findings.add("CFG032", at.mark, what, "mend the address, its `table`, or `addresses`.", context)
        return at
    return Located(number - first, at.mark)
