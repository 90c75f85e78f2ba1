"""Messages that are none, through Mosquitto with its access list and the real program: each is kept with its reason."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from collector.io.broker_rights import read_users
from collector.io.mosquitto_config import access_list
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from tests.support.collector_line import PlainClient, clients
from tests.support.collector_program import CollectorProgram
from tests.support.mosquitto import Mosquitto
from tests.support.ports import wait_until
from tests.support.scripted_agent import EPOCH, ScriptedAgent

pytestmark = [pytest.mark.programs, pytest.mark.mosquitto]
RAW, HASH = encoding.encode_birth_body(m.BirthBody("1", [], receipt_hold_ms=50))


def told(program: CollectorProgram, *words: object) -> tuple[int, dict[str, list[dict[str, object]]]]:
    """Exit code and JSON of a command."""
    command = [sys.executable, "-m", "collector", *map(str, words), "--json", "--config", str(program.config)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.returncode, json.loads(run.stdout)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def data(seq: int, body: bytes = b"{}", version: int = 1) -> bytes:
    head = f'"v":{version},"e":"{EPOCH}","l":"n","s":{seq},"low":{seq},"b":"{HASH}","t0":{now_ms()}'
    return b'{"k":"d",' + head.encode() + b',"d":' + body + b"}"


def poison() -> list[tuple[str, bytes, str]]:
    """Topic, payload, and the reason it must be refused for."""
    return [
        ("waterworks/s/g/data", b"\xff\x00 no message", "not-decodable"),
        ("waterworks/s/g/data", data(1, version=9), "version"),
        ("waterworks/s/g/data", b"{" + b" " * (1 << 20), "too-large"),
        ("waterworks/s/g/birth", data(1), "topic"),
        ("waterworks/s/g/data", data(1, b'{"blocks":[[[0],[[0,[1,2]]]]]}'), "shape"),
    ]


def test_no_poison_stops_the_line_and_each_is_kept_with_its_reason(tmp_path: Path) -> None:
    users = read_users("gw-1 s/g $argon2id$x\ngw-2 s/h $argon2id$x\n", "users")
    (tmp_path / "acl").write_text(access_list("waterworks", users.values()))
    (tmp_path / "passwords").touch(mode=0o600)
    (tmp_path / "secret").write_text("collector-password")
    (tmp_path / "secret").chmod(0o600)
    for name in ("collector", "gw-1", "gw-2"):
        words = ["mosquitto_passwd", "-b", str(tmp_path / "passwords"), name, f"{name}-password"]
        subprocess.run(words, check=True, capture_output=True)
    rights = f"user {getpass.getuser()}\nacl_file {tmp_path / 'acl'}\npassword_file {tmp_path / 'passwords'}\n"
    with Mosquitto(tmp_path, rights) as broker, clients() as all_clients:
        mqtt = f"{{host: 127.0.0.1, port: {broker.port}, user: collector, password_file: secret}}"
        with CollectorProgram(tmp_path, mqtt=mqtt) as program:
            one, two = (PlainClient(broker.port, name, f"{name}-password") for name in ("gw-1", "gw-2"))
            all_clients += [one, two]
            assert one.subscribe("waterworks/s/g/receipt")
            head = b'{"k":"b","v":1,"e":"%s","l":"u","s":1,"low":1,"h":"%s","boot":"x","t0":%d,"body":'
            one.publish("waterworks/s/g/data", head % (EPOCH.encode(), HASH.encode(), now_ms()) + RAW + b"}")
            assert {row.l: row.upto for row in encoding.decode_receipt(one.next()[1]).lanes} == {"u": 1}
            spoiled = poison()
            for topic, payload, _ in spoiled:
                one.publish(topic, payload)
            two.publish("waterworks/s/g/data", data(77))  # not its branch: the broker keeps it away
            one.publish("waterworks/s/g/data", data(2))
            wait_until(lambda: receipted(one) == 2, 10, "the line goes on, and what cannot be read is receipted")
            two.publish("waterworks/s/h/data", b"neither")
            expected = [*(reason for _, _, reason in spoiled), "not-decodable"]
            wait_until(lambda: len(told(program, "quarantine", "list")[1]["messages"]) == len(expected), 10, "quarantined")
            code, body = told(program, "quarantine", "list")
            assert (code, [one["reason"] for one in body["messages"]]) == (0, expected[::-1])
            last = body["messages"][1]
            assert (last["topic"], last["bytes"]) == ("waterworks/s/g/data", len(spoiled[-1][1]))
            code, shown = told(program, "quarantine", "show", last["id"])
            assert bytes.fromhex(str(shown["hex"])) == spoiled[-1][1]
            assert str(shown["begin"]).startswith('{"k":"d","v":1')
            assert told(program, "quarantine", "show", 999)[0] == 2
            assert told(program, "quarantine", "export", tmp_path / "out")[0] == 0
            assert (tmp_path / "out" / f"{last['id']}.bin").read_bytes() == spoiled[-1][1]
            assert [one["id"] for one in json.loads((tmp_path / "out" / "index.json").read_text())] == [
                one["id"] for one in body["messages"]
            ]
            assert told(program, "quarantine", "export", tmp_path / "out")[0] == 2
            wait_until(lambda: why(program) == {"unreadable": 1}, 10, "the account says so")
            assert told(program, "account")[0] == 1
            t0 = now_ms()
            gap = m.Gap(EPOCH, "n", 3, 4, 20, "overflow", t0, t0)
            dropped = m.Event(0, "outbox.dropped", reason="overflow", about={"batches": 2, "readings": 20})
            one.publish("waterworks/s/g/data", encoding.encode(m.Data(1, EPOCH, "u", 2, 2, HASH, t0, m.Body([], [dropped], [gap]))))
            wait_until(lambda: rules(program) == {"batch-unreadable", "outbox-dropped"}, 10, "people are told of both")
            wait_until(lambda: "gave up 2 batches with 20 readings (overflow)" in program.output(), 10, "a line in the log")
            page = httpx.get(f"http://127.0.0.1:{program.page_port}/sites/s", headers={"accept-language": "en"}).text
            assert "In the last 7 days 3 batches were lost, 20 readings of them known" in page
            assert program.end() == 0, program.output()


def receipted(client: PlainClient) -> int:
    """The sequence up to which lane n was receipted, as heard next."""
    return max((row.upto for row in encoding.decode_receipt(client.next()[1]).lanes if row.l == "n"), default=0)


def rules(program: CollectorProgram) -> set[str]:
    """The rules whose warnings stand."""
    answer = httpx.get(f"http://127.0.0.1:{program.page_port}/api/v1/warnings").json()
    return {warning["rule"] for warning in answer["warnings"]}


def log_bytes(program: CollectorProgram) -> int:
    """Everything of the log on disk."""
    return sum(
        file.stat().st_size for file in program.state.rglob("*") if file.is_file() and "log" in str(file.relative_to(program.state))
    )


def why(program: CollectorProgram) -> dict[str, int]:
    return {name: count for day in told(program, "account")[1]["days"] for name, count in day["why"].items()}  # type: ignore[attr-defined]


def test_a_storm_of_batches_that_came_before_leaves_no_trace_but_its_count(tmp_path: Path) -> None:
    with CollectorProgram(tmp_path) as program:
        t0 = now_ms()
        agent = ScriptedAgent(program.broker_port, 3, t0=t0)
        client = PlainClient(program.broker_port)
        try:
            agent.run_until(3)
            wait_until(lambda: (s := program.status()) is not None and s.stored == 4, 10, "stored")
            block = m.Block([0], [m.Column(0, [1.0])])
            again = encoding.encode(m.Data(1, EPOCH, "n", 2, 2, "00", t0, m.Body([block])))
            receipts, size = len(agent.receipts), log_bytes(program)
            for _ in range(1000):
                client.publish("waterworks/s/g/data", again)
            other = encoding.encode(m.Data(1, EPOCH, "n", 4, 4, "00", t0, m.Body()))
            client.publish("waterworks/s/g/data", other)
            wait_until(lambda: (s := program.status()) is not None and s.duplicate == 1000, 20, "counted")
            status = program.status()
            assert status is not None
            assert (status.log_last, status.received) == (5, 5)
            assert log_bytes(program) - size < 200_000
            assert len(agent.receipts) - receipts < 300, "a receipt per hold, not per message"
            wait_until(lambda: told(program, "account")[1]["total"]["duplicate"] == 1000, 20, "in the account")  # type: ignore[call-overload]
        finally:
            agent.close()
            client.close()
