"""Does I/O: mutates the kept corpus and says how fast and how lean: `python -m tests.fuzz --target contract --runs 100000`."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from pathlib import Path

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import ACCEPTED, Target, seeded, target

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(__file__).parent / "found"
GOLDEN = Path(__file__).parents[1] / "golden"
ROOT = Path(__file__).parents[2]
SHARES = {"contract": 60, "receipt": 10, "frames": 29, "yaml": 1}
"""Of 100 runs of `all`, by how fast each is and how often such bytes come."""
MOST_GROWTH_KB = 8192
"""After the first tenth, which fills what is kept on purpose (caches of epochs, expressions, models)."""


def corpus_of(name: str) -> list[bytes]:
    """Kept examples of a target, with the golden files it shares."""
    files = sorted((CORPUS / name).glob("*"))
    if name == "contract":
        files += [
            f for f in sorted((GOLDEN / "contract" / "v1").iterdir()) if f.suffix in {".json", ".bin"} and "receipt" not in f.name
        ]
    if name == "receipt":
        files += [
            f for f in sorted((GOLDEN / "contract" / "v1").iterdir()) if f.suffix in {".json", ".bin"} and "receipt" in f.name
        ]
    if name == "yaml":
        files += [*sorted((GOLDEN / "site").glob("*.yaml")), ROOT / "examples" / "site.yaml", ROOT / "examples" / "county.yaml"]
    return [file.read_bytes() for file in files]


def resident_kb() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4


def fuzz(name: str, runs: int, seed: int, found: Path = FOUND, run: Target | None = None) -> bool:
    """One target. False where something broke, its bytes are then kept in `found`, or where memory grew."""
    chance, corpus = seeded(seed, name), corpus_of(name)
    run = run or target(name)
    for kept in corpus:
        run(kept)
    accepted, begin_s, first_kb = 0, time.perf_counter(), 0
    for number in range(runs):
        data = mutated(chance, corpus)
        try:
            accepted += run(data) == ACCEPTED
        except Exception as error:  # noqa: BLE001 - whatever is not the documented refusal is what is looked for
            found.mkdir(exist_ok=True)
            (found / f"{name}-{seed}-{number}").write_bytes(data)
            print(f"{name}: seed {seed}, run {number}: {type(error).__name__}: {error}\n  {data[:300]!r}", flush=True)
            return False
        if number == runs // 10:
            gc.collect()
            first_kb = resident_kb()
    spent_s = time.perf_counter() - begin_s
    gc.collect()
    grown_kb = resident_kb() - first_kb
    print(
        f"{name}: {runs:,} runs, seed {seed}, {runs / max(spent_s, 1e-9):,.0f} runs/s, "
        f"{100 * accepted / max(runs, 1):.1f} % accepted, "
        f"{resident_kb() / 1024:.1f} MB resident, grown by {grown_kb} kB since the first tenth",
        flush=True,
    )
    return grown_kb <= MOST_GROWTH_KB


def main(arguments: list[str]) -> int:
    """Exit code 1 where a target broke or its memory grew."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Mutation of kept examples against every decoder.")
    parser.add_argument("--target", choices=[*SHARES, "all"], default="all")
    parser.add_argument("--runs", type=int, default=20_000, help="how many (20000); of `all`, shared among the targets")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    names = list(SHARES) if chosen.target == "all" else [chosen.target]
    shares = {name: chosen.runs * SHARES[name] // 100 if chosen.target == "all" else chosen.runs for name in names}
    return 0 if all(fuzz(name, shares[name], chosen.seed) for name in names) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
