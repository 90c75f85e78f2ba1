"""Does I/O (reads the status file): which bus of the running agent has the connection that a command wants for itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_agent.common.problem import Problem

if TYPE_CHECKING:
    from edge_agent.model.points import Bus


def with_agent(problems: Sequence[Problem], bus: Bus) -> list[Problem]:
    """The problems of a visit to a bus; where the running agent is connected to the same host and port, with what to do then."""
    from edge_agent.bus_problems import beside_agent

    theirs = _agents_bus(bus) if problems else ""
    return [beside_agent(problem, theirs) if theirs else problem for problem in problems]


def _agents_bus(bus: Bus) -> str:
    """The id of the agent's bus there; empty: it has none, or none runs."""
    from edge_agent.io.service import runtime_folders
    from edge_agent.io.status_file import read_status
    from edge_agent.model.points import Tcp

    if not isinstance(bus.link, Tcp):
        return ""  # a serial port is locked, and says so itself
    body = read_status(runtime_folders(None, os.environ)) or {}
    place = f"{bus.link.host}:{bus.link.port}"
    found = (id for id, figures in body.get("buses", {}).items() if figures.get("port") == place and figures.get("state") != "down")
    return next(found, "")
