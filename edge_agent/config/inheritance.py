"""Pure. A profile that extends another one: what it takes over, what it lays over it, what it leaves out."""

from __future__ import annotations

from edge_agent.common.located import Findings, Located, merged
from edge_agent.common.located_model import choices, closest
from edge_agent.config.addressing import WIRE, Counting, counting_of, in_wire

_OWN = frozenset(("maker", "model", "title", "version", "source", "verified", "identify", "extends", "without"))
"""Keys that speak of one model alone: they are not taken over."""


def inherited(own: Located, parent: Located | None, parent_name: str, findings: Findings) -> Located:
    """The tree of a profile with wire addresses, laid over that of the one it extends.

    Adds CFG028 for a `without` that names nothing, CFG032.
    """
    counting = counting_of(own.get("addresses"))
    if parent is None:
        return in_wire(own, counting or WIRE, findings)
    counting = counting or counting_of(parent.get("addresses")) or WIRE
    taken = {key: child for key, child in parent.mapping.items() if key not in _OWN}
    points = parent.get("points")
    known = {_id(point): point for point in (points.items if points is not None else [])}
    dropped = _dropped(own, known, parent_name, findings)
    if points is not None:
        taken["points"] = Located([point for name, point in known.items() if name not in dropped], points.mark)
    return merged(Located(taken, parent.mark, parent.keys), lowered_like(own, known, counting, findings))


def lowered_like(node: Located, known: dict[str, Located], counting: Counting, findings: Findings, context: str = "") -> Located:
    """The tree with wire addresses; a point that does not say its table has that of the known point with its id."""
    points = node.get("points")
    lowered = in_wire(
        Located({k: v for k, v in node.mapping.items() if k != "points"}, node.mark, node.keys), counting, findings, context
    )
    if points is None:
        return lowered
    made = []
    for point in points.items:
        like = known.get(_id(point))
        table = like.get("table") if like is not None else None
        made.append(in_wire(point, counting, findings, context, table.text if table is not None else ""))
    listed = Located(made, points.mark) if isinstance(points.value, list) else points
    return Located({**lowered.mapping, "points": listed}, node.mark, node.keys)


def _dropped(own: Located, known: dict[str, Located], parent_name: str, findings: Findings) -> set[str]:
    without = own.get("without")
    dropped = set()
    for at in without.items if without is not None else []:
        if at.text and at.text not in known:
            near = closest(at.text, list(known))
            do = f"write `{near}`." if near else f"write one of {choices(list(known))}."
            findings.add("CFG028", at.mark, f"The profile `{parent_name}` has no point `{at.text}`.", do)
        dropped.add(at.text)
    return dropped


def _id(point: Located) -> str:
    at = point.get("id")
    return at.text if at is not None else ""
