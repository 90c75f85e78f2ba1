"""Does I/O: `python -m tests.chaos --broker both --kills 500 --lines 2 --seed 7`: the real programs under chaos, and the account.

Exit code 0: nothing lost, nothing doubled, no wrong stamp. 1: something was, and the folder stays. 2: too few readings were past
their window.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos.part import ChaosError
from tests.chaos.report import counts, text
from tests.chaos.run import Outcome, Pulse, Wish, commit, run_line


def main(arguments: list[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="The real programs under kills and faults.")
    parser.add_argument("--broker", choices=("mosquitto", "embedded", "both"), default="both", help="both: in turn, line by line")
    parser.add_argument("--kills", type=int, default=0, help="all lines together; 0: until --seconds are over")
    parser.add_argument("--seconds", type=float, default=0.0, help="of each line, without start and end")
    parser.add_argument("--lines", type=int, default=2, help="so many side by side (2)")
    parser.add_argument("--seed", help="what is drawn depends on it alone; without it a fresh one")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a run that went well, too")
    chosen = parser.parse_args(arguments)
    if not chosen.kills and not chosen.seconds:
        chosen.seconds = 60.0
    seed = chosen.seed or secrets.token_hex(3)
    brokers = {"both": ["mosquitto", "embedded"]}.get(chosen.broker, [chosen.broker])
    wishes = [Wish(brokers[n % len(brokers)], -(-chosen.kills // chosen.lines), chosen.seconds, seed) for n in range(chosen.lines)]
    if (
        "mosquitto" in {wish.broker for wish in wishes}
        and shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin") is None
    ):
        parser.error("Mosquitto is missing: apt-get install mosquitto, or --broker embedded")
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    again = f"python -m tests.chaos --broker {chosen.broker} --lines {chosen.lines} --seed {seed}"
    again += (f" --kills {chosen.kills}" if chosen.kills else "") + (f" --seconds {chosen.seconds:.0f}" if chosen.seconds else "")
    print(f"chaos: seed {seed}, commit {commit()}, began {time.strftime('%Y-%m-%d %H:%M:%S')}, folder {folder}", flush=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    outcomes, failures, longest_stall_ms = run(wishes, folder, stop)
    print(text(outcomes, longest_stall_ms))
    for failure in failures:
        print(f"FAILED {failure}")
    code = 1 if failures or any(not outcome.is_clean for outcome in map(counts, outcomes)) else 0
    if code == 0 and any(not outcome.is_enough for outcome in map(counts, outcomes)):
        print("This run does not count: fewer than 80 % of the readings were past their window.")
        code = 2
    if code:
        print(f"The folder stays: {folder}\nAgain: {again}")
    elif not chosen.keep:
        shutil.rmtree(folder)
    return code


def run(wishes: list[Wish], folder: Path, stop: threading.Event) -> tuple[list[Outcome], list[str], int]:
    """All lines; what came of them, what went wrong, the longest stall of the machine in ms. stop: ends them before their time."""
    outcomes, failures = [], []

    def watched(n: int, wish: Wish) -> Outcome:
        try:
            return run_line(n, wish, folder, pulse, stop)
        except BaseException:
            stop.set()
            raise

    with Pulse() as pulse, ThreadPoolExecutor(len(wishes)) as pool:
        running = [pool.submit(watched, n + 1, wish) for n, wish in enumerate(wishes)]
        for line in running:
            try:
                outcomes.append(line.result())
            except ChaosError as error:
                failures.append(str(error))
            except Exception:  # noqa: BLE001 - a defect of chaos itself: the other lines end, and it is shown
                failures.append(traceback.format_exc())
    return outcomes, failures, pulse.longest_ms()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
