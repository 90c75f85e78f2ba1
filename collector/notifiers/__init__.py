"""Ways to tell a person, found by themselves: each module of this package names its own in KIND and makes it with `build`."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from collector.seams import Notifier

OTHERS = frozenset(("address", "dispatch"))
"""Modules of this package that are no notifiers."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One configured notifier. name: unique in the configuration; notices are queued under it."""

    name: str
    kind: str
    url: str = ""
    secret: bytes = b""
    """The key with which each message is signed; empty: not signed."""
    allow_hosts: tuple[str, ...] = ()
    """Hosts that may be called although they are private."""


Build = Callable[[Channel], Notifier]


def kinds() -> Mapping[str, Build]:
    """Every kind of notifier. Raises ValueError where two modules claim one name."""
    found: dict[str, Build] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in OTHERS):
        module = import_module(f"{__name__}.{name}")
        if module.KIND in found:
            raise ValueError(f"two notifiers are of kind {module.KIND!r}; the second is in {name}.py")
        found[module.KIND] = module.build
    return found


def build(channel: Channel) -> Notifier:
    """The notifier of a configured channel. Raises KeyError for an unknown kind, ProblemError (NOT701) for a wrong address."""
    return kinds()[channel.kind](channel)
