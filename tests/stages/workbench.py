"""Does I/O: copies of the repository in temporary folders, in which breaks are planted and tests are run.

The working tree itself is never changed: a copy holds its tracked files and those that are new and not ignored.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.stages.plan import Break

ROOT = Path(__file__).parents[2]
RUN_TIMEOUT_S = 300
_FAILED = re.compile(r"^FAILED (\S+?\.py::[^\[\s]+)", re.MULTILINE)


class Unsound(Exception):
    """The break cannot be planted, or the tests could not be run: nothing is proved."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the tests said. missed: those that should have failed and did not."""

    missed: tuple[str, ...]
    output: str


def planted(text: str, planned: Break) -> str:
    """`text` with the break in it. Raises Unsound unless the old text stands there exactly once."""
    times = text.count(planned.old)
    if times != 1:
        raise Unsound(f"{planned.name}: the old text stands {times} times in {planned.file}, not once")
    return text.replace(planned.old, planned.new)


class Workbench:
    """One copy of the repository. For one thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():  # a file deleted in the working tree is still listed
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)

    def failures(self, tests: Sequence[str]) -> tuple[set[str], str]:
        """The tests that fail in the copy as it is, and pytest's output. Raises Unsound where pytest could not run them."""
        command = [sys.executable, "-m", "pytest", "-q", "-rf", "--tb=short", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
        environment = {**os.environ, "PYTHONPATH": str(self._folder), "COLUMNS": "400"}
        try:
            done = subprocess.run(
                [*command, *tests],
                cwd=self._folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=RUN_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            raise Unsound(f"the tests did not end within {RUN_TIMEOUT_S} s") from expired
        if done.returncode not in (0, 1):
            raise Unsound(f"pytest ended with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
        return set(_FAILED.findall(done.stdout)), done.stdout

    def check_sound(self, tests: Sequence[str]) -> None:
        """All of these pass before anything is broken. Raises Unsound."""
        failed, output = self.failures(tests)
        if failed:
            raise Unsound(f"without any break these fail already: {', '.join(sorted(failed))}\n{output[-4000:]}")

    def try_break(self, planned: Break) -> Found:
        """Plants the break, runs its tests, and takes it out again. Raises Unsound."""
        path = self._folder / planned.file
        sound = path.read_text(encoding="utf-8")
        self._write(path, planted(sound, planned))
        try:
            failed, output = self.failures(planned.tests)
        finally:
            self._write(path, sound)
        return Found(tuple(test for test in planned.tests if test not in failed), output)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        """Writes a file; its compiled form goes, because Python would take it for fresh within the same second."""
        path.write_text(text, encoding="utf-8")
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()


@contextmanager
def workbenches(count: int) -> Iterator[list[Workbench]]:
    """So many copies, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="stages-") as folder:
        yield [Workbench(Path(folder) / str(number)) for number in range(count)]
