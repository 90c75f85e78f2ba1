"""Pure. The content of the status file, schema `status/1`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from edge_agent.common.words import counted
from edge_agent.contract.message import BirthBody
from edge_agent.delivery.clock import ClockFigures
from edge_agent.delivery.machine import Figures
from edge_agent.io.lessons_file import LessonsFigures
from edge_agent.io.mqtt import LinkFigures
from edge_agent.io.mqtt_tls import Ending
from edge_agent.model.points import Site
from edge_agent.model.reading import Happening
from edge_agent.saver import SaverFigures


class BusFigures(Protocol):
    """What is asked of the buses."""

    def figures(self) -> Mapping[str, Any]:
        """By bus."""
        ...

    def counts(self) -> dict[int, int]:
        """Readings by series index."""
        ...


def status_body(
    site: Site,
    birth: BirthBody,
    identity: Mapping[str, object],
    *,
    clock: ClockFigures,
    utc_ms: int | None,
    now_ms: int,
    link: LinkFigures,
    ending: Ending | None,
    delivery: Figures | None,
    refused: int,
    buses: BusFigures,
    saver: SaverFigures,
    learned: LessonsFigures,
    standing: Sequence[Happening],
) -> dict[str, object]:
    """JSON values only. Times end in their unit; mono_ms is the boot's monotonic clock when this was written."""
    counts = buses.counts()
    return {
        **identity,
        "site": site.site,
        "gateway": site.gateway,
        "mono_ms": now_ms,
        "utc_ms": utc_ms,
        "clock": msgspec.to_builtins(clock),
        "link": {**msgspec.to_builtins(link), "inbox_refused": refused, "certificate": _certificate(ending, utc_ms)},
        "delivery": msgspec.to_builtins(delivery) if delivery else None,
        "buses": {id: msgspec.to_builtins(figures) for id, figures in buses.figures().items()},
        "saver": msgspec.to_builtins(saver),
        "learned": msgspec.to_builtins(learned),
        "standing": [
            {"kind": e.kind, "subject": e.subject, "reason": e.reason, "since_s": (now_ms - e.taken_ms) // 1000} for e in standing
        ],
        "series": [{"device": s.device, "point": s.point, "taken": counts.get(s.i, 0)} for s in birth.series],
    }


def _certificate(ending: Ending | None, utc_ms: int | None) -> dict[str, object] | None:
    if ending is None:
        return None
    days = None if utc_ms is None else ending.days(utc_ms)
    return {"file": ending.file, "ends_ms": ending.ends_ms, "days": days}


def figures_text(delivery: Figures | None, link: LinkFigures, standing: int, clock: ClockFigures) -> str:
    """One line for `systemctl status`."""
    parts = [f"link {'up' if link.up else 'down'}", f"clock {clock.source or 'unknown'}"]
    if delivery is not None:
        waits = counted(delivery.depth, "batch waits", "batches wait")
        parts += [f"{counted(delivery.taken, 'reading')} taken", f"{delivery.delivered} delivered", waits]
    if standing:
        parts.append(counted(standing, "trouble"))
    return ", ".join(parts)
