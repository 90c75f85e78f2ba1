"""A whole agent with `confirm: puback` on a Mosquitto where no collector listens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent.io.status_file import read_status
from tests.support.mosquitto import Mosquitto
from tests.support.ports import wait_until
from tests.support.running_agent import RunningAgent, site
from tests.support.watcher import Watcher

pytestmark = pytest.mark.mosquitto


def test_the_brokers_word_frees_the_outbox_and_a_foreign_consumer_has_every_batch(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker, Watcher(broker) as watcher:
        agent = RunningAgent(site(broker.port, "5", confirm="puback"), tmp_path).start()

        def delivery() -> dict[str, Any]:
            return (read_status([tmp_path / "run"]) or {}).get("delivery") or {}

        wait_until(lambda: delivery().get("delivered", 0) > 20, 20, "batches that the broker took")
        wait_until(lambda: delivery().get("depth", 9) == 0, 20, "nothing waits")
        agent.stop()
        wait_until(
            lambda: any(event["kind"] == "agent.stop" for m in watcher.of("data") for event in m.get("d", {}).get("events", []))
        )
        sent = [(m["l"], m["s"]) for m in watcher.of("data")]
        assert len(sent) == len(set(sent)) > 5, "each once"
        assert {s for lane, s in sent if lane == "n"} == set(range(1, sum(lane == "n" for lane, _ in sent) + 1)), (
            "and none left out"
        )
