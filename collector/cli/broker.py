"""Does I/O: `collector broker-config` and `collector broker-user`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from collector.cli.options import ConfigFile
from collector.config.load import load
from collector.io.broker_rights import load_users, read_users
from collector.io.mosquitto_config import access_list, configuration
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.terminal import say, talk

UsersFile = Annotated[Path | None, typer.Option("--users", metavar="FILE", help="The users file of the embedded broker.")]

OutFolder = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Write mosquitto.conf and acl there instead of printing them.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("broker-config")(broker_config)
    app.command("broker-user")(broker_user)


def broker_config(config: ConfigFile = None, users: UsersFile = None, out: OutFolder = None) -> None:
    """Prints a Mosquitto configuration with the rights that gateways and collector need.

    Example: collector broker-config --users /etc/collector/mqtt-users --out /etc/mosquitto
    """
    mqtt = load(config).settings.mqtt
    path = str(users or (mqtt.embedded.users_file if mqtt.embedded else ""))
    known = load_users(path) if path else {}
    texts = {"mosquitto.conf": configuration(str(out) if out else "/etc/mosquitto"), "acl": access_list(mqtt.root, known.values())}
    for name, text in texts.items():
        if out is None:
            say(f"# --- {name}\n{text}")
            continue
        try:
            (out / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise ProblemError(
                Problem("BRK805", str(out / name), f"It cannot be written: {error.strerror}.", "name a folder that you may write.")
            ) from error
    talk("Next: mosquitto_passwd -c passwords collector, then set mqtt.host, user and password_file in collector.yaml.")


def broker_user(
    name: Annotated[str, typer.Argument(help="The gateway's user name.", show_default=False)],
    branch: Annotated[str, typer.Argument(metavar="SITE/GATEWAY", help="Its branch, or the word `reader`.", show_default=False)],
) -> None:
    """Draws a password for one gateway; prints the line for the users file, and the password on stderr, once.

    Example: collector broker-user gw-mayantang mayantang/gw-1 >> /etc/collector/mqtt-users
    """
    from argon2 import PasswordHasher

    password = secrets.token_urlsafe(24)
    line = f"{name} {branch} {PasswordHasher().hash(password)}"
    read_users(line, "the new line")
    say(line)
    talk(f"Password for the gateway's password_file, shown this once: {password}")
