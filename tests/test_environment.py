"""What make does on a machine that lacks something: one sentence, the one command that mends it, and nothing half made."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def folder_of_programs(tmp_path: Path, python: str) -> Path:
    """A PATH with a shell's basic programs and this python3; no apt-get."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "cat", "rm", "id", "env"):
        (programs / name).symlink_to(shutil.which(name) or "")
    (programs / "python3").write_text(python)
    (programs / "python3").chmod(0o755)
    return programs


def set_up(tmp_path: Path, python: str) -> subprocess.CompletedProcess[str]:
    programs = folder_of_programs(tmp_path, python)
    return subprocess.run(
        ["bash", str(ROOT / "tools" / "environment.sh")],
        env={"PATH": str(programs), "PYTHON": "python3", "VENV": str(tmp_path / "venv")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_python_without_venv_is_told_with_the_one_command(tmp_path: Path) -> None:
    python = f'#!/bin/sh\nif [ "$2" = venv ]; then echo "ensurepip is not available" >&2; exit 1; fi\nexec {sys.executable} "$@"\n'
    done = set_up(tmp_path, python)
    assert done.returncode == 1
    assert "sudo apt-get install python3-venv" in done.stderr
    assert "ensurepip is not available" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_an_old_python_is_told(tmp_path: Path) -> None:
    python = '#!/bin/sh\nif [ "$1" = -c ]; then exit 1; fi\necho "Python 3.9.2"\n'
    done = set_up(tmp_path, python)
    assert done.returncode == 1
    assert "Python 3.9.2 is too old" in done.stderr


def test_no_python_is_told(tmp_path: Path) -> None:
    programs = folder_of_programs(tmp_path, "")
    (programs / "python3").unlink()
    done = subprocess.run(
        ["bash", str(ROOT / "tools" / "environment.sh")],
        env={"PATH": str(programs), "VENV": str(tmp_path / "venv")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "there is no python3 here" in done.stderr
