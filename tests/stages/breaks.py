"""Pure. Every planted break, in the order of the line."""

from __future__ import annotations

from tests.stages.agent import AGENT
from tests.stages.collector import COLLECTOR
from tests.stages.plan import Break

BREAKS: tuple[Break, ...] = (*AGENT, *COLLECTOR)
