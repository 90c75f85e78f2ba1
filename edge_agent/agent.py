"""Does I/O: the composition root of `edge-agent run`: builds the real parts, joins them, watches them, ends them.

Threads: one for each bus, `delivery` (owns the Courier), `outbox` (owns the file), `mqtt` (owns the session), and the caller's,
which supervises: clock, commands, status file, systemd, signals.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from edge_agent import __version__
from edge_agent.buses import Buses, MakeRunner
from edge_agent.certificate_watch import CertificateWatch
from edge_agent.common.clock import Clock
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.words import counted
from edge_agent.contract.encoding import encode
from edge_agent.contract.message import TimeAsk
from edge_agent.contract.topics import Kind
from edge_agent.delivery.clock import Settings as ClockSettings
from edge_agent.delivery.courier import Courier
from edge_agent.delivery.machine import ClockSet, NewBirth, Start
from edge_agent.io.certificate import certificate_end_ms
from edge_agent.io.clock_memory import MemoryFile
from edge_agent.io.delivery_loop import DeliveryLoop
from edge_agent.io.kernel_clock import ClockState
from edge_agent.io.lessons_file import LessonsFile
from edge_agent.io.logs import logger, say, say_problem
from edge_agent.io.modem import modem_of
from edge_agent.io.mqtt import LinkEvent, Publisher, plain_text_problems
from edge_agent.io.mqtt_session import Identity
from edge_agent.io.outbox import Opened, OutboxFailed, OutboxFile
from edge_agent.io.outbox_writer import OutboxWriter
from edge_agent.io.service import Systemd, boot_id
from edge_agent.io.status_file import remove_status, write_status
from edge_agent.io.time_source import Rtc, TimeSource
from edge_agent.link_desk import LinkDesk
from edge_agent.model.reading import Happening, Reading
from edge_agent.saver import Saver
from edge_agent.standing import Standing
from edge_agent.status_body import figures_text, status_body

if TYPE_CHECKING:
    from edge_agent.model.loaded import LoadedSite

BEAT_S = 0.5
STATUS_MS = 1000
DELIVERY_LIMIT_MS = 30_000
"""The delivery thread completes a round at least every second."""
MEDIUM_REFUSES = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)
EPOCHS_BEGIN_MS = 1_577_836_800_000
"""2020: from here the clock counts epochs where no counter can be read."""
CHECK_CARD = "check that the card is not full (df -h), not read-only and not worn out (dmesg)"
SOFTWARE = f"edge-agent {__version__}"


class Wish(Enum):
    """What the one who runs the agent may ask for."""

    STOP = "stop"
    RELOAD = "reload"


@dataclass(frozen=True, slots=True)
class Folders:
    """state: outbox and lock, private; runtime: the status file, readable by everyone on the machine."""

    state: Path
    runtime: Path


@dataclass(frozen=True, slots=True)
class Machine:
    """The real things that the agent stands on."""

    clock: Clock
    kernel: ClockState
    systemd: Systemd
    make_runner: MakeRunner
    load: Callable[[], LoadedSite]
    """Reads the site file again; raises ProblemError."""
    trust_clock: bool = False
    rtc: Rtc | None = None


class Agent:
    """One gateway's agent. `run` returns after a clean end. Raises ProblemError where it cannot start (RUN4xx, OUT2xx)."""

    def __init__(self, loaded: LoadedSite, folders: Folders, machine: Machine) -> None:
        self._site, self._birth = loaded.site, loaded.birth
        self._warnings = (*loaded.warnings, *plain_text_problems(loaded.site.brokers))
        self._folders = folders
        self._machine = machine
        self._clock = machine.clock
        self._log = logger("agent")
        self._boot = boot_id()
        self._lock_file: TextIO | None = None
        self._standing = Standing()
        self._time = self._time_source()
        self._clock_source = ""
        self._file = OutboxFile(folders.state / "outbox.db", f"{loaded.site.site}/{loaded.site.gateway}")
        self._delivery = DeliveryLoop(Courier(loaded.site.delivery), machine.clock, lambda done: OutboxWriter(self._file, done))
        self._saver = Saver(loaded.site.buses, loaded.site.delivery, folders.state, machine.clock)
        self._buses = Buses(machine.make_runner, machine.clock, self._taken, self._happened)
        self._lessons = LessonsFile(folders.state)
        self._certificates = CertificateWatch(loaded.site.brokers)
        self._status_at_ms = 0
        self._hanging: list[str] = []

    def run(self, wait: Callable[[float], Wish | None]) -> None:
        """Runs until `wait` (called about twice a second, with the longest wait in s) gives Wish.STOP."""
        self._start()
        self._machine.systemd.ready(self._text())
        while (wish := wait(BEAT_S)) is not Wish.STOP:
            if wish is Wish.RELOAD:
                self._reload()
            self._beat()
        self._end()

    def _time_source(self) -> TimeSource:
        modem = modem_of(self._site.clock_modem)
        settings = ClockSettings(self._boot, self._machine.trust_clock, modem is not None)
        memory = MemoryFile(self._folders.state / "clock.json")
        return TimeSource(
            self._clock, self._machine.kernel, settings, rtc=self._machine.rtc, modem=modem, memory=memory,
            certificate_ends_ms=lambda: certificate_end_ms(self._site.brokers),
        )  # fmt: skip

    # --- start -------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        site = self._site
        runners = self._buses.prepare(site.buses)
        opened, epoch, disk = self._open_outbox()
        if aside := self._lessons.read():
            say(self._log, logging.WARNING, "learned.damaged", f"set aside as {aside}; holes of devices are found anew")
        self._saver.start()
        identity = Identity(site.site, site.gateway, epoch, self._boot, SOFTWARE)
        self._epoch = epoch
        self._link = Publisher(
            identity,
            site.brokers,
            site.delivery.in_flight,
            self._link_event,
            random.Random(),
            data_qos=site.delivery.qos,
            return_s=site.return_s,
            clock_kept=lambda: self._machine.kernel.synchronised_within_ms() is not None,
            certain_ms=self._time.certain_ms,
        )
        self._desk = LinkDesk(self._delivery, self._link, self._time, self._status)
        for warning in self._warnings:
            say_problem(self._log, logging.WARNING, warning)
        first = Start(
            epoch, self._boot, self._birth, opened.stored, opened.set_aside, opened.anchors, disk, opened.shelves, opened.lost,
            opened.unknown, opened.runs,
        )  # fmt: skip
        if opened.damaged > opened.unknown:
            rows = counted(opened.damaged - opened.unknown, "row of the outbox file is", "rows of the outbox file are")
            words = f"{rows} damaged; what was lost with it is told as a gap."
            say(self._log, logging.WARNING, "outbox.damaged", words)
        self._delivery.start(first, self._link)
        about = (("software", SOFTWARE), ("boot", self._boot))
        self._delivery.tell([Happening("agent.start", self._clock.monotonic_ms(), about=about)])
        self._tell_time()
        self._link.start()
        self._buses.start(runners, self._lessons.of(site.buses))
        devices = counted(sum(len(bus.devices) for bus in site.buses), "device")
        say(
            self._log,
            logging.INFO,
            "agent.start",
            f"{SOFTWARE}: {site.site}/{site.gateway}, {devices}, epoch {epoch}",
        )
        self._beat()

    def _open_outbox(self) -> tuple[Opened, str, str]:
        """What the outbox file holds, this start's epoch, and why the file cannot be written (empty if it can)."""
        random_hex = secrets.token_hex(8)
        refused = self._lock()
        opened = Opened(())
        if not refused:
            try:
                opened = self._file.open()
                return opened, self._file.new_epoch(random_hex), ""
            except (OutboxFailed, OSError) as failure:
                refused = str(failure)
            except ProblemError:
                self._release()
                raise
        what = f"The outbox cannot be written: {refused}. The agent goes on from memory; a power cut now costs what it holds."
        say_problem(self._log, logging.WARNING, Problem("RUN403", str(self._file.path), what, CHECK_CARD))
        return opened, self._file.open_later(random_hex, self._clock_minutes()), refused

    def _lock(self) -> str:
        """Keeps other agents out of the state folder. Gives why the medium refuses, empty if it does not."""
        folder = self._folders.state
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock_file = _lockable(folder)
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._release()
            do = "stop the other one, or give this one its own --state-dir"
            raise ProblemError(Problem("RUN401", str(folder), "Another agent works in this state folder.", do)) from None
        except OSError as error:
            self._release()
            if error.errno in MEDIUM_REFUSES:
                return str(error.strerror)
            do = "give the agent's user the folder (chown edge-agent, chmod 700), or another one with --state-dir"
            raise ProblemError(Problem("RUN402", str(folder), f"The state folder cannot be used: {error.strerror}.", do)) from None
        return ""

    def _clock_minutes(self) -> int:
        return max(1, (self._clock.utc_ms() - EPOCHS_BEGIN_MS) // 60_000)

    # --- while it runs -----------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        self._tell_time()
        self._desk.serve()
        self._happened(self._saver.beat(self._time.utc_ms(), self._link.figures.air_bytes, self._delivery.must))
        now_ms = self._clock.monotonic_ms()
        if ending := self._certificates.look(now_ms, self._time.utc_ms()):
            self._happened(ending)
        if now_ms >= self._status_at_ms:
            self._status_at_ms = now_ms + STATUS_MS
            self._lessons.keep(self._site.buses, self._buses.lessons(), now_ms)
            self._write_status()
            self._machine.systemd.status(self._text())
        hanging = self._buses.hanging() + (["delivery"] if now_ms - self._delivery.moved_ms > DELIVERY_LIMIT_MS else [])
        if hanging and hanging != self._hanging:
            say(self._log, logging.ERROR, "agent.hanging", f"no progress: {', '.join(hanging)}")
        self._hanging = hanging
        if not hanging:
            self._machine.systemd.alive()

    def _tell_time(self) -> None:
        for found in self._time.poll(link_up=self._link.figures.up):
            if isinstance(found, ClockSet):
                if found.source != self._clock_source:
                    say(self._log, logging.INFO, "clock.set", f"UTC from {found.source}, within {found.bound_ms} ms")
                self._clock_source = found.source
                self._delivery.must(found)
            elif isinstance(found, TimeAsk):
                self._link.publish(Kind.TIME, encode(found))
            elif found.kind == "clock.set":
                self._delivery.tell([found])
            else:
                self._happened([found])

    def _happened(self, events: Sequence[Happening]) -> None:
        for event in self._standing.note(events):
            level = logging.WARNING if event.on else logging.INFO
            word = {True: "begins", False: "is over", None: ""}[event.on]
            about = ", ".join(f"{name} {value}" for name, value in event.about) if event.on is None else ""
            text = " ".join(part for part in (event.subject, word, event.reason, about) if part)
            if text:
                say(self._log, level, event.kind, text)
        self._delivery.tell(events)

    def _taken(self, readings: Sequence[Reading]) -> None:
        self._delivery.take(self._saver.filter(readings))

    def _link_event(self, event: LinkEvent) -> None:
        self._desk.receive(event)

    def _status(self) -> Mapping[str, object]:
        return status_body(
            self._site,
            self._birth,
            {"pid": os.getpid(), "software": SOFTWARE, "boot": self._boot, "epoch": self._epoch, "hanging": self._hanging},
            clock=self._time.figures,
            utc_ms=self._time.utc_ms(),
            now_ms=self._clock.monotonic_ms(),
            link=self._link.figures,
            ending=self._certificates.ending,
            delivery=self._delivery.figures,
            refused=self._delivery.refused,
            buses=self._buses,
            saver=self._saver.figures(),
            learned=self._lessons.figures,
            standing=self._standing.open(),
        )

    def _write_status(self) -> None:
        try:
            write_status(self._folders.runtime, self._status())
        except OSError as error:
            if not self._standing.is_open("agent.status-file", ""):
                now_ms = self._clock.monotonic_ms()
                self._happened([Happening("agent.status-file", now_ms, on=True, reason=str(error.strerror))])
            return
        if self._standing.is_open("agent.status-file", ""):
            self._happened([Happening("agent.status-file", self._clock.monotonic_ms(), on=False)])

    def _text(self) -> str:
        return figures_text(self._delivery.figures, self._link.figures, len(self._standing.open()), self._time.figures)

    # --- reload and end ----------------------------------------------------------------------------------------------

    def _reload(self) -> None:
        self._machine.systemd.reloading()
        try:
            loaded = self._machine.load()
        except ProblemError as error:
            for problem in error.problems:
                say_problem(self._log, logging.ERROR, problem)
            say(self._log, logging.ERROR, "agent.reload", "the site file has problems; the last good one stays in force")
        else:
            self._take_over(loaded)
        self._machine.systemd.ready(self._text())

    def _take_over(self, loaded: LoadedSite) -> None:
        new = loaded.site
        running, budget = self._site, new.delivery.budget
        delivery = replace(running.delivery, budget=budget)
        if replace(running, buses=new.buses, name=new.name, delivery=delivery) != new:
            what = "Ids, brokers or delivery settings differ from the running ones; they take effect at the next start."
            do = "systemctl restart edge-agent"
            say_problem(self._log, logging.WARNING, Problem("RUN404", f"{new.site}/{new.gateway}", what, do))
            return
        try:
            runners = self._buses.prepare(new.buses)
        except ProblemError as error:
            for problem in error.problems:
                say_problem(self._log, logging.ERROR, problem)
            return
        late = self._buses.stop(5.0)
        if late:
            say(self._log, logging.ERROR, "agent.reload", f"these buses did not stop in time: {', '.join(late)}")
        self._lessons.keep(running.buses, self._buses.lessons(), self._clock.monotonic_ms())
        self._standing.forget_buses()
        self._buses.forget_counts()
        self._delivery.must(NewBirth(loaded.birth))
        self._saver.take_over(new.buses, delivery)
        self._site = new
        self._birth = loaded.birth
        self._happened([Happening("agent.reload", self._clock.monotonic_ms())])
        say(self._log, logging.INFO, "agent.reload", "the new site file is in force")
        self._buses.start(runners, self._lessons.of(new.buses))

    def _end(self) -> None:
        self._machine.systemd.stopping()
        late = self._buses.stop(3.0)
        self._saver.save()
        self._lessons.keep(self._site.buses, self._buses.lessons(), self._clock.monotonic_ms())
        self._lessons.save()
        failed = sum(bus.failed for bus in self._buses.figures().values())
        held_back = self._saver.figures().held_back
        totals = (("taken", sum(self._buses.counts().values())), ("held_back", held_back), ("failed", failed))
        self._delivery.tell([Happening("agent.stop", self._clock.monotonic_ms(), about=totals)])
        self._delivery.close()
        until_ms = self._clock.monotonic_ms() + 2000
        while self._link.figures.up and not self._delivery.drained() and self._clock.monotonic_ms() < until_ms:
            self._desk.pause(0.05)
        written = self._delivery.finish(3.0)
        self._link.stop(1.5)
        remove_status(self._folders.runtime)
        self._release()
        if late or not written:
            say(
                self._log, logging.ERROR, "agent.stop", f"not ended in time: {', '.join([*late, *([] if written else ['outbox'])])}"
            )
        say(self._log, logging.INFO, "agent.stop", self._text())

    def _release(self) -> None:
        if self._lock_file is not None:
            self._lock_file.close()


def _lockable(folder: Path) -> TextIO:
    """The lock file; on a medium that takes nothing, as far as it is there already."""
    try:
        return (folder / "lock").open("w", encoding="ascii")
    except OSError as error:
        if error.errno not in MEDIUM_REFUSES or not (folder / "lock").exists():
            raise
        return (folder / "lock").open("r", encoding="ascii")
