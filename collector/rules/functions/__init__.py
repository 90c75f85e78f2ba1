"""Pure. The functions of rule expressions, found by themselves: each module of this package names its own in `FUNCTIONS`."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib import import_module

from collector.rules.function import Function


@cache
def functions() -> dict[str, Function]:
    """All of them by name. Raises ValueError where two modules claim one name."""
    found: dict[str, Function] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        offered: Sequence[Function] = getattr(import_module(f"{__name__}.{name}"), "FUNCTIONS", ())
        for function in offered:
            if function.name in found:
                raise ValueError(f"two rule functions are named {function.name!r}; the second is in {name}.py")
            found[function.name] = function
    return found
