"""A real Mosquitto with the access list that `collector broker-config` writes keeps everybody on his branch."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path

import pytest

from collector.io.broker_rights import read_users
from collector.io.mosquitto_config import access_list, configuration
from tests.support.collector_line import PlainClient, clients
from tests.support.mosquitto import Mosquitto

pytestmark = pytest.mark.mosquitto


def test_rights_hold(tmp_path: Path) -> None:
    users = read_users("gw-1 s/g $argon2id$x\ngw-2 s/h $argon2id$x\n", "users")
    acl, passwords = tmp_path / "acl", tmp_path / "passwords"
    acl.write_text(access_list("root", users.values()))
    passwords.touch(mode=0o600)
    for name in ("collector", "gw-1", "gw-2"):
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), name, f"{name}-password"], check=True, capture_output=True)
    own = f"user {getpass.getuser()}"  # so that it may read this folder
    with Mosquitto(tmp_path, f"{own}\nacl_file {acl}\npassword_file {passwords}\n") as broker, clients() as all_clients:
        collector = PlainClient(broker.port, "collector", "collector-password")
        one = PlainClient(broker.port, "gw-1", "gw-1-password", will="root/s/h/status")
        two = PlainClient(broker.port, "gw-2", "gw-2-password")
        all_clients += [collector, one, two]
        for kind in ("data", "status"):
            assert collector.subscribe(f"root/+/+/{kind}")
        assert two.subscribe("root/s/h/receipt")
        assert two.subscribe("root/s/g/receipt")  # Mosquitto grants it and then hands out nothing
        one.publish("root/s/h/data", b"foreign")
        one.publish("root/s/g/data", b"own")
        assert collector.next()[:2] == ("root/s/g/data", b"own")
        collector.publish("root/s/g/receipt", b"not yours")
        collector.publish("root/s/h/receipt", b"yours")
        assert two.next()[1] == b"yours"
        one.cut()
        two.publish("root/s/h/status", b"mine")
        assert collector.next()[:2] == ("root/s/h/status", b"mine")


def test_the_configuration_names_what_must_hold() -> None:
    lines = configuration("/x").splitlines()
    assert "allow_anonymous false" in lines
    assert "acl_file /x/acl" in lines
    assert "password_file /x/passwords" in lines
    assert any(line.startswith("certfile ") for line in lines)
