"""Who may say and hear what; the same table for the embedded broker and Mosquitto."""

from __future__ import annotations

import pytest

from collector.io.broker_rights import Who, may_publish, may_receive, may_subscribe, read_users
from collector.io.mosquitto_config import access_list
from edge_agent.common.problem import ProblemError
from edge_agent.contract.topics import Kind

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$YWJj"
GATEWAY = Who("gateway", "s/g")


@pytest.mark.parametrize(
    ("who", "says"),
    [
        (GATEWAY, {"s/g": {"birth", "data", "status", "time", "reply"}, "s/h": set()}),
        (Who("local"), {"s/g": {"birth", "data", "status", "time", "reply"}, "s/h": {"birth", "data", "status", "time", "reply"}}),
        (Who("collector"), {"s/g": {"receipt", "time", "cmd"}, "s/h": {"receipt", "time", "cmd"}}),
        (Who("reader"), {"s/g": set(), "s/h": set()}),
    ],
)
def test_who_says_what(who: Who, says: dict[str, set[str]]) -> None:
    for branch, kinds in says.items():
        assert {kind.value for kind in Kind if may_publish(who, "root", f"root/{branch}/{kind.value}")} == kinds
    for topic in ("other/s/g/data", "root/s/g/data/x", "root/s/g", "$SYS/x", "", "root/s/g/nothing"):
        assert not may_publish(who, "root", topic)


def test_a_gateway_hears_its_own_branch_alone() -> None:
    assert {kind.value for kind in Kind if may_receive(GATEWAY, "root", f"root/s/g/{kind.value}")} == {"receipt", "time", "cmd"}
    assert not any(may_receive(GATEWAY, "root", f"root/s/h/{kind.value}") for kind in Kind)
    assert may_subscribe(GATEWAY, "root", "root/s/g/receipt")
    for foreign in ("root/#", "#", "root/+/+/receipt", "root/s/g2/receipt", "root/s/+/receipt", "+/s/g/receipt"):
        assert not may_subscribe(GATEWAY, "root", foreign)


def test_users_file_errors_come_all_at_once() -> None:
    text = f"# comment\ngw-1 s/g {HASH}\ngw-1 s/h {HASH}\ncollector s/g {HASH}\nx s {HASH}\ny s/g plain\nz\n"
    with pytest.raises(ProblemError) as caught:
        read_users(text, "users")
    assert [problem.where for problem in caught.value.problems] == [f"users:{line}:1" for line in (3, 4, 5, 6, 7)]


def test_mosquitto_gets_the_same_rights() -> None:
    users = read_users(f"gw-1 s/g {HASH}\nscreen reader {HASH}\n", "users")
    text = access_list("root", users.values())
    part = text.split("user gw-1\n")[1].split("\n\n")[0]
    for kind in Kind:
        line = [one for one in part.splitlines() if one.endswith(f"root/s/g/{kind.value}")]
        words = line[0].split()[1] if line else ""
        assert (words in ("write", "readwrite")) == may_publish(GATEWAY, "root", f"root/s/g/{kind.value}")
        assert (words in ("read", "readwrite")) == may_receive(GATEWAY, "root", f"root/s/g/{kind.value}")
    assert "user screen\ntopic read root/#" in text
