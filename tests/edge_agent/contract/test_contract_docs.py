"""docs/contract.md names every topic, structure, field, event, command and limit."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from edge_agent.contract import encoding as e
from edge_agent.contract import message as m
from edge_agent.contract.topics import Kind
from edge_agent.delivery.batching import DROPPED

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([^`]+)`", PAGE)) | {word for span in re.findall(r"`([^`]+)`", PAGE) for word in re.findall(r"\w+", span)}
STRUCTS = [
    s for s in vars(m).values() if isinstance(s, type) and issubclass(s, msgspec.Struct) and s not in (msgspec.Struct, m.DataFrame)
]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_structure_and_field_is_explained(struct: type[msgspec.Struct]) -> None:
    assert re.search(rf"(\*\*|### |## ){struct.__name__}\b", PAGE)
    assert not [field for field in struct.__struct_fields__ if field not in NAMED]


def test_every_topic_is_explained() -> None:
    assert {kind.value for kind in Kind} <= NAMED


def test_every_event_that_the_agent_tells_is_listed() -> None:
    told: set[str] = set()
    for path in (ROOT / "edge_agent").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        told.update(re.findall(r"Happening\(\s*\"([^\"]+)\"", text))
    assert {"outbox.disk", "device.silent"} <= told
    assert {*told, DROPPED} <= NAMED


def test_every_command_is_listed() -> None:
    known = re.findall(r"command\.name == \"(\w+)\"", (ROOT / "edge_agent" / "link_desk.py").read_text(encoding="utf-8"))
    assert known
    assert set(known) <= NAMED


def test_the_limits_are_those_of_the_code() -> None:
    for number in (e.MAX_UNPACKED, e.MAX_SERIES, e.MAX_READINGS, e.MAX_TEXT):
        assert f"{number:,}" in PAGE
    assert e.MAX_SEQUENCE == 2**53 - 1
    assert e.MAX_INTEGER == 2**63 - 1
