"""Pure. The site file: what a gateway talks to and where it delivers (docs/site-file.md explains every key)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from edge_agent.common.located_model import Refused
from edge_agent.config.device_parts import AddressesFile
from edge_agent.config.profile_file import Nameplate, RequestsFile
from edge_agent.config.quantities import (
    Bilingual,
    DurationMs,
    FileModel,
    FoldedText,
    Id,
    NumberOnly,
    PeriodMs,
    SizeBytes,
    between,
    sized,
)
from edge_agent.contract.topics import DEFAULT_ROOT, ID_PATTERN
from edge_agent.model.points import Framing
from edge_agent.model.serial_ports import USB, USB_NAME


def _is_alone(host: str) -> str:
    """A host as it is reached; the port has a key of its own. Colons stand in IPv6 addresses, and then more than one."""
    name, colon, port = host.partition(":")
    if colon and port.isdecimal() and "[" not in host:
        raise Refused("CFG006", f"`{host}` is host and port in one.", f"write `host: {name}` and `port: {port}`.")
    return host


Host = Annotated[FoldedText, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._:\-\[\]%]+$"), AfterValidator(_is_alone)]
Port = Annotated[int, Field(ge=1, le=65535)]
MqttVersion = Annotated[
    Literal["auto", "5", "3.1.1"],
    BeforeValidator(lambda value: "5" if value == 5 else value),
    WithJsonSchema({"enum": ["auto", "5", "3.1.1", 5]}),
]
KeepaliveMs = Annotated[DurationMs, between(5000, 1_200_000)]
ReturnMs = Annotated[DurationMs, between(10_000, 86_400_000)]


class TlsFile(FileModel):
    """Files of the MQTT link's TLS. Relative paths count from the site file."""

    ca: str = ""
    cert: str = ""
    key: str = ""

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if bool(self.cert) != bool(self.key):
            missing = "key" if self.cert else "cert"
            raise Refused("CFG006", f"`cert` and `key` belong together; `{missing}` is missing.", f"add `{missing}: ...` here.")
        return self


class BrokerFile(FileModel):
    """One broker. What is left out is taken from `mqtt`."""

    host: Host
    port: Port | None = None
    version: MqttVersion | None = None
    username: str | None = None
    password_file: str | None = None
    tls: TlsFile | None = None
    keepalive: KeepaliveMs | None = None


class MqttFile(FileModel):
    """Where readings are published: brokers in the order in which they are tried."""

    brokers: Annotated[list[BrokerFile], Field(min_length=1, max_length=8)]
    root: Annotated[FoldedText, Field(pattern=rf"^{ID_PATTERN}(/{ID_PATTERN}){{0,3}}$")] = DEFAULT_ROOT
    version: MqttVersion = "auto"
    username: str = ""
    password_file: str = ""
    tls: TlsFile | None = None
    keepalive: KeepaliveMs = 240_000
    return_after: ReturnMs = 600_000

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        seen: set[tuple[str, int]] = set()
        for number, broker in enumerate(self.brokers):
            at = (broker.host.strip("[]").rstrip(".").lower(), broker.port or (8883 if broker.tls or self.tls else 1883))
            if at in seen:
                what = f"The broker {at[0]}:{at[1]} is named twice; a second try at the same door helps nobody."
                raise Refused("CFG020", what, "remove one of the two, or give the other its own host or port.", "brokers", number)
            seen.add(at)
        return self


class BudgetFile(FileModel):
    """What a month on the air may cost, and what may give way for it."""

    per_month: Annotated[SizeBytes, sized(1_000_000, 1 << 40)]
    from_day: Annotated[int, Field(ge=1, le=28)] = 1
    batch_most: Annotated[DurationMs, between(100, 7_200_000)] = 600_000
    dead_band_most: Annotated[float, Field(ge=1, le=100)] = 1.0


class DeliveryFile(FileModel):
    """How readings are batched, kept and sent."""

    preset: Literal["normal", "slow", "data-saver"] = "normal"
    gives_way: Literal["flash", "window"] = "flash"
    batch: Annotated[DurationMs, between(100, 3_600_000)] = 5000
    batch_readings: Annotated[int, Field(ge=1, le=10_000)] = 1000
    window: Annotated[DurationMs, between(500, 3_600_000)] = 10_000
    urgent_window: Annotated[DurationMs, between(0, 3_600_000)] | None = None
    in_flight: Annotated[int, Field(ge=1, le=1000)] = 32
    resend: Annotated[DurationMs, between(1000, 600_000)] = 10_000
    max_bytes: Annotated[SizeBytes, sized(1 << 20, 1 << 40)] = 256 << 20
    max_age: Annotated[DurationMs, between(60_000, 3650 * 86_400_000)] = 30 * 86_400_000
    receipt_hold: Annotated[DurationMs, between(0, 21_600_000)] = 1000
    receipt_every: Annotated[int, Field(ge=1, le=500)] | None = None
    newest_first: bool = False
    confirm: Literal["receipt", "puback"] = "receipt"
    budget: BudgetFile | None = None
    qos: Annotated[Literal[0, 1] | None, NumberOnly] = None


