"""Pure. The schema of collector.yaml: how this collector runs (docs/collector-file.md). Sites and people stand in the county file.

Every key has a default; an empty file is a whole configuration. Paths are relative to the file that names them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edge_agent.common.located_model import Refused
from edge_agent.contract.topics import DEFAULT_ROOT, ID_PATTERN, is_id

Port = Annotated[int, Field(ge=1, le=65535)]
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ROOT = re.compile(rf"{ID_PATTERN}(/{ID_PATTERN}){{0,3}}")
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class Part(BaseModel):
    """What all parts share: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class EmbeddedBroker(Part):
    """The broker inside the collector."""

    host: str = "127.0.0.1"
    """Beyond this machine certificate, key and users_file are required."""
    port: Annotated[int, Field(ge=0, le=65535)] = 1883
    """0: any free port; `collector status` shows it."""
    users_file: str = ""
    """Lines `name site/gateway hash`, made by `collector broker-user`. Empty: clients of this machine need no name."""
    certificate: str = ""
    key: str = ""


class Mqtt(Part):
    """Where the messages come from: the embedded broker, or a foreign one by `host`."""

    root: str = DEFAULT_ROOT
    """First levels of every topic."""
    embedded: EmbeddedBroker | None = None
    host: str = ""
    port: Port | None = None
    """Default 1883, with TLS 8883."""
    user: str = ""
    password_file: str = ""
    """A file that holds the password alone."""
    tls: bool = False
    tls_ca: str = ""
    """Certificates to trust; empty: those of the machine."""

    @field_validator("root")
    @classmethod
    def _root(cls, root: str) -> str:
        if not _ROOT.fullmatch(root):
            do = "write one to four levels of small letters, digits and hyphens, e.g. `waterworks`."
            raise Refused("CFG205", f"`{root}` cannot begin a topic.", do)
        return root

    @model_validator(mode="after")
    def _one_broker(self) -> Mqtt:
        if self.host and self.embedded is not None:
            raise Refused("CFG206", "Both a broker's `host` and `embedded` are set.", "keep one of them.", "embedded")
        return self

    @property
    def embedded_broker(self) -> EmbeddedBroker:
        """The embedded broker, where no foreign one is named."""
        return self.embedded or EmbeddedBroker()

    @property
    def broker_port(self) -> int:
        """The foreign broker's port."""
        return self.port or (8883 if self.tls else 1883)


class Log(Part):
    """The durable record of batches."""

    retention_days: Annotated[int, Field(ge=1, le=3650)] = 14
    """How long batches stay after store and rules have read them."""


class Influx(Part):
    """An InfluxDB 2 server."""

    url: str
    org: str
    bucket: str
    token_file: str
    """A file that holds the token alone."""

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise Refused("CFG207", f"`{url}` is no address.", "write http://host:8086 or https://...")
        return url


class Store(Part):
    """Where the series are kept. Nothing set: the embedded store."""

    influx: Influx | None = None


class Web(Part):
    """The page and the REST interface."""

    host: str = "127.0.0.1"
    """Beyond this machine users are required."""
    port: Port = 8080
    base_url: str = ""
    """The address under which people open the page; links in messages begin with it."""
    users: dict[str, str] = Field(default_factory=dict)
    """Name to argon2 hash."""
    certificate: str = ""
    key: str = ""


class Notifier(Part):
    """One way to tell a person."""

    name: str
    kind: Literal["webhook"]
    url: str = ""
    url_file: str = ""
    """A file that holds the address, where the address itself is a secret."""
    secret_file: str = ""
    """A file that holds the key with which each message is signed."""
    allow_hosts: tuple[str, ...] = ()
    """Private addresses that may be called all the same."""

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        if not is_id(name):
            raise Refused("CFG208", f"`{name}` is no name.", "use small letters, digits and hyphens, at most 32 characters.")
        return name

    @field_validator("allow_hosts", mode="before")
    @classmethod
    def _tuple(cls, hosts: object) -> object:
        return tuple(hosts) if isinstance(hosts, list) else hosts

    @model_validator(mode="after")
    def _one_url(self) -> Notifier:
        if bool(self.url) == bool(self.url_file):
            raise Refused("CFG208", f"Notifier `{self.name}` needs either `url` or `url_file`.", "set one of them.")
        return self


class CollectorFile(Part):
    """The whole file."""

    state_directory: str = ""
    """Default: systemd's StateDirectory, else ~/.local/state/collector."""
    county: str = ""
    """The county file. Default: county.yaml beside this file, if there is one."""
    rules: str = ""
    """A folder of further rules."""
    mqtt: Mqtt = Mqtt()
    log: Log = Log()
    store: Store = Store()
    """The word `embedded`, or `influx: {...}`."""
    web: Web = Web()
    notifiers: tuple[Notifier, ...] = ()
    daily_summary: str | None = "07:30"
    """When, in the county's time; null: never."""

    @field_validator("store", mode="before")
    @classmethod
    def _store(cls, store: object) -> object:
        return Store() if store == "embedded" else store

    @field_validator("notifiers", mode="before")
    @classmethod
    def _tuple(cls, notifiers: object) -> object:
        return tuple(notifiers) if isinstance(notifiers, list) else notifiers

    @field_validator("daily_summary")
    @classmethod
    def _time(cls, time: str | None) -> str | None:
        if time is not None and not _TIME_OF_DAY.fullmatch(time):
            raise Refused("CFG209", f"`{time}` is no time of day.", 'write it in quotes as "07:30".')
        return time

    @model_validator(mode="after")
    def _names(self) -> CollectorFile:
        names = [notifier.name for notifier in self.notifiers]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise Refused(
                    "CFG202", f"The name `{name}` stands here twice.", "give each notifier its own name.", "notifiers", number
                )
        return self

    @property
    def influx(self) -> Influx | None:
        """The InfluxDB server, if series go there."""
        return self.store.influx


PATH_KEYS = (
    ("state_directory",), ("county",), ("rules",), ("mqtt", "embedded", "users_file"), ("mqtt", "embedded", "certificate"),
    ("mqtt", "embedded", "key"), ("mqtt", "password_file"), ("mqtt", "tls_ca"), ("store", "influx", "token_file"),
    ("web", "certificate"), ("web", "key"),
)  # fmt: skip
"""Values that are paths, so that they can be made absolute from the place of the file that says them."""
NOTIFIER_PATH_KEYS = ("url_file", "secret_file")


def at_home(path: str, folder: Path) -> str:
    """`path` seen from `folder`; empty stays empty."""
    return str(folder / Path(path).expanduser()) if path else path
