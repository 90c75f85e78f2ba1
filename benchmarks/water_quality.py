"""Scores the shipped rule `water-quality-event` on a labelled record, through the real engine, one causal pass.

    python benchmarks/water_quality.py PATH/train.csv.gz [--from 2016-08-13] [--to 2016-08-17]

The record is the GECCO 2018 Industrial Challenge's (TH Köln SPOTSeven Lab and Thüringer Fernwasserversorgung): one row a minute,
`event` marks what experts called an undesirable change. The engine sees each row once, in order, and never the marks.
A minute counts as alarmed while the condition holds and after its dwell: from the moment the warning is raised to its end.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import statistics
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from collector.config.rules_file import load_rules
from collector.domain.county import County
from collector.domain.identity import GatewayId, SeriesKey
from collector.domain.interpreted import Interpreted
from collector.domain.series import SeriesColumn, SeriesInfo
from collector.rules.changes import Raised
from collector.rules.engine import Engine
from edge_agent.contract.message import NORMAL, Text
from edge_agent.contract.quality import Quality

GATEWAY = GatewayId("gecco", "gw-1")
COLUMNS = {
    "chlorine_dioxide_1": ("clo2-1", "water.chlorine-dioxide", "mg/l"), "ph": ("ph", "water.ph", "pH"),
    "redox": ("redox", "water.redox", "mV"), "conductivity": ("conductivity", "water.conductivity", "uS/cm"),
    "turbidity": ("turbidity", "water.turbidity", "NTU"), "chlorine_dioxide_2": ("clo2-2", "water.chlorine-dioxide", "mg/l"),
    "temperature": ("temperature", "water.temperature", "degC"),
}  # fmt: skip
MINUTE_MS = 60_000
Span = tuple[int, int]


def rows(path: Path) -> Iterator[tuple[int, dict[str, float | None], bool]]:
    with gzip.open(path, "rt", encoding="ascii") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["time"].replace("Z", "+00:00")).astimezone(UTC)
            values = {name: float(row[name]) if row[name] else None for name in COLUMNS}
            yield round(at.timestamp() * 1000), values, row["event"] == "1"


def spans(times: Sequence[int], marks: Sequence[bool]) -> list[Span]:
    found: list[Span] = []
    open_ = False
    for at_ms, marked in zip(times, marks, strict=True):
        if marked and open_:
            found[-1] = (found[-1][0], at_ms)
        elif marked:
            found.append((at_ms, at_ms))
        open_ = marked
    return found


def alarms(path: Path) -> tuple[list[int], list[bool], list[bool]]:
    """Times, marks of the experts, and whether the rule's warning stood at each row."""
    engine = Engine([load_rules()["water-quality-event"]], County(Text("", "")))
    times: list[int] = []
    marks: list[bool] = []
    told: list[Span] = []
    standing: dict[str, int] = {}
    for seq, (at_ms, values, marked) in enumerate(rows(path), start=1):
        times.append(at_ms)
        marks.append(marked)
        columns = tuple(
            SeriesColumn(
                SeriesInfo(SeriesKey(*GATEWAY, "panel", point), unit=unit, role=role, period_ms=MINUTE_MS),
                (at_ms,), (values[name],), (0 if values[name] is not None else int(Quality.BAD_SENSOR),),
            )
            for name, (point, role, unit) in COLUMNS.items()
        )  # fmt: skip
        # A minute of slack on arrival stands for the next row: nothing is judged before it.
        message = Interpreted(seq, GATEWAY, "1-00000000000000ab", NORMAL, seq, at_ms, columns=columns)
        for change in [*engine.step(at_ms, message), *engine.step(at_ms + 31_000, ())]:
            if isinstance(change, Raised):
                standing[change.warning.id] = at_ms
            elif change.id in standing:
                told.append((standing.pop(change.id), change.over_ms - 1))
    told += [(begin, times[-1]) for begin in standing.values()]
    return times, marks, stood(times, told)


def stood(times: Sequence[int], told: Sequence[Span]) -> list[bool]:
    ordered, flags, position = sorted(told), [], 0
    for at_ms in times:
        while position < len(ordered) and ordered[position][1] < at_ms:
            position += 1
        flags.append(position < len(ordered) and ordered[position][0] <= at_ms)
    return flags


def report(times: Sequence[int], marks: Sequence[bool], flags: Sequence[bool]) -> str:
    hits = sum(m and f for m, f in zip(marks, flags, strict=True))
    false, missed = sum(flags) - hits, sum(marks) - hits
    events, episodes = spans(times, marks), spans(times, flags)
    found = [next((a for a, b in episodes if b >= begin and a <= end), None) for begin, end in events]
    delays = [max(0, a - begin) / MINUTE_MS for a, (begin, _) in zip(found, events, strict=True) if a is not None]
    wrong = [a for a, b in episodes if not any(begin <= b and a <= end for begin, end in events)]
    weeks = len(times) / (7 * 1440)
    lines = [
        f"rows {len(times)}, events {len(events)}",
        f"point F1 {2 * hits / max(1, 2 * hits + false + missed):.3f}, "
        f"false-alarm rate {false / max(1, len(times) - sum(marks)):.4f}, missed-alarm rate {missed / max(1, sum(marks)):.3f}",
        f"events hit {len(delays)} of {len(events)}, false episodes {len(wrong)} ({len(wrong) / weeks:.2f} a week), "
        f"median delay {statistics.median(delays) if delays else float('nan'):.0f} min",
        "false episodes begin: " + ", ".join(f"{datetime.fromtimestamp(a / 1000, UTC):%m-%d %H:%M}" for a in wrong[:40]),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--from", dest="begin", default="2000-01-01")
    parser.add_argument("--to", dest="end", default="2100-01-01")
    options = parser.parse_args()
    first, last = (round(datetime.fromisoformat(t).replace(tzinfo=UTC).timestamp() * 1000) for t in (options.begin, options.end))
    kept = [entry for entry in zip(*alarms(options.path), strict=True) if first <= entry[0] < last]
    times, marks, flags = zip(*kept, strict=True)
    print(report(times, marks, flags))


if __name__ == "__main__":
    main()
