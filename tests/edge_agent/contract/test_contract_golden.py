"""Golden files of contract version 1: added, never edited; every one of them is read as it was on the day it was written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from edge_agent.contract import encoding as e
from edge_agent.contract import message as m
from tests.support.contract_messages import DECODERS, shown

FOLDER = Path(__file__).parents[2] / "golden" / "contract" / "v1"
PAYLOADS = sorted(path for path in FOLDER.iterdir() if path.suffix in (".json", ".bin"))


def kind(path: Path) -> str:
    return path.name.split("-")[0]


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_it_reads_as_on_the_day_it_was_written(path: Path) -> None:
    now = json.loads(shown(DECODERS[kind(path)](path.read_bytes())))
    assert_holds(json.loads(path.with_suffix(".decoded").read_text()), now)


def assert_holds(then: object, now: object) -> None:
    """Fields added later may be there; nothing else differs."""
    if isinstance(then, dict):
        assert isinstance(now, dict)
        for name, value in then.items():
            assert_holds(value, now[name])
    elif isinstance(then, list):
        assert isinstance(now, list)
        assert len(now) == len(then)
        for one, other in zip(then, now, strict=True):
            assert_holds(one, other)
    else:
        assert (type(now), now) == (type(then), then)


def test_no_golden_file_was_edited_and_each_is_listed() -> None:
    listed = dict(line.split("  ")[::-1] for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.iterdir() if path.name != "SHA256SUMS"}
    assert there == listed, "golden files are added (with their line in SHA256SUMS), never edited or removed"


def test_every_kind_has_golden_files_plain_and_packed_where_it_can_be_long() -> None:
    assert {kind(path) for path in PAYLOADS} == set(DECODERS)
    packed = {kind(path) for path in PAYLOADS if path.suffix == ".bin"}
    assert packed == {"data", "birth", "receipt"}
    assert all((path.read_bytes()[:1] == b"{") == (path.suffix == ".json") for path in PAYLOADS)
    heads = {path.read_bytes()[:1] for path in PAYLOADS if path.suffix == ".bin"}
    assert heads == {b"\x78", b"\x58"}, "zlib with its widest window, and with the one of 8 KiB that short messages have"


def test_every_field_of_the_contract_stands_in_a_golden_file_with_a_value_of_its_own() -> None:
    seen: set[tuple[str, str]] = set()

    def look(value: object) -> None:
        if isinstance(value, list):
            for each in value:
                look(each)
        elif isinstance(value, dict):
            name = value.get("")
            for field, each in value.items():
                look(each)
                if name and each not in (None, [], {}, ""):
                    seen.add((str(name), field))

    for path in FOLDER.glob("*.decoded"):
        look(json.loads(path.read_text()))
    structs = [s for s in vars(m).values() if isinstance(s, type) and issubclass(s, msgspec.Struct) and s is not m.DataFrame]
    missing = {(s.__name__, f) for s in structs if s is not msgspec.Struct for f in s.__struct_fields__} - seen
    assert not missing


def test_a_frame_with_its_body_encoded_has_the_same_bytes_as_the_message() -> None:
    decoded = e.decode_sequenced((FOLDER / "data-urgent-events-gaps.bin").read_bytes())
    assert isinstance(decoded, m.Data)
    raw = msgspec.Raw(e.encode_body(decoded.d))
    frame = m.DataFrame(decoded.v, decoded.e, decoded.l, decoded.s, decoded.low, decoded.b, decoded.t0, raw, decoded.c)
    assert e.encode(frame) == e.encode(decoded)
