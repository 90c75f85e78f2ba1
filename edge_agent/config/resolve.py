"""Pure. From checked files to what a running agent works with, and to the birth that tells the collector of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from edge_agent import __version__
from edge_agent.config.quantities import text_of
from edge_agent.config.resolve_device import DeviceParts, resolve_device
from edge_agent.config.site_file import BrokerFile, BusFile, DeliveryFile, EquipmentFile, MqttFile, SiteFile, TlsFile
from edge_agent.contract import message
from edge_agent.contract.message import BirthBody, Series
from edge_agent.model import points as resolved
from edge_agent.model.link_health import LINK_POINTS, link_points

SOFTWARE = f"edge-agent {__version__}"
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


def resolve_site(file: SiteFile, parts: Mapping[str, DeviceParts], folder: Path) -> resolved.Site:
    """The site. Series count from 0 in the order of the file, each device's link series behind its points.

    folder: where relative paths of the file begin.
    """
    series = 0
    buses = []
    for bus in file.buses:
        devices = []
        for device in bus.devices:
            made = resolve_device(parts[device.id], series, bus)
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
            series += [series_of(point) for point in (*d.points, *link_points(d))]
    delivery = site.delivery
    return BirthBody(
        SOFTWARE, series, devices, delivery.receipt_hold_ms,
        receipt_every=delivery.batches_per_receipt, batch_ms=delivery.batch_ms,
    )  # fmt: skip


def series_of(p: resolved.Point) -> Series:
    """A point as the birth tells it."""
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
