"""Backup and restore of the real program in traffic: what a gateway holds is stored once, the rest is a hole that is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector.domain.identity import SeriesKey
from collector.io.sqlite_log import SqliteLog
from collector.stores.embedded import EmbeddedStore
from tests.support import backup_commands as commands
from tests.support.collector_program import CollectorProgram
from tests.support.ports import wait_until
from tests.support.scripted_agent import EPOCH, T0, ScriptedAgent

pytestmark = pytest.mark.programs
COUNT = SeriesKey("s", "g", "meter", "count")


def stored(program: CollectorProgram) -> list[tuple[int, object]]:
    store = EmbeddedStore(program.state / "store.sqlite")
    try:
        return [(sample.time_ms, sample.value) for sample in store.range(COUNT, 0, 1 << 60)]
    finally:
        store.close()


def lane(program: CollectorProgram) -> tuple[int, int]:
    """upto and lost of lane n."""
    log = SqliteLog(program.state / "log.sqlite")
    try:
        return next((state.upto, state.lost) for state in log.lanes() if (state.epoch, state.lane) == (EPOCH, "n"))
    finally:
        log.close()


def at_the_end(program: CollectorProgram) -> bool:
    status = program.status()
    return status is not None and status.stored == status.log_last == status.judged > 0


def lost_by_account(program: CollectorProgram) -> int:
    """What `collector account` says now; it may be a few seconds behind the other consumers."""
    said = commands.collector("account", "--json", "--config", program.config)
    assert said.returncode in (0, 1), said.stderr
    lost: int = json.loads(said.stdout)["total"]["lost"]
    return lost


def test_a_restored_collector_has_everything_once_and_tells_its_hole(tmp_path: Path) -> None:
    with CollectorProgram(tmp_path) as program:
        agent = ScriptedAgent(program.broker_port, 300)
        try:
            agent.run_until(100)
            backup = commands.back_up(program.config, tmp_path / "backup.tar")
            assert all(cursor <= backup["last"] for cursor in backup["cursors"].values())
            agent.run_until(200)
            refused = commands.collector("restore", tmp_path / "backup.tar", "--replace", "--config", program.config)
            assert (refused.returncode, "COL405" in refused.stderr) == (1, True), "a collector runs there"
            program.kill()
            receipted = agent.receipted()
            done = commands.restore(program.config, tmp_path / "backup.tar")
            assert done["log_id"] != backup["log_id"]
            kept = lane(program)[0]
            program.start()
            agent.run_until(300)
        finally:
            agent.close()
        wait_until(lambda: at_the_end(program), 20, "consumers at the end")
        assert 100 <= kept <= max(receipted)
        held = set(range(1, kept + 1)) | set(range(max(receipted) + 1, 301)) | (set(range(1, 301)) - receipted)
        wait_until(lambda: lost_by_account(program) == 300 - len(held), 20, "the account shows the hole")
        assert program.end() == 0, program.output()
    rows = agent.rows
    assert stored(program) == [(T0 + n * 1000, n) for seq in sorted(held) for n in range((seq - 1) * rows, seq * rows)]
    assert lane(program) == (300, 300 - len(held))
    assert Path(done["aside"]).is_dir()


def test_a_backup_into_another_place_is_a_rehearsal(tmp_path: Path) -> None:
    """Restored on a machine that never ran a collector; the folder rotates; secrets are left out."""
    (tmp_path / "duty-url").write_text("https://example.org/secret")
    (tmp_path / "duty-url").chmod(0o600)
    more = (
        "notifiers:\n  - {name: duty, kind: webhook, url_file: duty-url}\n"
        "  - {name: other, kind: webhook, url: 'https://example.org/hook?key=s3cret'}\n"
    )
    folder = tmp_path / "backups"
    folder.mkdir()
    with CollectorProgram(tmp_path, more=more) as program:
        agent = ScriptedAgent(program.broker_port, 20)
        try:
            agent.run_until(20)
        finally:
            agent.close()
        for name in ("20250101-000000Z", "20250102-000000Z"):
            (folder / f"collector-backup-{name}.tar").write_bytes(b"")
        made = commands.collector("backup", folder, "--keep", "2", "--config", program.config, "--json")
        assert made.returncode == 0, made.stderr
        assert len(list(folder.iterdir())) == 2
    file = Path(json.loads(made.stdout)["file"])
    assert file.stat().st_mode & 0o077 == 0
    assert b"s3cret" not in file.read_bytes()
    other = tmp_path / "other.yaml"
    other.write_text("state_directory: other\n")
    done = commands.collector("restore", file, "--config", other, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["aside"] == ""
    log = SqliteLog(tmp_path / "other" / "log.sqlite")
    assert {record.key.seq for record in log.read(0, 100) if record.key.lane == "n"} == set(range(1, 21))
    log.close()
    assert commands.collector("restore", file, "--config", other).returncode == 1, "not empty any more"
