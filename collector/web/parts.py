"""Pure. What the page and the REST interface are built from: seams, callables, settings - handed in by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collector.domain.county import County
from collector.domain.identity import GatewayId
from collector.domain.pulse import GatewayPulse
from collector.intake.day_account import DayAccount, Wanted
from collector.intake.records import Refusals
from collector.seams import Operations, Store
from edge_agent.common.clock import Clock
from edge_agent.common.problem import Problem


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where the page listens and who may use it. Checked by `safety.check`, which `app.build` calls."""

    listen_host: str = "127.0.0.1"
    """A name or address. Beyond loopback `users` and TLS (or an https `base_url` in front) are required."""
    listen_port: int = 8080
    base_url: str = ""
    """The address under which people open the page; links in messages begin with it. Empty: the address listened on."""
    users: Mapping[str, str] = field(default_factory=dict)
    """Name to argon2 hash. Empty: no login, allowed on loopback alone."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    version: str = ""
    """Software version, shown at the foot of each page and in the metrics."""


def _no_account(_wanted: Wanted) -> Sequence[DayAccount]:
    """Of a page without an account behind it."""
    return ()


@dataclass(frozen=True, slots=True)
class WebParts:
    """Everything the page reads and the one thing it changes (`operations.act`)."""

    store: Store
    operations: Operations
    county: Callable[[], County]
    """The county as it stands now; cheap."""
    pulses: Callable[[], Sequence[GatewayPulse]]
    """Every gateway heard of; cheap."""
    clock: Clock
    problems: Callable[[], Sequence[Problem]]
    """What is wrong with the collector itself at this moment; cheap."""
    settings: WebSettings = field(default_factory=WebSettings)
    refusals: Callable[[], Refusals] = Refusals
    """Messages that the intake refused; cheap."""
    account: Callable[[Wanted], Sequence[DayAccount]] = _no_account
    """What was expected of each gateway on each day and what came of it. Raises StorageFailed."""
    given_up: Callable[[], Mapping[tuple[GatewayId, str], int]] = dict
    """Readings that gateways reported lost since the start, by reason; cheap."""
