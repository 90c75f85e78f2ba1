"""Does I/O: options by which a command reaches the broker."""

from __future__ import annotations

from typing import Annotated

import typer

from collector.config.load import Loaded, read_secret
from collector.io.mqtt_subscriber import BrokerAddress
from collector.io.state_folder import is_held
from collector.io.status_file import read_status
from edge_agent.common.problem import Problem, ProblemError

BrokerOption = Annotated[
    str | None, typer.Option("--broker", metavar="HOST:PORT", help="Default: the broker of the collector's configuration.")
]
"""Another broker."""
UserOption = Annotated[str, typer.Option("--user", help="User name at the broker.")]
"""User name."""
PasswordFile = Annotated[str, typer.Option("--password-file", metavar="FILE", help="A file that holds the password alone.")]
"""Password."""


def address_of(loaded: Loaded, broker: str | None, user: str, password_file: str) -> BrokerAddress:
    """Where the broker is: by option, else by configuration; a free port of the embedded one by the status file."""
    mqtt = loaded.settings.mqtt
    password = read_secret(password_file)
    if broker is not None:
        host, _, number = broker.rpartition(":")
        if not host or not number.isdigit():
            raise ProblemError(Problem("USE413", f"--broker {broker}", "This is no HOST:PORT.", "write e.g. 127.0.0.1:1883."))
        return BrokerAddress(host, int(number), mqtt.root, user, password)
    if mqtt.host:
        return BrokerAddress(
            mqtt.host,
            mqtt.broker_port,
            mqtt.root,
            user or mqtt.user,
            password or read_secret(mqtt.password_file),
            tls=mqtt.tls,
            tls_ca=mqtt.tls_ca,
        )
    embedded = mqtt.embedded_broker
    port = embedded.port or _port_now(loaded)
    return BrokerAddress(
        embedded.host, port, mqtt.root, user, password, tls=bool(embedded.certificate), tls_ca=embedded.certificate
    )


def _port_now(loaded: Loaded) -> int:
    status = read_status(loaded.state)
    if status is None or not is_held(loaded.state):
        do = "start it: `collector run`, or name the broker with --broker."
        raise ProblemError(Problem("TRY411", str(loaded.state), "No collector runs on this state directory.", do))
    return status.broker_port
