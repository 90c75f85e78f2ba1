"""Does I/O: runs the simulator over many seeds: `python -m tests.sim --seeds 1000 --start 1`, or one: `--seed 17`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.sim.oracles import Broken
from tests.sim.run import Run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="this seed alone")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--start", type=int, default=1)
    asked = parser.parse_args()
    seeds = [asked.seed] if asked.seed is not None else range(asked.start, asked.start + asked.seeds)
    hours, readings, must, kills, broken = 0.0, 0, 0, 0, 0
    began_s = time.process_time()
    for seed in seeds:
        try:
            outcome = Run(seed).go()
        except Broken as failure:
            broken += 1
            print(f"BROKEN {failure}  (make sim SEED={seed}; add the seed to tests/sim/corpus.txt)")
            continue
        hours, readings, must, kills = (
            hours + outcome.hours,
            readings + outcome.readings,
            must + outcome.must_arrive,
            kills + outcome.kills,
        )
    cpu_s = time.process_time() - began_s
    print(f"{len(seeds)} seeds, {hours:.0f} gateway-hours, {kills} faults, {broken} broken")
    print(f"{readings} readings, {must} of them past their window")
    print(f"{hours / (cpu_s / 3600):,.0f} gateway-hours per CPU-hour")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