class ClockFile(FileModel):
    """Where the time may come from beside NTP, the collector and an RTC. modem: an AT port, or `modemmanager`."""

    modem: Annotated[FoldedText, Field(pattern=r"^(modemmanager|/dev/[A-Za-z0-9._/:+-]{1,190})?$")] = ""


def _is_port_name(name: str) -> str:
    if name.startswith(USB) and USB_NAME.fullmatch(name) is None:
        do = "write `usb:SERIALNUMBER` as `edge-agent scan --ports` shows it; of one with several ports `usb:SERIALNUMBER/if02`."
        raise Refused("CFG006", f"`{name}` names no adapter.", do)
    return name


class SerialFile(FileModel):
    """A serial line: `port` is a device path or `usb:` and an adapter's serial number, `url` a pyserial URL."""

    port: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_is_port_name)] | None = None
    url: Annotated[str, Field(pattern=r"^[a-z0-9]+://.{1,200}$")] | None = None
    baudrate: Annotated[int, Field(ge=300, le=1_000_000)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Annotated[Literal[1, 2], NumberOnly] = 1
    bytesize: Literal[7, 8] = 8

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.port is None) == (self.url is None):
            raise Refused(
                "CFG027", "A serial line needs either `port` or `url`.", "write `port: /dev/ttyAMA0` or `url: rfc2217://host:port`."
            )
        return self


class TcpFile(FileModel):
    """A Modbus TCP host, or a terminal server that speaks RTU frames over TCP."""

    host: Host
    port: Port = 502
    connect_timeout: Annotated[DurationMs, between(100, 60_000)] = 3000


class EquipmentFile(FileModel):
    """Something that is no device itself: a pump, a tank, a filter. Devices are `part_of` it."""

    id: Id
    name: Bilingual | None = None
    nameplate: Nameplate = Field(default_factory=dict)
    part_of: Id | None = None
    fed_by: list[Id] = Field(default_factory=list)


class DeviceFile(FileModel):
    """One device of a bus. points: overrides of the profile's points by `id`, and points of its own."""

    id: Id
    profile: str | None = None
    unit: int | None = None
    """1 to 247 on a serial line, 0 to 255 over TCP: `check_cross` knows which."""
    name: Bilingual | None = None
    nameplate: Nameplate = Field(default_factory=dict)
    part_of: Id | None = None
    fed_by: list[Id] = Field(default_factory=list)
    period: PeriodMs | None = None
    requests: RequestsFile = RequestsFile()
    parameters: Annotated[dict[str, float | bool], Field(max_length=500)] = Field(default_factory=dict)
    addresses: AddressesFile | None = None
    points: Annotated[list[dict[str, Any]], Field(max_length=2000)] = Field(default_factory=list)


class BusFile(FileModel):
    """One line or connection and the devices on it."""

    id: Id
    serial: SerialFile | None = None
    tcp: TcpFile | None = None
    framing: Framing | None = None
    probe_budget: Annotated[float, Field(ge=0.001, le=0.5)] = 0.02
    devices: Annotated[list[DeviceFile], Field(min_length=1, max_length=247)]

    @property
    def frames(self) -> Framing:
        """The framing, with its default: `rtu` on a serial line (or `ascii`), `tcp` on TCP (or `rtu-over-tcp`)."""
        return self.framing or ("rtu" if self.serial is not None else "tcp")

    @model_validator(mode="after")
    def _one_link(self) -> Self:
        if (self.serial is None) == (self.tcp is None):
            raise Refused(
                "CFG027", "A bus needs either `serial` or `tcp`.", "keep one of them: `serial: {port: ...}` or `tcp: {host: ...}`."
            )
        if (self.frames in ("rtu", "ascii")) != (self.serial is not None):
            fitting = "rtu` or `ascii" if self.serial is not None else "tcp` or `rtu-over-tcp"
            raise Refused("CFG027", f"The framing `{self.frames}` does not fit this link.", f"write `{fitting}`.", "framing")
        return self


class SiteFile(FileModel):
    """A gateway's configuration."""

    site: Id
    gateway: Id
    name: Bilingual | None = None
    mqtt: MqttFile
    delivery: DeliveryFile = DeliveryFile()
    clock: ClockFile = ClockFile()
    link_series: bool = True
    equipment: Annotated[list[EquipmentFile], Field(max_length=500)] = Field(default_factory=list)
    buses: Annotated[list[BusFile], Field(min_length=1, max_length=64)]
