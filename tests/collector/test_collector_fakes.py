"""The fakes of log and store do what the real ones do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from collector.domain.series import AHEAD_MS
from collector.seams import Log, Store
from tests.suites.log import LogSuite
from tests.suites.store import END, StoreSuite
from tests.support.fakes import FakeLog, FakeStore


class TestFakeLog(LogSuite):
    @pytest.fixture
    def reopen(self) -> Callable[[], Log]:
        log = FakeLog()
        return lambda: log


class TestFakeStore(StoreSuite):
    @pytest.fixture
    def reopen(self) -> Callable[[], Store]:
        store = FakeStore(END + AHEAD_MS)
        return lambda: store
