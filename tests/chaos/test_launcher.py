"""The launcher's three doors: a process that kills itself where it is aimed, a clock that is off, NTP that comes and goes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.controls import Aim, AimFile, ClockFile
from tests.chaos.instrument import now_ms
from tests.chaos.launcher import SteeredClock, SteeredKernel
from tests.chaos.plan import AIMS, Plan
from tests.support.programs import REPOSITORY

PASSES = """
import sys, time
from pathlib import Path
from tests.chaos.controls import AimFile
from tests.chaos.launcher import Marksman
marksman = Marksman(AimFile(Path(sys.argv[1])))
for n in range(1, 6):
    for name in ("outbox.commit.before", "outbox.commit.after"):
        print(n, name, flush=True)
        marksman.strike(name)
time.sleep(0.2)
"""


def passes(folder: Path, aim: Aim | None) -> tuple[int, list[str]]:
    """Exit code and the passes that it made."""
    AimFile(folder).set(aim)
    done = subprocess.run([sys.executable, "-c", PASSES, str(folder)], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(
    ("aim", "last"),
    [(Aim("outbox.commit.after", 2), "2 outbox.commit.after"), (Aim("", 3), "2 outbox.commit.before"), (Aim("log.", 1), None)],
)
def test_it_dies_at_the_pass_it_is_aimed_at(aim: Aim, last: str | None, tmp_path: Path) -> None:
    code, made = passes(tmp_path, aim)
    death = AimFile(tmp_path).death()
    if last is None:
        assert (code, len(made), death) == (0, 10, None)
    else:
        assert (code, made[-1]) == (-9, last)
        assert death is not None
        assert death.hazard == last.partition(" ")[2]
        assert abs(death.at_ms - now_ms()) < 60_000


def test_a_death_that_comes_later_comes(tmp_path: Path) -> None:
    code, made = passes(tmp_path, Aim("outbox", 1, 20_000))
    assert (code, len(made)) == (-9, 10)


def test_clock_and_ntp_follow_the_file(tmp_path: Path) -> None:
    file = ClockFile(tmp_path / "clock")
    SteeredClock.shift = SteeredKernel.shift = ClockFile(tmp_path / "clock")
    clock, kernel = SteeredClock(), SteeredKernel()
    assert kernel.synchronised_within_ms() is None
    file.offset_ms, file.ntp_bound_ms = -86_400_000, 5
    assert abs(clock.utc_ms() - now_ms() + 86_400_000) < 5000
    assert kernel.synchronised_within_ms() == 5
    file.ntp_bound_ms = None
    assert (file.offset_ms, kernel.synchronised_within_ms()) == (-86_400_000, None)


def test_the_plan_depends_on_its_seed_alone() -> None:
    def drawn(seed: str) -> list[object]:
        plan = Plan(seed)
        return [draw() for _ in range(20) for draw in (plan.gap_s, plan.network, plan.disk, plan.clock, lambda: plan.aim("agent"))]

    assert drawn("1/line-1") == drawn("1/line-1") != drawn("2/line-1")


def test_half_of_all_aims_hit_a_commit_point_that_the_product_has() -> None:
    sources = [path for top in ("edge_agent", "collector") for path in (REPOSITORY / top).rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    for kind, aims in AIMS.items():
        assert all(f'hazard("{name}' in text for name, _ in aims if name), kind
    plan = Plan("7")
    assert 0.5 < sum(plan.aim("collector") is not None for _ in range(1000)) / 1000 < 0.75
