"""Threads carry their names where the system shows them."""

from __future__ import annotations

import threading
from pathlib import Path

from edge_agent.common.thread_name import name_thread


def test_the_system_knows_a_thread_by_the_name_that_it_has_in_python() -> None:
    seen: list[str] = []

    def work() -> None:
        name_thread()
        seen.append(Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text().strip())

    thread = threading.Thread(target=work, name="a name of more than fifteen letters")
    thread.start()
    thread.join()
    assert seen == ["a name of more "[:15].strip()]
