"""Transcripts of Modbus exchanges, replayed whole, byte by byte, with noise before, and truncated."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.model.points import Device, Point
from edge_agent.model.reading import Reading
from tests.support.transcripts import FOLDER, blocks_shown, plan_of, read_transcript, replay, replay_every_way

PAIR = (
    Point(0, "d", "a", "holding", 0, "u16", scale=0.1, decimals=1, unit="V"),
    Point(1, "d", "b", "holding", 1, "u16"),
)
TWINS = (Point(0, "d", "a", "holding", 0, "u32"), Point(1, "d", "b", "holding", 100, "u32"))
DEVICES = {
    "pair": Device("d", 17, PAIR),
    "pair-tcp": Device("d", 1, PAIR),
    "twins": Device("d", 17, TWINS),
    "twins-once": Device("d", 17, TWINS, retries=0),
    "lone": Device("d", 17, (Point(0, "d", "a", "holding", 7, "u16"),)),
}
CASES = sorted((FOLDER / "modbus").glob("*.txt"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_transcript_gives_what_it_shows(path: Path) -> None:
    transcript = read_transcript(path)
    device = DEVICES[transcript.header["device"]]
    replay_every_way(transcript, device, plan_of(transcript, device))


def test_replay_sees_a_wrong_value_a_wrong_request_and_a_missing_point(tmp_path: Path) -> None:
    text = (FOLDER / "modbus" / "plain.txt").read_text()
    device = DEVICES["pair"]
    for wrong in (
        text.replace("225.7", "225.8"),
        text.replace(">> 11 03 00 00", ">> 11 03 00 01"),
        text.replace("= b 500 - good\n", ""),
        text.replace("= a 225.7 V good", "= a 225.7 kV good"),
    ):
        assert wrong != text
        path = tmp_path / "wrong.txt"
        path.write_text(wrong)
        transcript = read_transcript(path)
        with pytest.raises(AssertionError):
            replay(transcript, device, plan_of(transcript, device))


def test_requests_shown_are_those_planned() -> None:
    transcript = read_transcript(FOLDER / "modbus" / "plain.txt")
    device = DEVICES["pair"]
    assert blocks_shown(transcript, device) == plan_of(transcript, device)
    assert replay(transcript, device, plan_of(transcript, device)) == [Reading(0, 0, 225.7), Reading(1, 0, 500)]
