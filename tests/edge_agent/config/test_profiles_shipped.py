"""Every shipped profile loads, and its transcript covers every point."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from pathlib import Path

import pytest

from edge_agent.common.folders import data_folders
from edge_agent.config.profile_file import PointFile
from edge_agent.config.profiles import profile_paths, read_profile
from edge_agent.contract.roles import ROLES
from edge_agent.contract.units import UNITS
from edge_agent.model.points import REGISTERS_OF
from tests.support.profile_transcripts import FUNCTION_OF, Transcript, expected, read_transcript

PATHS = profile_paths(data_folders("device_profiles"))
TRANSCRIPTS = Path(__file__).parents[2] / "transcripts" / "profiles"


def transcript_of(name: str) -> Transcript:
    return read_transcript(TRANSCRIPTS / f"{name.replace('/', '-')}.txt")


def decoded(point: PointFile, image: dict[tuple[int, int], int]) -> Fraction:
    words = [image[FUNCTION_OF[point.table], point.address + i] for i in range(REGISTERS_OF[point.raw_type])]
    return expected(words, point.raw_type, point.order, point.bits_of_value, point.scale, point.offset)


def inside_groups(points: list[PointFile]) -> set[tuple[int, int]]:
    """Registers from the first to the last of each group: they are read in one request, whatever lies between."""
    of_group: dict[str, list[tuple[int, int]]] = {}
    for p in points:
        if p.group:
            of_group.setdefault(p.group, []).extend((FUNCTION_OF[p.table], p.address + i) for i in range(REGISTERS_OF[p.raw_type]))
    return {(ends[0][0], address) for ends in of_group.values() for address in range(min(ends)[1], max(ends)[1] + 1)}


def test_there_is_one_of_every_class_the_first_release_promises() -> None:
    assert {
        "eastron/sdm630",
        "eastron/sdm120",
        "invt/gd200a",
        "generic/level-probe",
        "generic/tuf-2000m",
        "seko/kontrol-800",
    } < set(PATHS)


def test_every_transcript_belongs_to_a_profile() -> None:
    assert sorted(path.stem for path in TRANSCRIPTS.glob("*.txt")) == sorted(name.replace("/", "-") for name in PATHS)


def test_the_list_in_the_docs_is_complete_and_says_what_is_confirmed() -> None:
    table = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text(encoding="utf-8").partition("## Shipped profiles")[2]
    rows = [line.split("|")[2:4] for line in table.splitlines() if line.startswith("|")]
    listed = {name: True for confirmed, _ in rows for name in re.findall("`([a-z0-9-]+/[a-z0-9-]+)`", confirmed)}
    listed |= {name: False for _, compare in rows for name in re.findall("`([a-z0-9-]+/[a-z0-9-]+)`", compare)}
    assert listed == {name: read_profile(name, path).file.verified for name, path in PATHS.items()}


@pytest.mark.parametrize("name", PATHS)
class TestProfile:
    def test_loads_under_its_own_name_and_says_where_it_is_from(self, name: str) -> None:
        file = read_profile(name, PATHS[name]).file
        assert file.source
        assert re.search("[一-鿿]", file.title.zh)
        assert all(point.name is not None for point in file.points)

    def test_every_point_stands_in_the_transcript_once(self, name: str) -> None:
        listed = [point for exchange in transcript_of(name).exchanges for point in exchange.values]
        assert sorted(listed) == sorted(point.id for point in read_profile(name, PATHS[name]).file.points)

    def test_the_transcript_says_what_the_words_mean(self, name: str) -> None:
        transcript = transcript_of(name)
        image = transcript.image()
        said = {point: value for exchange in transcript.exchanges for point, value in exchange.values.items()}
        for point in read_profile(name, PATHS[name]).file.points:
            value, unit, quality = said[point.id]
            number = {"true": Fraction(1), "false": Fraction(0)}.get(value) if point.value_kind == "bool" else Fraction(value)
            assert decoded(point, image) == number, point.id
            assert (unit, quality) == (point.unit or "-", "good")

    def test_requests_touch_nothing_but_points_and_stay_within_the_limits(self, name: str) -> None:
        file, transcript = read_profile(name, PATHS[name]).file, transcript_of(name)
        most = file.requests.max_registers or 125
        of_points = {(FUNCTION_OF[p.table], p.address + i) for p in file.points for i in range(REGISTERS_OF[p.raw_type])}
        assert set(transcript.image()) == of_points | inside_groups(file.points)
        assert all(struct.unpack(">BHH", transcript.pdu(e.request))[2] <= most for e in transcript.exchanges)

    def test_groups_are_answered_in_one_exchange(self, name: str) -> None:
        place = {point: n for n, exchange in enumerate(transcript_of(name).exchanges) for point in exchange.values}
        groups: dict[str, set[int]] = {}
        for point in read_profile(name, PATHS[name]).file.points:
            if point.group:
                groups.setdefault(point.group, set()).add(place[point.id])
        assert all(len(places) == 1 for places in groups.values())

    def test_roles_fit_their_units_and_values_their_range(self, name: str) -> None:
        image = transcript_of(name).image()
        for point in read_profile(name, PATHS[name]).file.points:
            if point.role and ROLES[point.role].dimension != "state":
                assert UNITS[point.unit].dimension == ROLES[point.role].dimension
            low, high = point.limits.range_low, point.limits.range_high
            assert low is None or decoded(point, image) >= low
            assert high is None or decoded(point, image) <= high
