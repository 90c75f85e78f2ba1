"""Pure. One site inside the warning engine: its signals, what of it is judged together, and the rules attached to it.

Every method that may begin or end a warning yields the watch at the moment it happens, so that the engine sees each step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from collector.domain.county import County
from collector.domain.identity import SeriesKey
from collector.domain.interpreted import Interpreted, SiteEvent
from collector.domain.pulse import GatewayPulse
from collector.domain.series import SeriesColumn, SeriesInfo
from collector.rules.arrivals import Arrivals, Source
from collector.rules.binding import Equipment, attach, bind_expressions, settings_for, spans_ms
from collector.rules.expression import Scope
from collector.rules.group import Group, GroupKey, GroupState, covering, key_of
from collector.rules.rule import Rule
from collector.rules.signal import Known, Slot, known_value
from collector.rules.site_state import Happening, SeriesState, SiteState
from collector.rules.watch import Watch, WatchState
from edge_agent.contract.message import NORMAL, URGENT, BirthBody, Device, Lane

DEVICE_SILENT = "device.silent"
EVENT_ON_ITS_WAY_MS = 5_000
"""A gateway was heard, and yet an event of shortly before may be still to come: what was on stays on until this long before."""
Moves = Iterator[Watch]


class Site:
    """See the module."""

    def __init__(self, name: str, rules: Sequence[Rule], county: County, state: SiteState | None = None) -> None:
        self.name = name
        self.arrivals = Arrivals(state.arrivals if state else None)
        self.watches: list[Watch] = []
        self.orphans: list[WatchState] = list(state.orphans) if state else []
        """Warnings that stand under a rule that is no longer there or was switched off."""
        self._rules = {kind: [rule for rule in rules if rule.kind == kind] for kind in ("process", "event", "link")}
        self._county = county
        self._series: dict[SeriesKey, Slot] = {}
        """What is known of every series; each group has slots of its own, which hold readings."""
        self._lanes: dict[SeriesKey, Lane] = {}
        self._heard_of: set[SeriesKey] = set()
        """Series of which readings have been taken."""
        self._devices: dict[str, dict[str, Device]] = dict(state.devices) if state else {}
        self._happenings: dict[str, Happening] = dict(state.happenings) if state else {}
        self._by_name: dict[tuple[str, str], Watch] = {}
        self._groups: dict[GroupKey, Group] = {}
        self._of_series: dict[SeriesKey, list[Group]] = {}
        self._of_watch: dict[tuple[str, str], Group] = {}
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
        for taken in self.arrivals.arrive(message):
            yield from self._take(taken)
        yield from self._judge(now_ms)

    def tick(self, now_ms: int) -> Moves:
        """Time passes: holes and silent gateways hold nothing back for ever."""
        for taken in self.arrivals.patience(now_ms):
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
        flow = self.arrivals.state.flows.get(gateway)
        if heard_ms is not None and flow is not None and flow.is_live:
            yield from self._advance(gateway, max(flow.newest_ms, heard_ms - EVENT_ON_ITS_WAY_MS))

    def resume(self, back_ms: int) -> None:
        """The collector is there again (`Arrivals.resume`)."""
        away_ms = self.arrivals.resume(back_ms)
        for group in self._groups.values():
            group.resume(away_ms)

    @property
    def waiting(self) -> int:
        """Readings that wait for their turn, once for each group."""
        return sum(len(group.waiting) for group in self._groups.values())

    def is_caught_up(self, watch: Watch, now_ms: int, live_ms: int) -> bool:
        """True when what stands now at this watch is the present: what still waits is recent, or nothing more is coming."""
        group = self._of_watch.get((watch.rule.id, watch.subject))
        if group is not None:
            return group.is_caught_up(self.arrivals, now_ms, live_ms)
        gateways = (watch.gateway,)
        return self.arrivals.is_caught_up(gateways, now_ms) or self.arrivals.is_at_rest(gateways, now_ms)

    def is_inhibited(self, watch: Watch) -> bool:
        """True while a cause named by the rule stands at the watch's gateway."""
        causes = (self._by_name.get((cause, watch.gateway)) for cause in watch.rule.inhibited_by)
        return any(cause is not None and cause.standing is not None for cause in causes)

    def dump(self) -> SiteState:
        """For the rule state."""
        series = [
            SeriesState(replace(s.series, texts={}, name=None), self._lanes[key], key in self._heard_of)
            for key, s in self._series.items()
        ]
        groups = [group.dump() for group in self._groups.values()]
        watches = [watch.dump() for watch in self.watches]
        return SiteState(series, self._devices, self.arrivals.state, groups, watches, self._happenings, self.orphans)

    # --- what the site is ---

    def _describe(self, gateway: str, birth: BirthBody) -> None:
        self._devices[gateway] = {**self._devices.get(gateway, {}), **{device.id: device for device in birth.devices}}
        for s in birth.series:
            key = SeriesKey(self.name, gateway, s.device, s.point)
            self._know(SeriesInfo(key, s.unit, s.role, s.kind, s.period_ms, s.decimals, None, s.limits), s.lane)
        self.arrivals.keep_buses(gateway, {self._bus(key) for key in self._series if key.gateway == gateway})
        self._attach()

    def _know(self, series: SeriesInfo, lane: Lane) -> None:
        """A series, known or new; the caller attaches the rules anew."""
        self._lanes[series.key] = lane
        known = self._series.get(series.key)
        if known is None:
            self._series[series.key] = Slot(series)
        else:
            known.describe(series)

    def _bus(self, key: SeriesKey) -> str:
        """The bus of a series; a name of its own for a device of which none is known."""
        device = self._devices.get(key.gateway, {}).get(key.device)
        return device.bus if device is not None and device.bus else f"?{key.device}"

    def _attach(self) -> None:
        """Attaches all process rules anew; what groups hold and what watches of the same rule and subject have learnt is kept."""
        learnt = {(w.rule.id, w.subject): w.dump() for w in self.watches if w.rule.kind == "process"}
        earlier = {key: group.dump() for key, group in self._groups.items()}
        places = {name: group.judged_ms for name, group in self._of_watch.items()}
        equipment = Equipment({(g, name): device for g, devices in self._devices.items() for name, device in devices.items()})
        for slot in self._series.values():
            slot.nameplate = equipment.nameplate(slot.key)
        slots = list(self._series.values())
        attached = [watch for rule in self._rules["process"] for watch in attach(rule, slots, equipment, self._county, self.name)]
        self.watches = [*(watch for watch in self.watches if watch.rule.kind != "process"), *attached]
        self._by_name = {(watch.rule.id, watch.subject): watch for watch in self.watches}
        self._regroup(attached, earlier, places)
        for key in self._groups:  # what came of it before nobody looked at it so
            if covering(earlier, key) is None:
                self.arrivals.state.late += sum(one in self._heard_of for one in key)
        for name, state in learnt.items():
            self._load_watch(name, state)

    def _regroup(
        self, watches: Sequence[Watch], earlier: Mapping[GroupKey, GroupState], places: Mapping[tuple[str, str], int]
    ) -> None:
        """Groups for these watches. places: how far a watch had come, so that it never sees an instant again."""
        self._groups, self._of_series, self._of_watch = {}, {}, {}
        for watch in watches:
            key, name = key_of(watch), (watch.rule.id, watch.subject)
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = self._group(key, covering(earlier, key))
            group.watches.append(watch)
            group.judged_ms = max(group.judged_ms, places.get(name, 0))
            self._of_watch[name] = group
            for _, view in watch.views:
                view.slot = group.slot(view.slot.key)

    def _group(self, key: GroupKey, state: GroupState | None) -> Group:
        group = Group(key, [self._series[one].copy() for one in key])
        group.sources = frozenset(Source(one.gateway, self._bus(one), self._lanes[one]) for one in key)
        if state is not None:
            group.load(state)
        for one in key:
            self._of_series.setdefault(one, []).append(group)
        return group

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
        for saved in state.series:
            self._know(saved.series, saved.lane)
        self._attach()
        self._heard_of = {saved.series.key for saved in state.series if saved.has_readings}
        process = [watch for watch in self.watches if watch.rule.kind == "process"]
        self._regroup(process, {tuple(group.series): group for group in state.groups}, {})
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
        lane = URGENT if message.lane == URGENT else NORMAL
        if any(self._lanes.get(column.series.key) != lane for column in message.columns):
            for column in message.columns:
                self._know(column.series, lane)
            self._attach()
        limit_ms = self.arrivals.move(message, self._bus)
        for column in message.columns:
            self._heard_of.add(column.series.key)
            groups = self._of_series.get(column.series.key, ())
            self.arrivals.state.late += max((group.put(column, message.received_ms, limit_ms) for group in groups), default=0)
        for column in message.columns:
            yield from self._answers_again(gateway, message.epoch, column)
        for event in sorted(message.events, key=lambda e: e.time_ms):
            self.arrivals.note_event(gateway, event.time_ms, message.received_ms)
            yield from self._event(gateway, message.epoch, event)
        flow = self.arrivals.state.flows.get(gateway)
        if flow is not None:
            yield from self._advance(gateway, flow.newest_ms)

    def _judge(self, now_ms: int) -> Moves:
        for group in self._groups.values():
            if group.waiting:
                yield from group.judge(self.arrivals, now_ms)

    def _event(self, gateway: str, epoch: str, event: SiteEvent) -> Moves:
        rules = [rule for rule in self._rules["event"] if rule.event == event.kind]
        if not rules:
            return
        subject = f"{gateway}/{event.subject}" if event.subject else gateway
        name = f"{event.kind} {subject}"
        before = self._happenings.get(name)
        if before is not None and event.time_ms < before.at_ms:
            self.arrivals.state.late += 1
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
