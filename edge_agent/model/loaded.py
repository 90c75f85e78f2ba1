"""Pure. What loading a site gives: everything a running agent needs, and what a person should know of it."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.common.problem import Problem
from edge_agent.contract.message import BirthBody
from edge_agent.model.points import Site


@dataclass(frozen=True, slots=True)
class LoadedSite:
    """A site that may run. warnings: what is probably not meant so, but works."""

    site: Site
    birth: BirthBody
    warnings: tuple[Problem, ...] = ()
