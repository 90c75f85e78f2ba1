"""A backup is of one piece whatever is written and trimmed under it; a damaged or half restored one is refused."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collector.domain.county import County
from collector.io.backup import LOG, MANIFEST, back_up, rotate
from collector.io.log_segment import HEADER
from collector.io.operations import SqliteOperations
from collector.io.restore import restore
from collector.io.sqlite_log import SqliteLog
from collector.io.state_folder import StateFolder
from collector.stores.embedded import EmbeddedStore
from edge_agent.common.problem import ProblemError
from edge_agent.contract.message import Text
from tests.support.line import T0, batch, birth, data, record


def quiet(_line: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    with closing(SqliteLog(folder / LOG, 400)) as log:
        log.append([record(0, birth()[0], 1, "u", "birth")], [], [])
        for seq in range(1, 20):
            log.append([record(0, data(seq, [1.0]), seq)], [], [])
    with closing(EmbeddedStore(folder / "store.sqlite")) as store:
        store.write([batch(1, [0], [1.0])], 7)
    with closing(SqliteOperations(folder / "operations.sqlite", County(Text("县", "County")))) as operations:
        operations.commit(9, b"", [], T0)
    return folder


@pytest.fixture
def backup(state: Path, tmp_path: Path) -> Path:
    back_up(state, tmp_path / "b.tar", {"configuration/county.yaml": b"name: x\n"}, "1", T0, quiet)
    return tmp_path / "b.tar"


def code(call: object, *arguments: object) -> str:
    with pytest.raises(ProblemError) as problem:
        call(*arguments)  # type: ignore[operator]
    return problem.value.problems[0].code


def test_all_of_it_comes_back_under_a_new_log_id(state: Path, backup: Path, tmp_path: Path) -> None:
    done = restore(backup, tmp_path / "new", "1", False, quiet)
    with closing(SqliteLog(state / LOG)) as old, closing(SqliteLog(tmp_path / "new" / LOG)) as new:
        assert list(new.read(0, 100)) == list(old.read(0, 100))
        assert list(new.births()) == list(old.births())
        assert (new.last_offset(), list(new.lanes())) == (20, list(old.lanes()))
        assert old.log_id == done.manifest.log_id != done.log_id == new.log_id
        assert new.damaged() == 0
        assert new.append([record(0, data(5, [9.0]), 5), record(0, data(20, [1.0]), 20)], [], []) == 21, "keys are known"
    with closing(EmbeddedStore(tmp_path / "new" / "store.sqlite")) as store:
        assert store.cursor() == 7
    assert done.manifest.cursors == {"operations.sqlite": 9, "store.sqlite": 7}
    assert (tmp_path / "new" / "configuration" / "county.yaml").read_bytes() == b"name: x\n"
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


class Busy:
    """Appends, moves both cursors and trims, without a pause, until it is left."""

    def __init__(self, state: Path) -> None:
        self._state, self._stopping = state, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Busy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        with (
            closing(SqliteLog(self._state / LOG, 2000)) as log,
            closing(EmbeddedStore(self._state / "store.sqlite")) as store,
            closing(SqliteOperations(self._state / "operations.sqlite", County(Text("县", "County")))) as operations,
        ):
            seq = 20
            while not self._stopping.is_set():
                last = log.append([record(0, data(seq, [1.0]), seq)], [], [])
                store.write([batch(seq, [seq], [1.0])], last - 3)
                operations.commit(last - 1, bytes(2000), [], T0)
                if seq % 30 == 0:
                    log.trim(last - 2)
                seq += 1


def test_a_backup_under_writes_and_trims_skips_nothing(state: Path, tmp_path: Path) -> None:
    """Above the lower cursor every offset is there, without a hole, up to the end of the log."""
    with Busy(state):
        for n in range(12):
            file = tmp_path / f"{n}.tar"
            manifest = back_up(state, file, {}, "1", T0, quiet)
            restore(file, tmp_path / f"new-{n}", "1", False, quiet)
            with closing(SqliteLog(tmp_path / f"new-{n}" / LOG)) as log:
                lowest = min(manifest.cursors.values())
                assert max(manifest.cursors.values()) <= log.last_offset() == manifest.last
                assert [r.offset for r in log.read(lowest, 100_000)] == list(range(lowest + 1, manifest.last + 1))
                assert len(log.read(0, 100_000)) > 0
                assert log.damaged() == 0


@pytest.mark.parametrize("harm", ["flip", "cut", "more", "other name", "no backup"])
def test_a_damaged_backup_is_refused_and_the_state_stays(state: Path, backup: Path, tmp_path: Path, harm: str) -> None:
    content = bytearray(backup.read_bytes())
    if harm == "flip":
        content[content.index(HEADER) + 200] ^= 1
    elif harm == "cut":
        content = content[: len(content) // 2]
    elif harm == "no backup":
        content = bytearray(b"something else")
    backup.write_bytes(content)
    if harm in ("more", "other name"):
        name = "../evil" if harm == "more" else "evil"
        with tarfile.open(backup, "a") as archive:
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    before = sorted(file.name for file in state.iterdir())
    assert code(restore, backup, state, "1", True, quiet) in ("BAK805", "BAK807")
    assert sorted(file.name for file in state.iterdir() if file.name != "lock") == before
    assert not (tmp_path / "evil").exists()


def test_what_is_there_is_moved_aside_only_when_asked(state: Path, backup: Path) -> None:
    assert code(restore, backup, state, "1", False, quiet) == "BAK804"
    done = restore(backup, state, "1", True, quiet)
    assert {file.name for file in Path(done.aside).iterdir()} >= {LOG, "store.sqlite", "operations.sqlite", "log.segments"}
    again = restore(backup, state, "2", True, quiet)
    assert Path(done.aside).is_dir()
    assert Path(again.aside).is_dir()


def test_nothing_is_written_over_and_no_half_backup_is_left(state: Path, backup: Path, tmp_path: Path) -> None:
    assert code(back_up, state, backup, {}, "1", T0, quiet) == "BAK802"
    assert code(back_up, tmp_path / "nothing", tmp_path / "n.tar", {}, "1", T0, quiet) == "BAK801"
    assert code(back_up, state, tmp_path / "no" / "such" / "n.tar", {}, "1", T0, quiet) == "BAK803"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.tar", "state"]


_KILLED = """
import os, signal, sys
from pathlib import Path
from collector.io import restore
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(restore, sys.argv[3], kill)
restore.restore(Path(sys.argv[1]), Path(sys.argv[2]), "9", True, lambda line: None)
"""


@pytest.mark.parametrize("where", ["_new_log_id", "_sync", "_move_aside", "sync_folder"])
def test_a_killed_restore_is_done_again_before_the_collector_starts(state: Path, backup: Path, where: str) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(backup), str(state), where], check=False, capture_output=True)
    assert killed.returncode == -9
    with StateFolder(state) as folder:
        assert code(folder.check_whole) == "BAK808"
    restore(backup, state, "10", True, quiet)
    with StateFolder(state) as folder:
        folder.check_whole()
    with closing(SqliteLog(state / LOG)) as log:
        assert len(log.read(0, 100)) == 20


def test_a_segment_that_was_damaged_before_is_told_and_no_hindrance(state: Path, tmp_path: Path) -> None:
    first, second, *_ = sorted((state / "log.segments").iterdir())
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    manifest = back_up(state, tmp_path / "b.tar", {}, "1", T0, quiet)
    assert manifest.damaged == [first.name, second.name]
    restore(tmp_path / "b.tar", tmp_path / "new", "1", False, quiet)
    with closing(SqliteLog(tmp_path / "new" / LOG)) as log:
        assert [r.offset for r in log.read(0, 100)][-1] == 20


def test_rotation_keeps_the_newest(tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / f"collector-backup-{n}.tar").touch()
    (tmp_path / "other.tar").touch()
    assert [file.name for file in rotate(tmp_path, "collector-backup-*.tar", 2)] == [f"collector-backup-{n}.tar" for n in range(3)]
    assert (tmp_path / "other.tar").exists()


@pytest.fixture(autouse=True)
def no_scratch(tmp_path: Path) -> Iterator[None]:
    yield
    assert list(tmp_path.rglob("*part")) == []


def test_the_manifest_is_the_last_file(backup: Path) -> None:
    with tarfile.open(backup) as archive:
        assert archive.getnames()[-1] == MANIFEST
