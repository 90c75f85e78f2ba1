"""A Store and an Operations in memory, a clock that stands still, and a water station with three days at one reading a minute."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import uvicorn

from collector.domain.county import County, Person, SiteInfo
from collector.domain.identity import GatewayId, SeriesKey
from collector.domain.lifecycle import Refusal, act_on
from collector.domain.pulse import GatewayPulse
from collector.domain.series import Sample, SeriesInfo
from collector.domain.warning import Act, Warning
from collector.intake.day_account import DayAccount
from collector.intake.daybook import DayId
from collector.seams import Refused, StoreAway, StoreBatch
from collector.web.app import build
from collector.web.parts import WebParts, WebSettings
from edge_agent.common.problem import Problem
from edge_agent.contract.message import Limits, Text
from tests.support.ports import free_port

NOW_MS = 1_777_600_800_000
"""2026-05-01T02:00:00Z, ten in the morning at the station."""
MINUTE_MS = 60_000
HOSTILE = '<script>alert("x")</script>'


class StandingClock:
    """Both clocks stand where they are put."""

    def __init__(self, utc_ms: int = NOW_MS) -> None:
        self.now_ms = utc_ms

    def monotonic_ms(self) -> int:
        return self.now_ms

    def utc_ms(self) -> int:
        return self.now_ms


@dataclass
class MemoryStore:
    """Store seam over lists. away: every call raises StoreAway."""

    infos: list[SeriesInfo] = field(default_factory=list)
    samples: dict[SeriesKey, list[Sample]] = field(default_factory=dict)
    away: bool = False
    most_at_once: int = 0

    def _here(self) -> None:
        if self.away:
            raise StoreAway("no route to the store")

    def cursor(self) -> int:
        self._here()
        return 0

    def write(self, batches: Sequence[StoreBatch], cursor: int) -> None:
        raise AssertionError("the page writes nothing")

    def series(self, site: str | None = None) -> Sequence[SeriesInfo]:
        self._here()
        return [info for info in self.infos if site in {None, info.key.site}]

    def latest(self, site: str | None = None) -> Mapping[SeriesKey, Sample]:
        self._here()
        return {key: samples[-1] for key, samples in self.samples.items() if samples and site in {None, key.site}}

    def range(self, key: SeriesKey, from_ms: int, to_ms: int, max_points: int | None = None) -> Sequence[Sample]:
        self._here()
        found = [sample for sample in self.samples.get(key, ()) if from_ms <= sample.time_ms < to_ms]
        self.most_at_once = max(self.most_at_once, len(found)) if max_points is None else self.most_at_once
        if max_points is None or len(found) <= max_points:
            return found
        buckets: dict[int, list[Sample]] = {}
        for sample in found:
            buckets.setdefault((sample.time_ms - from_ms) * max_points // 2 // (to_ms - from_ms), []).append(sample)
        thin: list[Sample] = []
        for bucket in buckets.values():
            low, high = min(bucket, key=_number), max(bucket, key=_number)
            thin += sorted({low.time_ms: low, high.time_ms: high}.values(), key=lambda sample: sample.time_ms)
        return thin

    def count(self, key: SeriesKey, from_ms: int, to_ms: int) -> int:
        self._here()
        return sum(1 for sample in self.samples.get(key, ()) if from_ms <= sample.time_ms < to_ms)

    def close(self) -> None:
        pass


def _number(sample: Sample) -> float:
    return float(sample.value) if isinstance(sample.value, int | float) else 0.0


@dataclass
class MemoryOperations:
    """Operations seam over the real lifecycle."""

    all: dict[str, Warning] = field(default_factory=dict)
    done: list[Act] = field(default_factory=list)

    def warnings(
        self, site: str | None = None, states: object = None, limit: int = 200, before_ms: int | None = None
    ) -> Sequence[Warning]:
        wanted = None if states is None else set(states)  # type: ignore[call-overload]
        found = [
            warning
            for warning in sorted(self.all.values(), key=lambda one: (-one.began_ms, one.id))
            if site in {None, warning.site}
            and (wanted is None or warning.state in wanted)
            and (before_ms is None or warning.began_ms < before_ms)
        ]
        return found[:limit]

    def warning(self, id: str) -> Warning | None:
        return self.all.get(id)

    def act(self, id: str, what: str, who: str, note: str, now_ms: int) -> Warning:
        outcome = act_on(self.all[id], what, who, note)  # type: ignore[arg-type]
        if isinstance(outcome, Refusal):
            raise Refused(outcome.why.en)
        self.all[id] = outcome
        self.done.append(Act(now_ms, who, what, id, note))
        return outcome

    def acts(self, id: str) -> Sequence[Act]:
        return [act for act in self.done if act.warning == id]


@dataclass
class Station:
    """Everything behind one page under test."""

    store: MemoryStore
    operations: MemoryOperations
    county: County
    pulses: list[GatewayPulse]
    clock: StandingClock
    problems: list[Problem] = field(default_factory=list)
    accounts: list[DayAccount] = field(default_factory=list)

    def parts(self, settings: WebSettings | None = None) -> WebParts:
        return WebParts(
            store=self.store,
            operations=self.operations,
            county=lambda: self.county,
            pulses=lambda: self.pulses,
            clock=self.clock,
            problems=lambda: self.problems,
            settings=settings or WebSettings(version="0.1.0"),
            account=lambda wanted: [
                one for one in self.accounts if wanted.fits(DayId(one.site, one.gateway, one.day)) and wanted.holds(one.day)
            ],
            given_up=lambda: {(GatewayId("shuanghe", "gw-1"), "overflow"): 70},
        )


CURRENT = SeriesKey("shuanghe", "gw-1", "pump-1", "current")
LEVEL = SeriesKey("shuanghe", "gw-1", "tank-1", "level")
CHLORINE = SeriesKey("shuanghe", "gw-1", "panel-1", "chlorine")
RUNNING = SeriesKey("shuanghe", "gw-1", "pump-1", "running")
FAULT = SeriesKey("shuanghe", "gw-1", "pump-1", "fault")


def station() -> Station:
    """A water station with a dry pump, one that is silent, one never heard, and a construction site that is well."""
    infos = [
        SeriesInfo(CURRENT, "A", "pump.current", period_ms=MINUTE_MS, decimals=1, name=Text("1号泵电流", "Pump 1 current"),
                   limits=Limits(low=6.0, high=16.0)),
        SeriesInfo(RUNNING, "", "pump.running", kind="bool", period_ms=MINUTE_MS),
        SeriesInfo(FAULT, "", "drive.fault", kind="code", period_ms=MINUTE_MS,
                   texts={"0": Text("无故障", "no fault"), "7": Text("欠载（干转）", "underload (running dry)")}),
        SeriesInfo(LEVEL, "m", "tank.level", period_ms=MINUTE_MS, decimals=2),
        SeriesInfo(CHLORINE, "mg/l", "water.chlorine", period_ms=MINUTE_MS, decimals=2, limits=Limits(low=0.3, high=4.0)),
        SeriesInfo(SeriesKey("qingshan", "gw-2", "panel-1", "turbidity"), "NTU", "water.turbidity",
                   period_ms=MINUTE_MS, decimals=2),
        SeriesInfo(SeriesKey("bridge-7", "gw-9", "mast-1", "wind"), "m/s", "weather.wind-speed", period_ms=MINUTE_MS, decimals=1,
                   name=Text(HOSTILE, HOSTILE)),
    ]  # fmt: skip
    store = MemoryStore(infos, {info.key: [] for info in infos})
    for minute in range(3 * 24 * 60):
        at = NOW_MS - (3 * 24 * 60 - minute) * MINUTE_MS + 30_000
        for key, sample in _minute(minute, at):
            store.samples[key].append(sample)
    warnings = [
        Warning("pump-dry-7f3a", "pump-running-dry", "shuanghe", "gw-1/pump-1", "red", "raised", NOW_MS - 25 * MINUTE_MS,
                NOW_MS - 23 * MINUTE_MS, NOW_MS - 23 * MINUTE_MS, title=Text("水泵空转", "Pump is running dry"),
                meaning=Text("水泵在转，电流却低于正常值，而且水池水位在下降。几分钟内机械密封就会烧坏。",
                             "It turns, but its current is low and the tank falls. Its seal burns out within minutes."),
                action=Text("到现场按下停止按钮，然后检查进水阀是否打开、水源井是否有水。",
                            "Press stop at the cabinet, then see whether the inlet valve is open and the well has water."),
                evidence=(("gw-1/pump-1.current", "3.1 A"), ("gw-1/tank-1.level", "0.62 m"), ("gw-1/old-1.gone", "7")),
                responsible="wang"),
        Warning("chlorine-low-19c2", "chlorine-low", "shuanghe", "gw-1/panel-1.chlorine", "yellow", "acknowledged",
                NOW_MS - 300 * MINUTE_MS, NOW_MS - 290 * MINUTE_MS, NOW_MS - 290 * MINUTE_MS, NOW_MS - 60 * MINUTE_MS,
                title=Text("余氯过低", "Free chlorine is low"), meaning=Text("出水余氯低于 0.3 mg/l。", "Below 0.3 mg/l."),
                action=Text("检查加药泵是否漏气、药箱是否有药。", "See whether the dosing pump has air and the tank has chemical."),
                evidence=(("gw-1/panel-1.chlorine", "0.18 mg/l"),), responsible="wang", acknowledged_by="李雪梅"),
        Warning("silent-aa01", "gateway-silent", "qingshan", "gw-2", "blue", "raised", NOW_MS - 120 * MINUTE_MS,
                NOW_MS - 110 * MINUTE_MS, title=Text("网关失联", "Gateway is silent")),
        Warning("past-0001", "chlorine-low", "shuanghe", "gw-1/panel-1.chlorine", "yellow", "past", NOW_MS - 3000 * MINUTE_MS,
                NOW_MS - 2000 * MINUTE_MS, over_ms=NOW_MS - 2900 * MINUTE_MS, title=Text("余氯过低", "Free chlorine is low")),
    ]  # fmt: skip
    operations = MemoryOperations({warning.id: warning for warning in warnings})
    operations.done.append(Act(NOW_MS - 290 * MINUTE_MS, "collector", "raised", "chlorine-low-19c2"))
    operations.done.append(Act(NOW_MS - 200 * MINUTE_MS, "李雪梅", "acknowledge", "chlorine-low-19c2", "正在路上"))
    sites = [
        SiteInfo("shuanghe", Text("双河镇第一供水站", "Shuanghe water station 1"), responsible="wang"),
        SiteInfo("qingshan", Text("青山村供水站", "Qingshan village water station")),
        SiteInfo("bridge-7", Text("七号桥工地", "Bridge 7"), "construction-site"),
        SiteInfo("xinzhai", Text("新寨供水站", "Xinzhai water station")),
    ]
    county = County(
        Text("云河县水务", "Yunhe county water"),
        {site.id: site for site in sites},
        {"wang": Person("wang", "王建国", "13800000000")},
    )
    pulses = [
        GatewayPulse(GatewayId("shuanghe", "gw-1"), NOW_MS - 20_000, online=True, software="0.1.0", received=4321, duplicate=2),
        GatewayPulse(GatewayId("qingshan", "gw-2"), NOW_MS - 130 * MINUTE_MS, online=False, received=99, lost=3, behind=1),
        GatewayPulse(GatewayId("bridge-7", "gw-9"), NOW_MS - 5_000, online=None, received=7),
    ]
    return Station(store, operations, county, pulses, StandingClock())


def _minute(minute: int, at: int) -> Iterator[tuple[SeriesKey, Sample]]:
    """What each instrument shows in one minute of the three days."""
    wave = math.sin(minute / 110)
    dry = minute > 3 * 1440 - 25
    running = wave > -0.4 or dry
    if not 2000 < minute < 2180:
        bad = 3000 < minute < 3060
        current = 3.1 if dry else (12.4 + math.sin(minute / 7) * 0.5 if running else 0.0)
        yield CURRENT, Sample(at, None if bad else round(current, 1), 64 if bad else 0)
    yield RUNNING, Sample(at, running, 0)
    yield FAULT, Sample(at, 7 if dry else 0, 0)
    yield LEVEL, Sample(at, round(2.1 + wave * 0.8 + math.cos(minute / 31) * 0.1, 2), 0)
    low = 3 * 1440 - 300 < minute < 3 * 1440 - 60
    yield CHLORINE, Sample(at, round((0.18 if low else 0.55) + math.sin(minute / 45) * 0.05, 2), 5 if 1200 < minute < 1260 else 0)
    if minute < 3 * 1440 - 130:
        yield SeriesKey("qingshan", "gw-2", "panel-1", "turbidity"), Sample(at, round(0.4 + wave * 0.1, 2), 0)
    yield SeriesKey("bridge-7", "gw-9", "mast-1", "wind"), Sample(at, round(5 + wave * 3, 1), 2 if minute > 4300 else 0)


@contextlib.contextmanager
def served(parts: WebParts) -> Iterator[str]:
    """The real application behind a real server on loopback; gives its address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(build(parts), host="127.0.0.1", port=port, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
