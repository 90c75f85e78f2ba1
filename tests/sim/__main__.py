"""Does I/O: runs seeds of the simulator and says how fast: `python -m tests.sim --seeds 200`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.sim.scenario import run
from tests.sim.world import SimFailure


def main(arguments: list[str]) -> int:
    """Exit code 1 if a seed fails; the failing seeds are printed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description="The line under faults, in one seeded thread.")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds (100)")
    parser.add_argument("--start", type=int, default=0, help="the first one (0)")
    parser.add_argument("--seed", type=int, help="this one alone, with what it did")
    chosen = parser.parse_args(arguments)
    seeds = [chosen.seed] if chosen.seed is not None else range(chosen.start, chosen.start + chosen.seeds)
    begin_s, hours, failed = time.process_time(), 0.0, []
    for seed in seeds:
        try:
            outcome = run(seed)
        except SimFailure as failure:
            print(failure, flush=True)
            failed.append(seed)
            continue
        hours += outcome.gateway_hours
        if chosen.seed is not None:
            print(outcome)
    spent_s = max(time.process_time() - begin_s, 1e-9)
    print(f"{len(seeds)} seeds, {hours:.0f} gateway-hours, {hours * 3600 / spent_s:,.0f} gateway-hours per CPU-hour")
    if failed:
        print(f"failed: {' '.join(map(str, failed))}  (repeat one with --seed N)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
