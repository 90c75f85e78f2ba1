"""The publisher over MQTT 3.1.1 and an amqtt broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.suites.mqtt_link import LinkSuite
from tests.support.broker import Broker


class TestAmqtt(LinkSuite):
    @pytest.fixture
    def broker(self) -> Iterator[Broker]:
        with Broker() as broker:
            yield broker
