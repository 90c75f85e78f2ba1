"""Every profile's transcript through the product's own session, codec and scaling: whole, byte by byte, with noise, truncated.

And through its own planner: whatever it chooses to ask, every point is asked for once and a group is not torn apart.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.transcripts import FOLDER, blocks_shown, device_of, plan_of, read_transcript, replay_every_way

ROOT = Path(__file__).parents[3]
PROFILES = {path: f"{path.parent.name}/{path.stem}" for path in sorted((ROOT / "device_profiles").glob("*/*.yaml"))}


@pytest.mark.parametrize("profile", PROFILES.values())
def test_the_product_reads_every_point_as_the_transcript_shows(profile: str, tmp_path: Path) -> None:
    transcript = read_transcript(FOLDER / "profiles" / f"{profile.replace('/', '-')}.txt")
    device = device_of(profile, transcript, tmp_path)
    readings = replay_every_way(transcript, device, blocks_shown(transcript, device))
    assert {r.series for r in readings} == {p.series for p in device.points}


@pytest.mark.parametrize("profile", PROFILES.values())
def test_the_planner_asks_for_every_point_once_and_tears_no_group(profile: str, tmp_path: Path) -> None:
    transcript = read_transcript(FOLDER / "profiles" / f"{profile.replace('/', '-')}.txt")
    device = device_of(profile, transcript, tmp_path)
    blocks = plan_of(transcript, device)
    assert sorted(point.id for block in blocks for point in block.points) == sorted(point.id for point in device.points)
    for group in {point.group for point in device.points if point.group}:
        assert sum(any(point.group == group for point in block.points) for block in blocks) == 1
