"""What people see of a profile, a register table, a transcript or a write that is wrong: `tests/golden/profile/<case>.txt`.

The first line is the command, `{plain}` and the like an instrument; the rest is what it says. It runs in a copy of the folder.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.cli.main import build_app
from edge_agent.common.program import run
from tests.support.instrument import Behaviour, TcpInstrument

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "tests" / "golden" / "profile"
CASES = sorted(path.stem for path in FOLDER.glob("*.txt"))


@dataclass
class Mute(Behaviour):
    """Does not answer what is written."""

    written: list[bytes] = field(default_factory=list)

    def reply(self, unit: int, pdu: bytes) -> bytes | None:
        return None if pdu[0] > 4 else super().reply(unit, pdu)


def registers() -> dict[int, dict[int, int]]:
    return {1: {0: 455, 1: 0xFFCE, 2: 553}}


INSTRUMENTS: dict[str, Callable[[], Behaviour]] = {
    "{plain}": lambda: Behaviour(registers()),
    "{empty}": lambda: Behaviour({1: {}}),
    "{busy}": lambda: Behaviour(registers(), busy={1}),
    "{locked}": lambda: Behaviour(registers(), locked={0, 90}),
    "{deaf}": lambda: Behaviour(registers(), deaf=True),
    "{mute}": lambda: Mute(registers()),
}


def said(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The command of a case, and all that it says."""
    command = (FOLDER / f"{case}.txt").read_text(encoding="utf-8").splitlines()[0]
    arguments = shlex.split(command.removeprefix("$ edge-agent "))
    kind = next((word for word in arguments if word in INSTRUMENTS), "{plain}")
    shutil.copytree(FOLDER, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    with TcpInstrument(INSTRUMENTS[kind]()) as instrument:
        site = Path("site.yaml")
        site.write_text(site.read_text(encoding="utf-8").replace("PORT", str(instrument.port)), encoding="utf-8")
        is_write = arguments[0] == "write"
        words = [f"127.0.0.1:{instrument.port}" if word == kind else word for word in arguments if not (is_write and word == kind)]
        capfd.readouterr()
        code = run(build_app(), words)
        out, err = capfd.readouterr()
        shown = f"{command}\n{out}{err}exit {code}\n".replace(str(instrument.port), "PORT")
    return re.sub(r"from 127\.0\.0\.1:\d+", "from PEER", shown)


@pytest.mark.parametrize("case", CASES)
def test_the_command_says_exactly_this(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(case, tmp_path, capfd, monkeypatch) == (FOLDER / f"{case}.txt").read_text(encoding="utf-8")


def test_every_code_of_profiles_and_of_writing_is_among_them() -> None:
    texts = "".join((FOLDER / f"{case}.txt").read_text(encoding="utf-8") for case in CASES)
    page = (ROOT / "docs" / "problems.d" / "profiles.md").read_text(encoding="utf-8")
    of_config = {f"CFG{number:03}" for number in (19, 30, *range(31, 40))}
    wanted = {*re.findall(r"^### (\w+)$", page, re.MULTILINE), *of_config, "BUS102", "BUS104", "BUS105", "BUS106", "BUS110"}
    assert {code for code in wanted if code not in texts} == set()
