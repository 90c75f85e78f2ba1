"""Pure. Marks the durable steps at which faults are aimed (RELIABILITY.md point 7).

`hazard` does nothing in the product. The simulator and a launcher in `tests/` replace `strike`; no setting or variable can.
"""

from __future__ import annotations

from collections.abc import Callable


def _nothing(name: str) -> None:
    """The product's own: does nothing."""


strike: Callable[[str], None] = _nothing


def hazard(name: str) -> None:
    """Stands before and after each durable step, e.g. `hazard("log.commit.before")`."""
    strike(name)
