"""What every implementation of `seams.Operations` must do. Subclass it and give the fixture `operations`."""

from __future__ import annotations

import pytest

from collector.domain.warning import Warning
from collector.rules.changes import Over, Raised
from collector.seams import Operations, Refused
from tests.support.warnings import T0, MemoryOperations, raised


class OperationsSuite:
    """Tests against the fixture `operations`, empty, of the county of tests/support/warnings.py."""

    def put(self, operations: Operations, *warnings: Warning) -> None:
        assert hasattr(operations, "commit")
        operations.commit(1, b"state", [Raised(w) for w in warnings], T0)

    def test_newest_first_by_site_state_and_page(self, operations: MemoryOperations) -> None:
        first, second, past = raised(began_s=0), raised(began_s=10), raised(began_s=5, state="past", over_s=6)
        self.put(operations, first, second, past)
        assert [w.id for w in operations.warnings()] == [second.id, past.id, first.id]
        assert [w.id for w in operations.warnings(states=["past"])] == [past.id]
        assert [w.id for w in operations.warnings(site="dawan", limit=1)] == [second.id]
        assert [w.id for w in operations.warnings(before_ms=second.began_ms)] == [past.id, first.id]
        assert operations.warnings(site="elsewhere") == []
        assert operations.warnings(states=[]) == []

    def test_the_sites_person_is_responsible(self, operations: MemoryOperations) -> None:
        self.put(operations, raised())
        found = operations.warning(raised().id)
        assert found is not None
        assert found.responsible == "li"
        assert operations.warning("no-such") is None

    def test_taken_over_and_closed(self, operations: MemoryOperations) -> None:
        warning = raised()
        self.put(operations, warning)
        assert operations.act(warning.id, "acknowledge", "wang", "", T0 + 1).state == "acknowledged"
        with pytest.raises(Refused, match="持续"):
            operations.act(warning.id, "close", "wang", "", T0 + 2)
        operations.commit(2, b"", [Over(warning.id, T0 + 3, T0 + 4)], T0 + 4)
        closed = operations.act(warning.id, "close", "wang", "清淤", T0 + 5)
        assert (closed.state, closed.closed_by, closed.note, closed.over_ms) == ("closed", "wang", "清淤", T0 + 3)
        assert operations.warning(warning.id) == closed
        done = [(a.who, a.what) for a in operations.acts(warning.id)]
        assert done == [("collector", "raised"), ("wang", "acknowledge"), ("collector", "over"), ("wang", "close")]

    def test_acts_that_cannot_be(self, operations: MemoryOperations) -> None:
        with pytest.raises(KeyError):
            operations.act("no-such", "acknowledge", "wang", "", T0)
        warning = raised(state="past", over_s=1)
        self.put(operations, warning)
        with pytest.raises(Refused):
            operations.act(warning.id, "acknowledge", "wang", "", T0)
        assert operations.warning(warning.id) is not None
        assert [a.what for a in operations.acts(warning.id)] == ["past"]

    def test_a_change_told_twice_counts_once(self, operations: MemoryOperations) -> None:
        warning = raised()
        self.put(operations, warning)
        operations.act(warning.id, "acknowledge", "wang", "", T0 + 1)
        self.put(operations, warning)
        operations.commit(3, b"", [Over(warning.id, T0 + 3, T0 + 4), Over(warning.id, T0 + 9, T0 + 9), Over("gone", 1, 1)], T0 + 9)
        found = operations.warning(warning.id)
        assert found is not None
        assert (found.state, found.over_ms) == ("acknowledged", T0 + 3)
        assert len(operations.acts(warning.id)) == 3
