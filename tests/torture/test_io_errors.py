"""I/O errors at the n-th call, for every n: it is told, nothing is believed, and when the medium is sound again all goes on."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from edge_agent.io.outbox import OutboxFile
from tests.torture import errors
from tests.torture.errors import Fault
from tests.torture.storage_log import LogStorage
from tests.torture.storage_operations import OperationsStorage
from tests.torture.storage_outbox import OutboxStorage
from tests.torture.storage_store import StoreStorage
from tests.torture.storages import Storage

STORAGES: list[Storage] = [OutboxStorage(backlog=1), LogStorage(), OperationsStorage(), StoreStorage()]
SAMPLE = 24
KINDS = ((0, 0), (0, 1), (5, 0))
"""How many further calls fail, and with which error; taken in turn."""


def _try(storage: Storage, folder: Path, every: int, first: int = 1) -> tuple[int, list[str], set[str]]:
    known = errors.reference(storage, folder / "reference", seed=1)
    findings, kinds, count = list[str](), set[str](), 0
    for at in range(first, known.calls + 1, every):
        fault = Fault(at, *KINDS[count % len(KINDS)])
        count += 1
        try:
            finding = errors.try_one(storage, known, folder / "run", fault)
        except Exception as error:  # noqa: BLE001 - whatever it raises is a finding
            finding = f"raises {type(error).__name__}: {error}"
        shutil.rmtree(folder / "run", ignore_errors=True)
        kinds.add(fault.kind)
        if finding:
            findings.append(f"{storage.name}, call {at} (+{fault.more}), {fault.kind}: {finding}")
    return count, findings, kinds


@pytest.mark.parametrize("storage", STORAGES, ids=[storage.name for storage in STORAGES])
def test_a_sample_of_calls_that_fail(storage: Storage, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    calls = errors.reference(storage, folder / "count", seed=1).calls
    count, findings, _ = _try(storage, folder, max(1, calls // SAMPLE))
    assert findings == []
    assert count >= SAMPLE


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_call_fails_once(folder: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.CRITICAL)
    found: list[str] = []
    for storage, every in ((OutboxStorage(), 7), *((storage, 1) for storage in STORAGES)):
        count, findings, kinds = _try(storage, folder / f"{storage.name}-{every}", every)
        found += findings
        with capsys.disabled():
            print(
                f"\n{storage.name}: {count} runs with a failing call ({', '.join(sorted(kinds))}), {len(findings)} findings", end=""
            )
    assert found == []


def test_a_page_that_could_not_be_read_once_costs_no_message(folder: Path) -> None:
    """quick_check tells of it in the words of damage; the file was set aside with everything in it."""
    storage = OutboxStorage()
    known = errors.reference(storage, folder / "reference", seed=1)
    restart = [number for number, step in enumerate(known.steps) if step.label == "restart"][-1]
    begins = known.begins[restart]
    findings = [
        finding
        for at in range(begins, begins + 40, 3)
        if (finding := errors.try_one(storage, known, folder / f"run-{at}", Fault(at, 0, 0)))
    ]
    assert findings == []


def test_a_storage_that_believes_a_failed_sync_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: OutboxFile, add: object, forget: object, anchors: object = ()) -> None:
        try:
            real(self, add, forget, anchors)  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001
            self._open_database()

    real = OutboxFile.write
    storage = OutboxStorage(backlog=1)
    known = errors.reference(storage, folder / "reference", seed=1)
    monkeypatch.setattr(OutboxFile, "write", write)
    findings = [errors.try_one(storage, known, folder / f"run-{at}", Fault(at, 0, 0)) for at in range(60, 120, 4)]
    assert any(findings)
