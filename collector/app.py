"""Does I/O: the composition root of the collector: builds every part, starts them in order, ends them in the other.

One process with threads: subscriber, intake, store writer, warning engine, notices, page, schedule; and the embedded broker as a
child process. The main thread waits, watches the others, and tells systemd and `collector status` how it goes.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType
from zoneinfo import ZoneInfo

from collector.config.load import Loaded, load_county, read_secret
from collector.config.rules_file import load_rules
from collector.domain.county import County
from collector.intake.daybook import calendars
from collector.intake.machine import Foreign
from collector.io.account_book import SqliteAccountBook
from collector.io.broker_process import BrokerPlan, BrokerProcess
from collector.io.broker_rights import COLLECTOR_USER
from collector.io.disk_guard import DiskGuard
from collector.io.log_lines import start_log
from collector.io.log_mending import mend
from collector.io.log_takeover import take_over
from collector.io.mqtt_subscriber import MQTT_311, BrokerAddress, PahoSubscriber
from collector.io.operations import SqliteOperations
from collector.io.page_server import PageServer
from collector.io.service import Heartbeats, Service
from collector.io.sqlite_log import SqliteLog
from collector.io.state_folder import StateFolder
from collector.io.status_file import ProblemLine, Status, StatusFile
from collector.notifiers import Channel
from collector.notifiers import build as build_notifier
from collector.notifiers.dispatch import Dispatcher
from collector.pipeline import DAY_MS, LineParts, Pipeline
from collector.reports.daily import Account, Day
from collector.reports.daily_job import DailyJob
from collector.rules.engine import Engine
from collector.schedule import Schedule
from collector.seams import Notifier, Store
from collector.stores import StoreSettings, find_stores
from collector.stores.embedded import EmbeddedStore
from collector.web.safety import settings_of
from edge_agent import __version__
from edge_agent.common.clock import SystemClock
from edge_agent.common.memory import few_heaps, look_for_cycles_rarely, return_large_blocks
from edge_agent.common.problem import Exit, Problem
from edge_agent.common.words import counted

_log = logging.getLogger(__name__)
LOG_FILE, OPERATIONS_FILE, ACCOUNT_FILE = "log.sqlite", "operations.sqlite", "account.sqlite"
STATUS_S = 1.0


def run(loaded: Loaded) -> int:
    """Runs a collector until SIGTERM or SIGINT. Returns the exit code. Raises ProblemError if it cannot start."""
    few_heaps(2)
    return_large_blocks()
    start_log(sys.stderr, os.environ)
    _log.setLevel(logging.INFO)
    stopping = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    threading.excepthook = _defect
    service = Service()
    with ExitStack() as parts:
        collector = Collector(loaded, parts)
        look_for_cycles_rarely()
        service.ready(f"page {collector.page_url}")
        _log.info("collector %s runs; page %s", __version__, collector.page_url)
        while not stopping.wait(STATUS_S):
            stuck = collector.heartbeats.stuck()
            status = collector.tell_status()
            if not stuck:
                service.alive()
            counts = (
                (status.gateways, "gateway", ""),
                (status.received, "batch", "batches"),
                (len(status.problems), "problem", ""),
            )
            service.status(", ".join(counted(*each) for each in counts))
        service.stopping()
        _log.info("collector ends")
    return Exit.FINE


@dataclass(frozen=True, slots=True)
class _Link:
    """The way to the broker: its child process where it is embedded."""

    broker: BrokerProcess | None
    subscriber: PahoSubscriber
    host: str
    port: int


class Collector:
    """A running collector. Everything it started is ended by the stack it was given, in reverse order."""

    def __init__(self, loaded: Loaded, parts: ExitStack) -> None:
        """Builds and starts all. Raises ProblemError with everything that speaks against it."""
        settings, self._clock = loaded.settings, SystemClock()
        self._started_ms = self._clock.utc_ms()
        self._status_file = StatusFile(loaded.state)
        self.heartbeats = Heartbeats(self._clock.monotonic_ms)
        rules = load_rules(loaded.rule_folders)
        county = load_county(loaded, frozenset(rules))
        notifiers = _notifiers(loaded)
        parts.enter_context(StateFolder(loaded.state)).check_whole()
        mend(loaded.state / LOG_FILE)
        take_over(loaded.state / LOG_FILE)
        self._log = SqliteLog(loaded.state / LOG_FILE)
        parts.callback(self._log.close)
        store = self._store = _open_store(loaded)
        parts.callback(store.close)
        self._page = settings_of(settings.web, __version__)
        self.page_url = self._page.base_url
        operations = self._operations = SqliteOperations(loaded.state / OPERATIONS_FILE, county, tuple(notifiers), self.page_url)
        parts.callback(operations.close)
        book = SqliteAccountBook(loaded.state / ACCOUNT_FILE)
        parts.callback(book.close)
        dispatcher = self._start_dispatcher(operations, notifiers, parts)
        self._disk = DiskGuard(loaded.state, self._clock)
        self._link = _open_link(loaded, self._clock, parts)
        self._pipeline = Pipeline(
            LineParts(
                log=self._log,
                store=store,
                ledger=operations,
                book=book,
                days_of=calendars(county.zone_of),
                new_rules=lambda state: Engine(list(rules.values()), county, state or None, self._started_ms),
                subscriber=self._link.subscriber,
                clock=self._clock,
                disk=self._disk,
                beat=self.heartbeats.beat,
                on_changes=dispatcher.wake,
                retention_ms=settings.log.retention_days * DAY_MS,
            )
        )
        if self._link.broker is not None:
            receiver = self._pipeline.receiver
            self._link.broker.listen(lambda r: receiver.hear_foreign(Foreign(r.sender, r.topic, r.begin, r.size, r.count)))
        server = self._build_page(loaded, store, operations, county, book)
        self._pipeline.start()
        parts.callback(self._pipeline.stop)
        zone = ZoneInfo(county.zone)
        summary = DailyJob(operations, county, zone, self._account_of(store), self._clock, dispatcher.wake)
        schedule = Schedule(zone, self._clock.utc_ms())
        schedule.hourly("trim", self._pipeline.trim)
        schedule.hourly("scrub", self._log.scrub)
        if settings.daily_summary is not None:
            schedule.daily("summary", settings.daily_summary, summary.run)
        schedule.start()
        parts.callback(schedule.stop)
        server.start()
        parts.callback(server.stop)

    def problems(self) -> Sequence[Problem]:
        """What is wrong with the collector itself at this moment."""
        broker = self._link.broker.problem() if self._link.broker is not None else None
        found = [
            broker,
            self._link.subscriber.problem(),
            self._disk.problem(),
            self._log.problem(),
            self._status_file.problem(),
            *self._operations.problems(),
            *(self._store.problems() if isinstance(self._store, EmbeddedStore) else ()),
            *self._pipeline.problems(),
        ]
        return [problem for problem in found if problem is not None]

    def status(self) -> Status:
        """For the status file."""
        pulses = self._pipeline.pulses()
        refusals = self._pipeline.receiver.refusals()
        return Status(
            at_ms=self._clock.utc_ms(),
            started_ms=self._started_ms,
            pid=os.getpid(),
            broker_host=self._link.host,
            broker_port=self._link.port,
            connected=self._pipeline.receiver.connected,
            page=self.page_url,
            log_last=self._log.last_offset(),
            stored=self._pipeline.writer.position,
            judged=self._pipeline.judge.position,
            gateways=len(pulses),
            received=sum(pulse.received for pulse in pulses),
            duplicate=sum(pulse.duplicate for pulse in pulses),
            lost=sum(pulse.lost for pulse in pulses),
            poison=self._pipeline.receiver.poison,
            problems=[ProblemLine(problem.code, problem.where, problem.what, problem.do) for problem in self.problems()],
            refused=dict(refusals.counts),
            last_refused=f"{refusals.topic or '?'}: {refusals.reason}" if refusals.counts else "",
        )

    def tell_status(self) -> Status:
        """Writes the status file; gives what it holds."""
        status = self.status()
        self._status_file.write(status)
        return status

    def _start_dispatcher(self, operations: SqliteOperations, notifiers: dict[str, Notifier], parts: ExitStack) -> Dispatcher:
        ending = threading.Event()
        dispatcher = Dispatcher(operations, notifiers, self._clock, lambda: self.heartbeats.beat("notices"))
        thread = threading.Thread(target=dispatcher.run, args=(ending,), name="notices", daemon=True)
        thread.start()

        def end() -> None:
            ending.set()
            dispatcher.wake()
            thread.join(5)

        parts.callback(end)
        return dispatcher

    def _account_of(self, store: Store) -> Callable[[Day], Account]:
        """Readings of a day by site; the counts of batches are those of the log so far."""

        def account(day: Day) -> Account:
            readings: Counter[str] = Counter()
            for info in store.series():
                readings[info.key.site] += store.count(info.key, day.from_ms, day.to_ms)
            pulses = self._pipeline.pulses()
            counts = [sum(getattr(pulse, name) for pulse in pulses) for name in ("received", "duplicate", "lost")]
            return Account(readings, *counts)

        return account

    def _build_page(
        self, loaded: Loaded, store: Store, operations: SqliteOperations, county: County, book: SqliteAccountBook
    ) -> PageServer:
        from collector.web.app import build
        from collector.web.parts import WebParts

        web = loaded.settings.web
        pulses, refusals = self._pipeline.pulses, self._pipeline.receiver.refusals
        days_of = calendars(county.zone_of)
        page = build(
            WebParts(
                store,
                operations,
                lambda: county,
                pulses,
                self._clock,
                self.problems,
                self._page,
                refusals,
                lambda wanted: book.accounts(wanted, days_of),
                self._pipeline.accountant.given_up,
            )
        )
        return PageServer(page, web.host, web.port, web.certificate, web.key)


def _open_store(loaded: Loaded) -> Store:
    influx = loaded.settings.influx
    if influx is None:
        return find_stores()["embedded"](StoreSettings(loaded.state))
    token = read_secret(influx.token_file)
    return find_stores()["influx"](StoreSettings(loaded.state, influx.url, influx.org, influx.bucket, token))


def _notifiers(loaded: Loaded) -> dict[str, Notifier]:
    return {
        part.name: build_notifier(
            Channel(
                part.name,
                part.kind,
                part.url or read_secret(part.url_file),
                read_secret(part.secret_file).encode(),
                part.allow_hosts,
            )
        )
        for part in loaded.settings.notifiers
    }


def _open_link(loaded: Loaded, clock: SystemClock, parts: ExitStack) -> _Link:
    mqtt = loaded.settings.mqtt
    if mqtt.host:
        password = read_secret(mqtt.password_file)
        address = BrokerAddress(mqtt.host, mqtt.broker_port, mqtt.root, mqtt.user, password, mqtt.tls, mqtt.tls_ca)
        return _Link(None, PahoSubscriber(lambda: address, clock), mqtt.host, mqtt.broker_port)
    embedded = mqtt.embedded_broker
    secret = secrets.token_urlsafe(24)
    plan = BrokerPlan(
        mqtt.root, embedded.host, embedded.port, embedded.users_file, embedded.certificate, embedded.key, collector_secret=secret
    )
    broker = BrokerProcess(plan)
    broker.start()
    parts.callback(broker.stop)
    own = BrokerAddress(
        embedded.host, broker.port, mqtt.root, COLLECTOR_USER, secret, bool(embedded.certificate), embedded.certificate, MQTT_311
    )
    return _Link(broker, PahoSubscriber(lambda: own, clock), embedded.host, broker.port)


def _defect(happened: threading.ExceptHookArgs) -> None:
    """A thread that breaks is a defect: the program ends at once and systemd starts it anew; nothing receipted is lost."""
    name = happened.thread.name if happened.thread is not None else "?"
    _log.critical(
        "thread %s broke", name, exc_info=(happened.exc_type, happened.exc_value or happened.exc_type(), happened.exc_traceback)
    )
    logging.shutdown()
    os._exit(1)
