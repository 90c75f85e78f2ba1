"""Does I/O: runs exchanges under faults and prints the account: `python -m tests.bus_faults --exchanges 1000000 --seed 1`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping

from edge_agent.model.points import Framing
from tests.bus_faults.run import FRAMINGS, Account, Episode, run


def main(arguments: list[str]) -> int:
    """Exit code 1 where a value was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bus_faults", description="Exchanges under faults in simulated time.")
    parser.add_argument("--exchanges", type=int, default=20_000, help="so many with at least one fault (20000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--framing", choices=FRAMINGS, help="this one alone")
    parser.add_argument("--episode", type=int, help="one episode of --framing again, by the number in what is printed")
    chosen = parser.parse_args(arguments)
    if chosen.episode is not None:
        episode = Episode(chosen.framing or "rtu", chosen.episode)
        show({episode.framing: episode.run()}, 0.0)
        return bool(episode.account.wrong)
    begun_s = time.perf_counter()
    accounts = run(chosen.exchanges, chosen.seed, (chosen.framing,) if chosen.framing else FRAMINGS)
    show(accounts, time.perf_counter() - begun_s)
    return int(any(account.wrong for account in accounts.values()))


def show(accounts: Mapping[Framing, Account], spent_s: float) -> None:
    """The account as a table, then what was wrong."""
    total = Account()
    for account in accounts.values():
        total.add(account)
    print("| framing | exchanges | with a fault | reads, writes | values | no value | one of two | unseen damage | wrong |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, account in [*accounts.items(), ("all", total)]:
        two, unseen, wrong = (account.verdicts[verdict] for verdict in ("one of two", "unseen damage", "wrong"))
        none = account.reads - account.values
        print(
            f"| {name} | {account.questions:,} | {account.faulty:,} | {account.reads:,} | {account.values:,} "
            f"| {none:,} | {two:,} | {unseen} | **{wrong}** |"
        )
    print("\nplanted: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(total.planted.items())))
    print("no value: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(total.failures.items())))
    if spent_s:
        print(f"{spent_s:,.0f} s, {total.questions / spent_s:,.0f} exchanges a second")
    for line in total.wrong:
        print(f"WRONG: {line}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
