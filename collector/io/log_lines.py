"""Does I/O: the form of the collector's log lines: with local time, but for journald, which stamps them itself."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TextIO

PLAIN = "%(levelname)s %(name)s: %(message)s"
TIMED = f"%(asctime)s {PLAIN}"
TIME = "%H:%M:%S"


def start_log(stream: TextIO, environment: Mapping[str, str]) -> None:
    """Sends warnings and worse of everything to `stream`."""
    logging.basicConfig(level=logging.WARNING, format=line_format(stream, environment), datefmt=TIME, stream=stream)


def line_format(stream: TextIO, environment: Mapping[str, str]) -> str:
    """PLAIN if `stream` is journald's, as JOURNAL_STREAM says (systemd.exec(5)), else TIMED."""
    try:
        here = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return TIMED
    return PLAIN if environment.get("JOURNAL_STREAM") == f"{here.st_dev}:{here.st_ino}" else TIMED
