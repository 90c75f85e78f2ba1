"""Pure. One site inside the warning engine: its signals, its order of time, and the rules attached to it.

Every method that may begin or end a warning yields the watch at the moment it happens, so that the engine sees each step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from collector.domain.county import County
from collector.domain.identity import SeriesKey
from collector.domain.interpreted import Interpreted, SiteEvent
from collector.domain.pulse import GatewayPulse
from collector.domain.series import SeriesColumn, SeriesInfo
from collector.rules.binding import Equipment, attach, bind_expressions, settings_for, spans_ms
from collector.rules.expression import Scope
from collector.rules.ordering import Ordering, OrderState
from collector.rules.rule import Rule
from collector.rules.signal import Known, Slot, known_value
from collector.rules.watch import Watch, WatchState
from edge_agent.contract.message import BirthBody, Device

DEVICE_SILENT = "device.silent"
Moves = Iterator[Watch]


class SlotState(msgspec.Struct, array_like=True):
    """A signal in the rule state."""

    series: SeriesInfo
    at_ms: int
    known: float | bool | None
    known_at_ms: int


class Happening(msgspec.Struct, array_like=True):
    """The newest event of one kind and subject."""

    at_ms: int
    on: bool
    epoch: str


class SiteState(msgspec.Struct):
    """All that a restart must know of a site."""

    slots: list[SlotState]
    devices: dict[str, dict[str, Device]]
    order: OrderState
    watches: list[WatchState]
    happenings: dict[str, Happening]
    orphans: list[WatchState]


class Site:
    """See the module."""

    def __init__(self, name: str, rules: Sequence[Rule], county: County, state: SiteState | None = None) -> None:
        self.name = name
        self.ordering = Ordering(state.order if state else None)
        self.watches: list[Watch] = []
        self.orphans: list[WatchState] = list(state.orphans) if state else []
        """Warnings that stand under a rule that is no longer there or was switched off."""
        self._rules = {kind: [rule for rule in rules if rule.kind == kind] for kind in ("process", "event", "link")}
        self._county = county
        self._slots: list[Slot] = []
        self._number: dict[SeriesKey, int] = {}
        self._devices: dict[str, dict[str, Device]] = dict(state.devices) if state else {}
        self._happenings: dict[str, Happening] = dict(state.happenings) if state else {}
        self._by_name: dict[tuple[str, str], Watch] = {}
        self._by_slot: dict[int, list[Watch]] = {}
        if state:
            self._restore(state)

    def message(self, message: Interpreted) -> Moves:
        """Takes one message; judges what may be judged now.

        The time until it came passes first, so that the log alone says what was judged when: an engine that reads a part of it
        again needs no tick that came between.
        """
        now_ms = message.received_ms
        yield from self.tick(now_ms)
        if message.birth is not None:
            self._describe(message.gateway.gateway, message.birth)
        for taken in self.ordering.arrive(message):
            yield from self._take(taken)
        yield from self._judge(now_ms)

    def tick(self, now_ms: int) -> Moves:
        """Time passes: holes and silent gateways hold nothing back for ever."""
        for taken in self.ordering.patience(now_ms):
            yield from self._take(taken)
        yield from self._judge(now_ms)

    def pulse(self, pulse: GatewayPulse, now_ms: int, back_since_ms: int) -> Moves:
        """Judges the link rules of one gateway, and lets the time of its events go on while it is heard."""
        gateway = pulse.gateway.gateway
        heard_ms = pulse.heard_ms
        silence = None if heard_ms is None else max(0, now_ms - max(heard_ms, back_since_ms)) / 1000
        for rule in self._rules["link"]:
            watch = self._plain_watch(rule, gateway, gateway)
            if watch is None:
                continue
            watch.numbers |= {
                "silence_s": silence,
                "behind": float(pulse.behind),
                "lost": float(pulse.lost),
                "online": pulse.online,
            }
            if watch.judge(now_ms):
                yield watch
        flow = self.ordering.state.flows.get(gateway)
        if heard_ms is not None and flow is not None and flow.is_live:
            yield from self._advance(gateway, max(flow.newest_ms, heard_ms))

    def is_caught_up(self, now_ms: int, live_ms: int) -> bool:
        """True when what stands now is the present: what still waits is recent, or nothing more is coming."""
        return self.ordering.is_caught_up(now_ms, live_ms) or self.ordering.is_at_rest(now_ms)

    def is_inhibited(self, watch: Watch) -> bool:
        """True while a cause named by the rule stands at the watch's gateway."""
        causes = (self._by_name.get((cause, watch.gateway)) for cause in watch.rule.inhibited_by)
        return any(cause is not None and cause.standing is not None for cause in causes)

    def dump(self) -> SiteState:
        """For the rule state."""
        slots = [SlotState(replace(s.series, texts={}, name=None), s.at_ms, s.known, s.known_at_ms) for s in self._slots]
        watches = [watch.dump() for watch in self.watches]
        return SiteState(slots, self._devices, self.ordering.state, watches, self._happenings, self.orphans)

    # --- what the site is ---

    def _describe(self, gateway: str, birth: BirthBody) -> None:
        self._devices[gateway] = {**self._devices.get(gateway, {}), **{device.id: device for device in birth.devices}}
        for s in birth.series:
            key = SeriesKey(self.name, gateway, s.device, s.point)
            self._slot(SeriesInfo(key, s.unit, s.role, s.kind, s.period_ms, s.decimals, None, s.limits))
        self._attach()

    def _slot(self, series: SeriesInfo) -> int:
        """The number of a series, known or new; the caller attaches the rules anew after a new one."""
        number = self._number.get(series.key)
        if number is None:
            number = self._number[series.key] = len(self._slots)
            self._slots.append(Slot(series))
        else:
            self._slots[number].describe(series)
        return number

    def _attach(self) -> None:
        """Attaches all process rules anew; what watches of the same rule and subject have learnt is kept."""
        known = {(w.rule.id, w.subject): w.dump() for w in self.watches if w.rule.kind == "process"}
        equipment = Equipment({(g, name): device for g, devices in self._devices.items() for name, device in devices.items()})
        for slot in self._slots:
            slot.nameplate = equipment.nameplate(slot.key)
        self.watches = [watch for watch in self.watches if watch.rule.kind != "process"]
        for rule in self._rules["process"]:
            self.watches += attach(rule, self._slots, equipment, self._county, self.name)
        self._index()
        for name, state in known.items():
            self._load_watch(name, state)

    def _index(self) -> None:
        self._by_name = {(watch.rule.id, watch.subject): watch for watch in self.watches}
        self._by_slot = {}
        for watch in self.watches:
            for number in sorted({self._number[view.slot.key] for _, view in watch.views}):
                self._by_slot.setdefault(number, []).append(watch)

    def _plain_watch(self, rule: Rule, gateway: str, subject: str) -> Watch | None:
        """The watch of an event or link rule, made when first needed; None where the county switched the rule off."""
        known = self._by_name.get((rule.id, subject))
        if known is not None:
            return known
        settings = settings_for(rule, self._county, self.name, subject)
        if settings is None:
            return None
        watch = Watch(rule, settings, self.name, gateway, subject, ())
        bind_expressions(watch, Scope({}, {}, settings.params, spans_ms(rule, settings.params), watch.numbers))
        self.watches.append(watch)
        self._by_name[rule.id, subject] = watch
        return watch

    def _restore(self, state: SiteState) -> None:
        for saved in state.slots:
            slot = self._slots[self._slot(saved.series)]
            slot.at_ms, slot.known, slot.known_at_ms = saved.at_ms, saved.known, saved.known_at_ms
        self._attach()
        plain = {rule.id: rule for kind in ("event", "link") for rule in self._rules[kind]}
        for watch in state.watches:
            if watch.rule in plain:
                self._plain_watch(plain[watch.rule], watch.gateway, watch.subject)
            self._load_watch((watch.rule, watch.subject), watch)

    def _load_watch(self, name: tuple[str, str], state: WatchState) -> None:
        watch = self._by_name.get(name)
        if watch is not None:
            watch.load(state)
        elif state.standing is not None and state.standing.announced:
            self.orphans.append(state)

    # --- what happens ---

    def _take(self, message: Interpreted) -> Moves:
        """A message in its sequence: readings wait for their instant, events count at once."""
        gateway = message.gateway.gateway
        if any(column.series.key not in self._number for column in message.columns):
            for column in message.columns:
                self._slot(column.series)
            self._attach()
        self.ordering.put(message, [self._number[column.series.key] for column in message.columns])
        for column in message.columns:
            yield from self._answers_again(gateway, message.epoch, column)
        for event in sorted(message.events, key=lambda e: e.time_ms):
            self.ordering.note_event(gateway, event.time_ms, message.received_ms)
            yield from self._event(gateway, message.epoch, event)
        flow = self.ordering.state.flows.get(gateway)
        if flow is not None:
            yield from self._advance(gateway, flow.newest_ms)

    def _judge(self, now_ms: int) -> Moves:
        slots, by_slot = self._slots, self._by_slot
        for at_ms, readings in self.ordering.drain(now_ms):
            touched: dict[int, Watch] = {}
            for reading in readings:
                slot = slots[reading.slot]
                if at_ms > slot.at_ms:
                    slot.put(at_ms, reading.value, reading.quality)
                    for watch in by_slot.get(reading.slot, ()):
                        touched[id(watch)] = watch
            for watch in touched.values():
                if watch.judge(at_ms):
                    yield watch

    def _event(self, gateway: str, epoch: str, event: SiteEvent) -> Moves:
        rules = [rule for rule in self._rules["event"] if rule.event == event.kind]
        if not rules:
            return
        subject = f"{gateway}/{event.subject}" if event.subject else gateway
        name = f"{event.kind} {subject}"
        before = self._happenings.get(name)
        if before is not None and event.time_ms < before.at_ms:
            self.ordering.state.late += 1
            return
        for rule in rules:
            watch = self._plain_watch(rule, gateway, subject)
            if watch is None:
                continue
            if before is not None:
                yield from _seen(watch, before.on, event.time_ms)
            yield from _seen(watch, event.on is not False, event.time_ms)
            if event.on is None:  # it happened at this instant only: from here on counts how long it has not happened again
                yield from _seen(watch, False, event.time_ms)
        self._happenings[name] = Happening(event.time_ms, event.on is True, epoch)

    def _advance(self, gateway: str, until_ms: int) -> Moves:
        """What was on stays on until something else is heard: lets dwells of events run up to `until_ms`."""
        for watch in [w for w in self.watches if w.rule.kind == "event" and w.gateway == gateway]:
            happening = self._happenings.get(f"{watch.rule.event} {watch.subject}")
            if happening is not None and until_ms > max(happening.at_ms, watch.dwell.known_ms):
                yield from _seen(watch, happening.on, until_ms)

    def _answers_again(self, gateway: str, epoch: str, column: SeriesColumn) -> Moves:
        """A good reading under a later epoch ends a silence that the agent's last run could not take back."""
        happening = self._happenings.get(f"{DEVICE_SILENT} {gateway}/{column.series.key.device}")
        if happening is None or not happening.on or happening.epoch == epoch:
            return
        readings = zip(column.times, column.values, column.qualities, strict=True)
        good = [t for t, value, quality in readings if t > happening.at_ms and known_value(value, quality) is not None]
        if good:
            yield from self._event(gateway, epoch, SiteEvent(min(good), DEVICE_SILENT, on=False, subject=column.series.key.device))


def _seen(watch: Watch, truth: Known, at_ms: int) -> Moves:
    """The truth of an event at an instant; may begin a warning and end it in one go."""
    for _ in range(2):
        step = watch.see(truth if watch.standing is None else None if truth is None else not truth, at_ms)
        if step is None:
            return
        yield watch
