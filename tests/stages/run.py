"""Does I/O: runs many breaks, a few side by side."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.stages.plan import Break
from tests.stages.workbench import Unsound, Workbench, workbenches


def run(breaks: Sequence[Break], jobs: int, say: Callable[[str], None]) -> list[str]:
    """Names of the breaks that went unnoticed or could not be tried. say: gets a line for each break.

    Raises Unsound if the tests fail without any break.
    """
    with workbenches(max(1, min(jobs, len(breaks)))) as benches, ThreadPoolExecutor(len(benches)) as pool:
        benches[0].check_sound(sorted({test for planned in breaks for test in planned.tests}))
        free: queue.SimpleQueue[Workbench] = queue.SimpleQueue()
        for bench in benches:
            free.put(bench)
        noticed = list(pool.map(lambda planned: _try(planned, free, say), breaks))
    return [planned.name for planned, was_noticed in zip(breaks, noticed, strict=True) if not was_noticed]


def _try(planned: Break, free: queue.SimpleQueue[Workbench], say: Callable[[str], None]) -> bool:
    bench = free.get()
    try:
        found = bench.try_break(planned)
    except Unsound as unsound:
        say(f"UNSOUND    {planned.name}: {unsound}")
        return False
    finally:
        free.put(bench)
    if found.missed:
        say(f"UNNOTICED  {planned.name}: {', '.join(found.missed)} did not fail\n{found.output[-3000:]}")
        return False
    say(f"noticed    {planned.name}")
    return True
