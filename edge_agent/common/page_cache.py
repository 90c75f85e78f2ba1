"""Does I/O (SQLite): what a connection keeps in memory between its transactions."""

from __future__ import annotations

import sqlite3
from contextlib import suppress


def release_pages(database: sqlite3.Connection) -> None:
    """Lets go of the pages that the last transactions touched; the kernel keeps them too.

    A connection that writes a little every second otherwise fills its cache, page by page, over the first hours.
    """
    with suppress(sqlite3.Error):  # it is only memory
        database.execute("PRAGMA shrink_memory")
