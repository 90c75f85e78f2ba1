"""Topics that are not the sender's, at the real program with its embedded broker: kept away, counted, told; the line goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge_agent.contract import encoding
from edge_agent.contract import message as m
from tests.support.collector_line import PlainClient
from tests.support.collector_program import CollectorProgram
from tests.support.ports import free_port, wait_until

pytestmark = pytest.mark.programs
RAW, HASH = encoding.encode_birth_body(m.BirthBody("1", [], receipt_hold_ms=50))
FLOOD = 10_000
T0 = 1_790_000_000_000


def quarantine(program: CollectorProgram) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "collector", "quarantine", "list", "--json", "--config", str(program.config)]
    return list(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["messages"])


def data(seq: int) -> bytes:
    return encoding.encode(m.Data(1, "1-00000000000000aa", "n", seq, seq, HASH, T0, m.Body()))


def flood(port: int, topic: str) -> None:
    """FLOOD different messages from gw-2, as fast as they go."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    client.username_pw_set("gw-2", "two")
    client.connect("127.0.0.1", port)
    client.loop_start()
    for seq in range(1, FLOOD + 1):
        last = client.publish(topic, data(seq))
    last.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


def refused(program: CollectorProgram) -> dict[str, int]:
    status = program.status()
    return {} if status is None else dict(status.refused)


def test_a_topic_of_another_is_kept_away_counted_and_told_once(tmp_path: Path) -> None:
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    (tmp_path / "users").write_text(f"gw-1 s/g {quick.hash('one')}\ngw-2 s/h {quick.hash('two')}\n")
    port = free_port()
    with CollectorProgram(tmp_path, mqtt=f"{{embedded: {{port: {port}, users_file: users}}}}") as program:
        one = PlainClient(port, "gw-1", "one")
        try:
            flood(port, "waterworks/s/g/data")
            assert one.subscribe("waterworks/s/g/receipt")
            one.publish("waterworks/s/g/data", data(1))
            receipt = encoding.decode_receipt(one.next()[1])
            assert [(row.l, row.upto) for row in receipt.lanes] == [("n", 1)], "its own batch alone, and the line goes on"
            wait_until(lambda: refused(program) == {"sender": FLOOD}, 20, "every one is counted")
            one.publish("waterworks/s/g/receipt", b"forged")
            wait_until(lambda: refused(program) == {"sender": FLOOD + 1}, 20, "of another sender too")
        finally:
            one.close()
        rows = quarantine(program)
        assert [(row["topic"], row["reason"]) for row in rows] == [
            ("waterworks/s/g/receipt", "sender"),
            ("waterworks/s/g/data", "sender"),
        ]
        assert "user gw-2 may not publish here" in str(rows[1]["detail"])
        lines = [line for line in program.output().splitlines() if "refused" in line]
        assert [line.count("user gw-") for line in lines] == [1, 1], program.output()
        assert len(program.output()) < 3000
        assert program.end() == 0, program.output()
