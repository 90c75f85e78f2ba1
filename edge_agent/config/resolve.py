"""Pure. From checked files to what a running agent works with, and to the birth that tells the collector of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from edge_agent import __version__
from edge_agent.config.device_parts import StepFile
from edge_agent.config.point_parts import FactorFile, LimitsFile
from edge_agent.config.profile_file import HoleFile, PointFile, RequestsFile
from edge_agent.config.profiles import Profile
from edge_agent.config.quantities import text_of
from edge_agent.config.site_file import BrokerFile, BusFile, DeliveryFile, DeviceFile, EquipmentFile, MqttFile, SiteFile, TlsFile
from edge_agent.config.writing_check import resolved_write
from edge_agent.contract import message
from edge_agent.contract.message import BirthBody, Limits, Series
from edge_agent.model import points as resolved
from edge_agent.model.condition import parse
from edge_agent.model.link_health import LINK_POINTS, link_points

SOFTWARE = f"edge-agent {__version__}"
_MAX_DECIMALS = 9
PRESETS: Mapping[str, Mapping[str, int]] = {
    "normal": {},
    "slow": {"batch": 240_000, "window": 300_000, "resend": 60_000},
    "data-saver": {
        "batch": 1_800_000,
        "window": 300_000,
        "urgent_window": 10_000,
        "receipt_every": 4,
        "receipt_hold": 7_200_000,
        "resend": 60_000,
    },
}
"""Of `delivery`, in ms: `slow` is for stations whose values matter in five minutes, not at once. Keys of the file win."""
ROOM_MS = 5000
"""For a receipt to come, beside the time for which the collector may hold it back."""
_HEARTBEAT_MS = 60_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeviceParts:
    """A device of the file with its profile and its points, all checked."""

    file: DeviceFile
    profile: Profile | None
    points: Sequence[PointFile]
    said_periods: frozenset[str]
    """Points whose period the site file itself gives."""


def resolve_site(file: SiteFile, parts: Mapping[str, DeviceParts], folder: Path) -> resolved.Site:
    """The site. Series count from 0 in the order of the file, each device's link series behind its points.

    folder: where relative paths of the file begin.
    """
    series = 0
    buses = []
    for bus in file.buses:
        devices = []
        for device in bus.devices:
            made = _device(parts[device.id], series, bus)
            series += len(made.points)
            if file.link_series:
                made = replace(made, link_series=series)
                series += len(LINK_POINTS)
            devices.append(made)
        buses.append(resolved.Bus(bus.id, _link(bus), bus.frames, tuple(devices), bus.probe_budget))
    brokers = tuple(_broker(broker, file.mqtt, folder) for broker in file.mqtt.brokers)
    return resolved.Site(
        file.site,
        file.gateway,
        brokers,
        tuple(buses),
        _delivery(file.delivery),
        text_of(file.name),
        file.mqtt.return_after / 1000,
        file.clock.modem,
    )


def birth_of(site: resolved.Site, equipment: Iterable[EquipmentFile]) -> BirthBody:
    """What the collector is told. Equipment stands among the devices, without bus and profile."""
    devices = [
        message.Device(e.id, name=text_of(e.name), nameplate=dict(e.nameplate), part_of=e.part_of or "", fed_by=list(e.fed_by))
        for e in equipment
    ]
    series = []
    for bus in site.buses:
        for d in bus.devices:
            devices.append(
                message.Device(d.id, d.profile, d.profile_version, bus.id, d.name, dict(d.nameplate), d.part_of, list(d.fed_by))
            )
            series += [_series(point) for point in (*d.points, *link_points(d))]
    return BirthBody(SOFTWARE, series, devices, site.delivery.receipt_hold_ms, receipt_every=site.delivery.batches_per_receipt)


def _series(p: resolved.Point) -> Series:
    limits = p.limits if p.limits != resolved.NO_LIMITS else None
    return Series(
        p.series,
        p.device,
        p.id,
        p.unit,
        p.role,
        max(p.period_ms, p.heartbeat_ms),  # a reading comes at least so often
        p.kind,
        p.lane,
        p.decimals,
        p.name,
        limits,
        dict(p.texts),
        dict(p.signs),
    )


def _device(parts: DeviceParts, first_series: int, bus: BusFile) -> resolved.Device:
    file, profile = parts.file, parts.profile
    asked = [file.requests, *([profile.file.requests] if profile is not None else [])]
    enabled = [point for point in parts.points if point.enabled]
    points = tuple(_point(point, parts, first_series + number) for number, point in enumerate(enabled))
    plain = resolved.Device("", 0, ())
    wake = profile.file.wake if profile is not None else None
    no_holes: list[HoleFile] = []
    holes = _said(asked, "holes", no_holes)
    return resolved.Device(
        id=file.id,
        unit=file.unit if file.unit is not None else _default_unit(bus),
        points=points,
        profile=profile.name if profile is not None else "",
        profile_version=profile.version if profile is not None else "",
        timeout_ms=_said(asked, "timeout", plain.timeout_ms),
        pause_ms=_said(asked, "pause", plain.pause_ms),
        max_registers=_said(asked, "max_registers", plain.max_registers),
        max_bits=_said(asked, "max_bits", plain.max_bits),
        retries=_said(asked, "retries", plain.retries),
        turnaround_ms=_said(asked, "turnaround", plain.turnaround_ms),
        holes=tuple((hole.table, hole.first, hole.last) for hole in holes),
        gaps=_said(asked, "gaps", plain.gaps),
        setup=_steps(profile.file.setup) if profile is not None else (),
        wake=_steps(wake.steps) if wake is not None else (),
        wake_after_ms=wake.after if wake is not None else 0,
        trigger=_steps(profile.file.trigger) if profile is not None else (),
        keepalive_ms=_said(asked, "keepalive", plain.keepalive_ms),
        name=text_of(file.name) or (text_of(profile.file.title) if profile is not None else None),
        nameplate={**(profile.file.nameplate if profile is not None else {}), **file.nameplate},
        part_of=file.part_of or "",
        fed_by=tuple(file.fed_by),
    )


def _default_unit(bus: BusFile) -> int:
    return 1 if bus.tcp is not None else 0


def _said(asked: Sequence[RequestsFile], key: str, default: T) -> T:
    """The first value that is given."""
    return next((value for requests in asked if (value := getattr(requests, key)) is not None), default)


def _point(file: PointFile, parts: DeviceParts, series: int) -> resolved.Point:
    return resolved.Point(
        series=series,
        device=parts.file.id,
        id=file.id,
        table=file.table,
        address=file.address,
        type=file.raw_type,
        order=file.order,
        scale=file.scale,
        offset=file.offset,
        decimals=file.decimals if file.decimals is not None else decimals_of(file),
        mask=file.bits_of_value,
        negative_from=file.negative_from,
        sentinels=tuple(file.sentinels),
        scale_by=tuple(_factor(factor) for factor in file.scale_by),
        plus=tuple(resolved.Term(term.of, term.times) for term in file.plus),
        valid_when=parse(file.valid_when) if file.valid_when is not None else None,
        unit=file.unit,
        role=file.role,
        kind=file.value_kind,
        period_ms=_period(file, parts),
        dead_band=file.dead_band,
        heartbeat_ms=_heartbeat(file, parts),
        lane=file.lane,
        limits=_limits(file.limits),
        group=file.group or "",
        latched=file.latched,
        write=resolved_write(file),
        name=text_of(file.name),
        texts={code: pair.resolved() for code, pair in file.texts.items()},
        signs=dict(file.signs),
    )


def _factor(file: FactorFile) -> resolved.Factor:
    return resolved.Factor(file.of, file.taken, tuple((int(code), by) for code, by in file.factors.items()))


def _steps(files: Sequence[StepFile]) -> tuple[resolved.Step, ...]:
    return tuple(resolved.Step(s.table, s.address, tuple(s.words or ()), s.wait, s.code, s.read or 0) for s in files)


def _period(file: PointFile, parts: DeviceParts) -> int:
    """The site's word for the point, else for the device, else the profile's for the point, else for all."""
    own = file.period if file.id in parts.said_periods else None
    general = parts.profile.file.period if parts.profile is not None else None
    return own or parts.file.period or file.period or general or 1000


def _heartbeat(file: PointFile, parts: DeviceParts) -> int:
    """0 without a dead-band; else what is given, a minute, or the period where that is longer."""
    if file.dead_band is None:
        return 0
    return max(file.heartbeat or _HEARTBEAT_MS, _period(file, parts))


def decimals_of(file: PointFile) -> int | None:
    """Decimals that scale and offset give an integer raw value; None for floats and where they would be many."""
    if file.raw_type in ("f16", "f32", "f64", "bool") or file.scale_by or file.plus or file.value_kind in ("bool", "code", "bits"):
        return None
    exponents = [Decimal(repr(number)).normalize().as_tuple().exponent for number in (file.scale, file.offset)]
    decimals = max(0, *(-exponent for exponent in exponents if isinstance(exponent, int)))
    return decimals if decimals <= _MAX_DECIMALS else None


def _limits(file: LimitsFile) -> Limits:
    made = Limits(file.low_low, file.low, file.high, file.high_high, file.range_low, file.range_high)
    return made if made != resolved.NO_LIMITS else resolved.NO_LIMITS


def _link(bus: BusFile) -> resolved.Serial | resolved.Tcp:
    if bus.tcp is not None:
        return resolved.Tcp(bus.tcp.host, bus.tcp.port, bus.tcp.connect_timeout)
    line = bus.serial
    if line is None:
        raise AssertionError("a bus without link passed the schema")
    return resolved.Serial(line.port or line.url or "", line.baudrate, line.parity, line.stopbits, line.bytesize)


def _broker(broker: BrokerFile, mqtt: MqttFile, folder: Path) -> resolved.Broker:
    tls = broker.tls or mqtt.tls
    password_file = mqtt.password_file if broker.password_file is None else broker.password_file
    return resolved.Broker(
        host=broker.host,
        port=broker.port or (8883 if tls is not None else 1883),
        version=broker.version or mqtt.version,
        username=mqtt.username if broker.username is None else broker.username,
        password_file=_placed(password_file, folder),
        tls=_tls(tls, folder) if tls is not None else None,
        keepalive_s=(broker.keepalive or mqtt.keepalive) // 1000,
        root=mqtt.root,
    )


def _tls(file: TlsFile, folder: Path) -> resolved.Tls:
    return resolved.Tls(_placed(file.ca, folder), _placed(file.cert, folder), _placed(file.key, folder))


def _placed(name: str, folder: Path) -> str:
    return str(folder / name) if name else ""


def _delivery(file: DeliveryFile) -> resolved.Delivery:
    said = file.model_fields_set
    file = file.model_copy(update={name: value for name, value in PRESETS[file.preset].items() if name not in said})
    window_ms = file.window
    if file.gives_way == "window":
        window_ms = max(window_ms, file.batch + file.receipt_hold + ROOM_MS)
    return resolved.Delivery(
        batch_ms=file.batch,
        batch_readings=file.batch_readings,
        window_ms=window_ms,
        urgent_window_ms=file.urgent_window,
        in_flight=file.in_flight,
        resend_ms=file.resend,
        max_bytes=file.max_bytes,
        max_age_ms=file.max_age,
        receipt_hold_ms=file.receipt_hold,
        newest_first=file.newest_first,
        confirm=file.confirm,
        budget=_budget(file),
        receipt_every=file.receipt_every or 0,
        data_qos=file.qos or 0,
    )


def _budget(file: DeliveryFile) -> resolved.Budget | None:
    said = file.budget
    if said is None:
        return None
    return resolved.Budget(said.per_month, said.from_day, max(said.batch_most, file.batch), said.dead_band_most)
