"""Pure. The account of a run in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.run import ENOUGH, Outcome

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one line."""

    is_clean: bool
    is_enough: bool


def counts(outcome: Outcome) -> Counts:
    """Whether it is clean, and whether it counts."""
    bad = sum(outcome.total(name) for name in ("lost", "doubled", "wrong")) + outcome.holes_unseen
    return Counts(bad == 0, outcome.total("past_window") >= ENOUGH * outcome.total("served") > 0)


def text(outcomes: Sequence[Outcome], longest_stall_ms: int) -> str:
    """The whole report."""
    lines = []
    everything: Counter[tuple[str, str]] = sum((outcome.kills for outcome in outcomes), Counter())
    for outcome in outcomes:
        lines += _line(outcome)
    aimed = sum(count for (_, aim), count in everything.items() if aim)
    lines.append(f"kills   {everything.total()}, {aimed} of them aimed at commit points")
    for kind in sorted({kind for kind, _ in everything}):
        those = {aim: count for (of, aim), count in everything.items() if of == kind}
        parts = [f"{those.get('', 0)} anywhere", *(f"{count} at {aim}" for aim, count in sorted(those.items()) if aim)]
        lines.append(f"        {kind}: {sum(those.values())} ({', '.join(parts)})")
    rests = [rest for outcome in outcomes for rest in outcome.rests_s]
    lines.append(f"rest    {max(rests, default=0):.1f} s at the longest until the backlog was drained; the machine stalled "
                 f"{longest_stall_ms} ms at the longest")  # fmt: skip
    names = ("served", "past_window", "stored", "thrown_away", "lost", "doubled", "wrong")
    sums = {name: sum(outcome.total(name) for outcome in outcomes) for name in names}
    lines.append(_figures(sums))
    return "\n".join(lines)


def _figures(sums: dict[str, int]) -> str:
    share = sums["past_window"] / sums["served"] if sums["served"] else 0.0
    return (
        f"account {sums['served']:,} readings served, {sums['past_window']:,} past their window ({share:.1%}), "
        f"{sums['stored']:,} stored; lost {sums['lost']}, doubled {sums['doubled']}, wrong stamp or value {sums['wrong']}; "
        f"given up by restores {sums['thrown_away']:,}"
    )


def _line(outcome: Outcome) -> list[str]:
    lines = [f"{outcome.name}  {outcome.broker}, {len(outcome.verdicts)} agents, {outcome.kills.total()} kills"]
    lines.append("        faults: " + ", ".join(f"{name} {count}" for name, count in sorted(outcome.faults.items())))
    lines.append(
        f"        messages doubled {outcome.twice}, out of order {outcome.swapped}; starts refused on a full disk "
        f"{outcome.refused_starts}; came to rest in {', '.join(f'{s:.1f}' for s in outcome.rests_s)} s"
    )
    if outcome.total("batches_thrown_away"):
        hidden = outcome.holes_unseen + outcome.holes_unheard
        lines.append(
            f"        batches given up by restores: {outcome.total('batches_thrown_away')}, absent in `collector account`: "
            f"{outcome.total('batches_thrown_away') - hidden}; at the end of a run of an agent that was over before the restore, "
            f"so that nobody could tell: {outcome.holes_unheard}; not shown: {outcome.holes_unseen}"
        )
    lines += [f"        left out: {what}" for what in outcome.left_out]
    for gateway, verdict in outcome.verdicts.items():
        named = {name: len(value) if isinstance(value := getattr(verdict, name), list) else value
                 for name in ("served", "past_window", "stored", "thrown_away", "lost", "doubled", "wrong")}  # fmt: skip
        lines.append(f"  {gateway}  " + _figures(named).removeprefix("account "))
        for name in ("lost", "doubled", "wrong"):
            found = getattr(verdict, name)
            lines += [f"    {name}: {reading}" for reading in found[:SHOWN]]
            if len(found) > SHOWN:
                lines.append(f"    {name}: and {len(found) - SHOWN} more")
    return lines
