"""Does I/O: runs seeds of the simulator and says how fast: `python -m tests.sim --seeds 200`.

A seed that fails is printed with the commit, shrunk, and printed again as a line for corpus.txt.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.sim.plan import plan
from tests.sim.scenario import Outcome
from tests.sim.shrink import Case, read_case, shrink
from tests.sim.world import SimFailure

COLLECT_EVERY = 10
"""Seeds between two looks for garbage: a run leaves rings, and looking for them all the time costs a tenth."""
MOST_SHRUNK = 3


def main(arguments: list[str]) -> int:
    """Exit code 1 if a seed fails; the failing seeds are printed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description="The line under faults, in one seeded thread.")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds (100)")
    parser.add_argument("--start", type=int, default=0, help="the first one (0)")
    parser.add_argument("--seed", help="this one alone, with what it did; a line of corpus.txt may follow the number")
    parser.add_argument("--hours", type=float, help="ends after so many gateway-hours, whatever --seeds says")
    chosen = parser.parse_args(arguments)
    one = read_case(chosen.seed) if chosen.seed is not None else None
    cases = [one] if one is not None else (Case(seed) for seed in _seeds(chosen.start, chosen.seeds, chosen.hours))
    gc.disable()
    tally = Tally(chosen.hours, print_each=one is not None)
    tally.take(cases)
    print(tally.words())
    for failed in tally.failed[:MOST_SHRUNK] if one is None else ():
        case, failure = shrink(failed.seed, tell=lambda text: print(f"  {text}", flush=True))
        print(f"{failure}\nfor corpus.txt:  {case}  # {failure.splitlines()[0]}", flush=True)
    if tally.failed:
        print(f"failed at commit {commit()}: {' '.join(str(c) for c in tally.failed)}  (repeat one with --seed 'N')")
    return 1 if tally.failed else 0


def _seeds(start: int, count: int, hours: float | None) -> range:
    return range(start, start + (count if hours is None else 1 << 40))


class Tally:
    """Adds up runs."""

    def __init__(self, hours: float | None, print_each: bool) -> None:
        self._most_hours, self._print_each = hours, print_each
        self.failed: list[Case] = []
        self._hours: Counter[str] = Counter()
        self._cpu_s: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._first = self._last = -1

    def take(self, cases: Iterable[Case]) -> None:
        """Runs them until enough hours are done."""
        for case in cases:
            if self._first < 0:
                self._first = case.seed
            self._last = case.seed
            begin_s = time.process_time()
            try:
                outcome = case.run()
            except SimFailure as failure:
                print(f"{failure}\n  commit {commit()}", flush=True)
                self.failed.append(case)
                continue
            if not case.seed % COLLECT_EVERY:
                gc.collect()
            self._add(outcome, time.process_time() - begin_s)
            if self._print_each:
                print(outcome)
            if self._most_hours is not None and sum(self._hours.values()) >= self._most_hours:
                break

    def _add(self, outcome: Outcome, spent_s: float) -> None:
        self._hours[outcome.pace] += outcome.gateway_hours  # type: ignore[assignment]
        self._cpu_s[outcome.pace] += spent_s  # type: ignore[assignment]
        self._sums.update(
            seeds=1, faults=outcome.faults, readings=outcome.readings, warnings=outcome.warnings, compared=int(outcome.compared),
            engine=int(plan(outcome.seed).has_engine), files=int(plan(outcome.seed).has_files),
        )  # fmt: skip

    def words(self) -> str:
        """What was run, and how fast."""
        hours, cpu_s, sums = sum(self._hours.values()), max(sum(self._cpu_s.values()), 1e-9), self._sums
        paces = ", ".join(
            f"{pace} {done:,.0f} at {done * 3600 / max(self._cpu_s[pace], 1e-9):,.0f}" for pace, done in sorted(self._hours.items())
        )
        return (
            f"seeds {self._first}-{self._last} at commit {commit()}: {sums['seeds']} well, {len(self.failed)} failed; "
            f"{hours:,.0f} gateway-hours, {hours * 3600 / cpu_s:,.0f} gateway-hours per CPU-hour ({paces})\n"
            f"{sums['faults']:,} faults beside lost and doubled messages; {sums['readings']:,} readings and events; "
            f"{sums['engine']} seeds with the warning engine ({sums['warnings']} warnings, {sums['compared']} seeds compared "
            f"with a line without faults), {sums['files']} with real files"
        )


def commit() -> str:
    """The commit that runs, marked if it was changed."""
    asked = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=9"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
