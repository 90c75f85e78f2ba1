"""Pure. What a planted break is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Break:
    """One defect put into one file on purpose.

    `old` stands exactly once in `file` (a path below the root of the repository) and becomes `new`. Each of `tests` (pytest node
    ids, without parameters) must fail then.
    """

    name: str
    stage: str
    what: str
    """What is wrong now, for the table."""
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
