"""Pure over the seams. The collector in numbers for Prometheus: one prefix, base units, bounded labels."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.domain.pulse import GatewayPulse
from collector.web.overview import OPEN_STATES, warning_counts
from collector.web.parts import WebParts

PREFIX = "waterworks"
MOST_GATEWAYS = 2000
"""Gateways beyond this many are left out of the metrics (labels stay bounded); `waterworks_gateways` counts all."""
MOST_WARNINGS = 5000
_BUCKETS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)


class Metrics:
    """The registry of one application, and what the request counter writes into it."""

    def __init__(self, parts: WebParts) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(_Present(parts))
        labels = ("method", "route", "status")
        self._requests = Counter(f"{PREFIX}_http_requests", "HTTP requests answered", labels, registry=self.registry)
        self._seconds = Histogram(
            f"{PREFIX}_http_request_duration_seconds", "Time to answer", ("route",), buckets=_BUCKETS, registry=self.registry
        )

    def answered(self, method: str, route: str, status: int, took_ms: int) -> None:
        """Counts one request. route: the template (`/sites/{site}`), so that labels stay few."""
        method = method if method in {"GET", "HEAD", "POST"} else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(took_ms / 1000)


class _Present(Collector):
    """Read anew at each scrape."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts

    def describe(self) -> Iterable[Metric]:
        """Nothing: asking would read the operations database while the registry is made."""
        return []

    def collect(self) -> Iterable[Metric]:
        parts = self._parts
        yield InfoMetricFamily(f"{PREFIX}_build", "Software", value={"version": parts.settings.version})
        open_ = parts.operations.warnings(None, OPEN_STATES, limit=MOST_WARNINGS)
        warnings = GaugeMetricFamily(f"{PREFIX}_warnings_open", "Warnings that nobody has closed", labels=["level"])
        for level, count in warning_counts(open_).items():
            warnings.add_metric([level], count)
        yield warnings
        yield GaugeMetricFamily(f"{PREFIX}_problems", "Problems of the collector itself", value=len(parts.problems()))
        refused = CounterMetricFamily(f"{PREFIX}_messages_refused", "Messages that are none of the contract", labels=["reason"])
        for reason, count in sorted(parts.refusals().counts.items()):
            refused.add_metric([reason], count)
        yield refused
        pulses = sorted(parts.pulses(), key=lambda pulse: pulse.gateway)
        yield GaugeMetricFamily(f"{PREFIX}_gateways", "Gateways heard of", value=len(pulses))
        yield from _gateways(pulses[:MOST_GATEWAYS])
        yield from _lanes(pulses[:MOST_GATEWAYS])
        told = CounterMetricFamily(
            f"{PREFIX}_gateway_readings_given_up", "Readings that the gateway reported lost", labels=["site", "gateway", "reason"]
        )
        for (gateway, why), count in sorted(parts.given_up().items())[:MOST_GATEWAYS]:
            told.add_metric([*gateway, why], count)
        yield told


def _gateways(pulses: Iterable[GatewayPulse]) -> Iterable[Metric]:
    names = ["site", "gateway"]
    received = CounterMetricFamily(f"{PREFIX}_gateway_batches_received", "Batches made durable", labels=names)
    duplicate = CounterMetricFamily(f"{PREFIX}_gateway_batches_duplicate", "Batches that had been received before", labels=names)
    lost = CounterMetricFamily(f"{PREFIX}_gateway_batches_lost", "Batches the agent said it will never send", labels=names)
    behind = GaugeMetricFamily(f"{PREFIX}_gateway_batches_behind", "Batches known to exist and not here yet", labels=names)
    online = GaugeMetricFamily(f"{PREFIX}_gateway_online", "1 as its status topic says; absent: unknown", labels=names)
    heard = GaugeMetricFamily(f"{PREFIX}_gateway_heard_timestamp_seconds", "Last message of any kind", labels=names)
    for pulse in pulses:
        labels = list(pulse.gateway)
        received.add_metric(labels, pulse.received)
        duplicate.add_metric(labels, pulse.duplicate)
        lost.add_metric(labels, pulse.lost)
        behind.add_metric(labels, pulse.behind)
        if pulse.online is not None:
            online.add_metric(labels, pulse.online)
        if pulse.heard_ms is not None:
            heard.add_metric(labels, pulse.heard_ms / 1000)
    return received, duplicate, lost, behind, online, heard


def _lanes(pulses: Iterable[GatewayPulse]) -> Iterable[Metric]:
    labels = ["site", "gateway", "lane"]
    received = CounterMetricFamily(f"{PREFIX}_lane_batches_received", "Batches made durable", labels=labels)
    duplicate = CounterMetricFamily(f"{PREFIX}_lane_batches_duplicate", "Batches that had been received before", labels=labels)
    lost = CounterMetricFamily(f"{PREFIX}_lane_batches_lost", "Batches the agent said it will never send", labels=labels)
    behind = GaugeMetricFamily(f"{PREFIX}_lane_batches_behind", "Batches known to exist and not here yet", labels=labels)
    for pulse in pulses:
        for counts in pulse.lanes:
            names = [*pulse.gateway, counts.lane]
            received.add_metric(names, counts.received)
            duplicate.add_metric(names, counts.duplicate)
            lost.add_metric(names, counts.lost)
            behind.add_metric(names, counts.behind)
    return received, duplicate, lost, behind
