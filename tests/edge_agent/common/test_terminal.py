from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.common.problem import Exit, Problem, ProblemError
from edge_agent.common.terminal import guarded, progress, say_json, show_problems, table, talk, wants_colour, width
from edge_agent.common.version import commit_id, version_text

PROBLEM = Problem("CFG001", "site.yaml", "gone", "look for it.")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it() -> None:
    assert wants_colour(Terminal(), {"TERM": "xterm"})
    assert not wants_colour(Terminal(), {"NO_COLOR": "1", "TERM": "xterm"})
    assert not wants_colour(Terminal(), {"TERM": "dumb"})
    assert not wants_colour(io.StringIO(), {"TERM": "xterm"})


def test_problems_are_talk_and_with_json_data(capsys: pytest.CaptureFixture[str]) -> None:
    show_problems([PROBLEM, PROBLEM], as_json=False)
    out, err = capsys.readouterr()
    assert (out, err) == ("", PROBLEM.text() + "\n\n" + PROBLEM.text() + "\n")
    show_problems([PROBLEM], as_json=True)
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {"schema": "problems/1", "problems": [PROBLEM.as_dict()]}


def test_guarded_gives_the_exit_code() -> None:
    def fails() -> int:
        raise ProblemError(PROBLEM)

    def interrupted() -> int:
        raise KeyboardInterrupt

    assert guarded(lambda: None, as_json=False) == Exit.FINE
    assert guarded(lambda: 1, as_json=False) == Exit.PROBLEMS
    assert guarded(fails, as_json=False) == Exit.CONFIG
    assert guarded(interrupted, as_json=False) == Exit.INTERRUPTED


@pytest.mark.parametrize("buffering", ["", "1"])
def test_an_output_that_cannot_be_written_is_one_sentence(buffering: str) -> None:
    command = [sys.executable, "-m", "edge_agent", "--version"]
    environment = {**os.environ, "PYTHONUNBUFFERED": buffering}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert (ended.returncode, ended.stderr) == (1, "The output cannot be written: No space left on device.\n")
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_tables_align_chinese_text(capsys: pytest.CaptureFixture[str]) -> None:
    lines = table(("name", "id"), [("水位", "a"), ("x", "b")]).splitlines()
    assert [width(line[: line.rindex(end)]) for line, end in zip(lines, ("id", "a", "b"), strict=True)] == [6, 6, 6]
    say_json("t/1", {"name": "水位"})
    assert "水位" in capsys.readouterr().out


def test_the_commit_is_the_packaged_one_else_that_of_the_repository(tmp_path: Path) -> None:
    package, git = tmp_path / "edge_agent", tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (package / "_packaged").mkdir(parents=True)
    assert commit_id(package) == ""
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{'b' * 40} refs/heads/main\n")
    assert commit_id(package) == "b" * 40
    (git / "refs" / "heads" / "main").write_text("c" * 40 + "\n")
    assert commit_id(package) == "c" * 40
    (git / "HEAD").write_text("d" * 40)
    assert commit_id(package) == "d" * 40
    (package / "_packaged" / "commit").write_text("a" * 40)
    assert commit_id(package) == "a" * 40
    assert version_text("edge-agent").startswith("edge-agent ")


def test_progress_is_for_a_terminal_and_never_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stderr", file)
        progress("3 of 7")
        talk("Next: look")
    assert (tmp_path / "log").read_text(encoding="utf-8") == "Next: look\n"
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        progress("3 of 7")
        terminal.flush()
        assert os.read(ours, 100) == b"3 of 7\r\n"
    os.close(ours)
    monkeypatch.setattr(sys, "stderr", None)
    progress("nobody is there")
