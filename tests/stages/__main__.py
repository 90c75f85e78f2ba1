"""Does I/O: plants every break in a copy of the repository and shows that tests notice: `python -m tests.stages`.

python -m tests.stages --only rules-gap-counts     one break (may be repeated), with pytest's words when nothing noticed it
python -m tests.stages --write                     all of them; then the table in docs/testing.md is written anew
"""

from __future__ import annotations

import argparse
import sys

from tests.stages import table
from tests.stages.breaks import BREAKS
from tests.stages.run import run
from tests.stages.workbench import Unsound


def main() -> int:
    """0: every break was noticed. 1: at least one was not, or could not be planted. 2: no such break."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.stages", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this break alone; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="copies that work side by side (default 2)")
    parser.add_argument("--write", action="store_true", help="write the table into docs/testing.md when every break was noticed")
    parser.add_argument("--list", action="store_true", help="name the breaks and stop")
    asked = parser.parse_args()
    chosen = [planned for planned in BREAKS if not asked.only or planned.name in asked.only]
    unknown = set(asked.only) - {planned.name for planned in chosen}
    if unknown:
        parser.error(f"no such break: {', '.join(sorted(unknown))}")
    if asked.list:
        print("\n".join(f"{planned.name:32} {planned.stage}" for planned in chosen))
        return 0
    try:
        unnoticed = run(chosen, asked.jobs, lambda words: print(words, file=sys.stderr, flush=True))
    except Unsound as unsound:
        print(unsound, file=sys.stderr)
        return 1
    if unnoticed:
        print(f"{len(unnoticed)} of {len(chosen)} breaks were not noticed: {', '.join(unnoticed)}", file=sys.stderr)
        return 1
    print(table.markdown(chosen), end="")
    if asked.write and len(chosen) == len(BREAKS):
        table.write(BREAKS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
