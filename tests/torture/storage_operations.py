"""Does I/O: the operations database under torture: warnings, acts, notices, summaries, the engine's state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from weakref import WeakKeyDictionary

from collector.io.operations import SqliteOperations
from collector.rules.changes import Over, Raised
from collector.seams import Outcome, StorageFailed
from edge_agent.contract.message import Text
from tests.support.warnings import T0, county, raised
from tests.torture.storages import Snapshot, Step

SENT = Outcome(True, False, "200")
AWAY = Outcome(False, True, "503")


_taken: WeakKeyDictionary[SqliteOperations, list[str]] = WeakKeyDictionary()
"""What a sender has taken and not yet accounted for: where `sent` fails, it is `sent` that is tried again."""


def _send(operations: SqliteOperations, outcome: Outcome, now_ms: int) -> None:
    if not _taken.get(operations):
        _taken[operations] = [due.notice.id for due in operations.due(now_ms, 1)]
    for notice in _taken[operations]:
        operations.sent(notice, outcome, now_ms + 5)
    _taken[operations] = []


def _half_sent(before: Snapshot, after: Snapshot, found: Snapshot) -> bool:
    """`due` and `sent` are two commits; between them the attempt is on record and its end is not."""
    changed = {key for key in before if before[key] != found[key]}
    return changed <= {"deliveries"}


class OperationsStorage:
    """collector/io/operations.py."""

    name = "operations"
    refusal: type[Exception] = StorageFailed

    def open(self, folder: Path) -> SqliteOperations:
        folder.mkdir(parents=True, exist_ok=True)
        return SqliteOperations(folder / "operations.sqlite", county(), ("duty", "office"), "http://page.example")

    def close(self, handle: SqliteOperations) -> None:
        handle.close()

    def steps(self, random: Random) -> Sequence[Step]:
        found: list[Step] = []
        for turn in range(8):
            now_ms = T0 + 600_000 * turn
            new = [raised(began_s=600 * turn), raised("pump-dry", began_s=600 * turn + 7)]
            state = random.randbytes(2000)
            one, other = (warning.id for warning in new)
            found += [
                Step("raised", lambda o, n=new, s=state, t=turn, at=now_ms: o.commit(10 * t + 1, s, [Raised(w) for w in n], at)),  # type: ignore[misc]
                Step("sent", lambda o, at=now_ms: _send(o, SENT, at + 10), _half_sent),  # type: ignore[misc]
                Step("refused", lambda o, at=now_ms: _send(o, AWAY, at + 20), _half_sent),  # type: ignore[misc]
                Step("act", lambda o, w=one, at=now_ms: o.act(w, "acknowledge", "wang", "去看 look", at + 30)),  # type: ignore[misc]
                Step("over", lambda o, w=one, t=turn, at=now_ms: o.commit(10 * t + 2, b"s", [Over(w, at + 40, at + 41)], at + 41)),  # type: ignore[misc]
            ]
            if turn % 2:
                found.append(Step("close", lambda o, w=one, at=now_ms: o.act(w, "close", "wang", "清淤", at + 50)))  # type: ignore[misc]
                found.append(Step("summary", lambda o, t=turn, at=now_ms: o.store_summary(f"2026-11-0{t}", Text("好", "good"), at)))  # type: ignore[misc]
            if turn in {3, 6}:
                found.append(Step("restart"))
            found.append(Step("judged", lambda o, t=turn, at=now_ms: o.commit(10 * t + 3, b"t" * 50, [], at + 60)))  # type: ignore[misc]
            del other
        return found

    def read(self, handle: SqliteOperations) -> Snapshot:
        warnings = list(handle.warnings())
        problem = handle.verify_audit()
        return {
            "identity": "", "cursor": handle.cursor(), "state": handle.rule_state(), "warnings": warnings,
            "acts": [(w.id, list(handle.acts(w.id))) for w in warnings], "audit": None if problem is None else problem.code,
            "head": handle.audit_head(), "told": [p.code for p in handle.problems()], "summaries": list(handle.summaries()),
            "deliveries": [list(handle.deliveries(about)) for about in (*(w.id for w in warnings), "")],
        }  # fmt: skip

    def go_on(self, handle: SqliteOperations, last: Snapshot) -> str:
        new = raised("after", began_s=-50)
        handle.commit(last["cursor"] + 1, b"after", [Raised(new)], T0)
        handle.act(new.id, "acknowledge", "wang", "", T0 + 1)
        acts = [act.what for act in handle.acts(new.id)]
        state = (handle.cursor(), handle.rule_state(), acts, handle.verify_audit())
        return "" if state == (last["cursor"] + 1, b"after", ["raised", "acknowledge"], None) else f"after the crash: {state}"
