"""Every shipped profile loads, and its transcript covers every point."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest

from edge_agent.common.folders import data_folders
from edge_agent.config.profile_file import PointFile, ProfileFile
from edge_agent.config.profiles import profile_paths, read_profile
from edge_agent.config.proof import proof
from edge_agent.config.transcript import Exchange, Transcript, read_transcript
from edge_agent.contract.roles import ROLES
from edge_agent.contract.units import UNITS
from tests.support.profile_transcripts import Reckoned, asked, image_of, places_of, readings_in
from tests.support.transcripts import device_of

PATHS = profile_paths(data_folders("device_profiles"))
TRANSCRIPTS = Path(__file__).parents[2] / "transcripts" / "profiles"
VARIANTS = [path for path in sorted(TRANSCRIPTS.glob("*.txt")) if "." in path.stem]
"""`MAKER-MODEL.WHAT.txt`: other parameters, other codes, what is not valid."""


@cache
def file_of(name: str) -> ProfileFile:
    return read_profile(name, PATHS[name]).file


@cache
def transcript_at(path: Path) -> Transcript:
    return read_transcript(path.read_text(encoding="utf-8"), path.name)


def transcript_of(name: str) -> Transcript:
    return transcript_at(TRANSCRIPTS / f"{name.replace('/', '-')}.txt")


def transcripts_of(name: str) -> list[Transcript]:
    """The profile's own, and its variants."""
    stem = name.replace("/", "-")
    return [transcript_of(name), *(transcript_at(path) for path in VARIANTS if path.stem.split(".")[0] == stem)]


def transcript_of_one(transcript: Transcript, exchange: Exchange) -> Transcript:
    return replace(transcript, exchanges=(exchange,))


@cache
def reckoned(name: str) -> Reckoned:
    points = {point.id: point for point in file_of(name).points}
    parameters = {p.id: p.default for p in file_of(name).parameters if p.default is not None}
    return Reckoned(points, image_of(transcript_of(name)), {**parameters, **transcript_of(name).parameters})


def inside_groups(points: list[PointFile]) -> set[tuple[int, int]]:
    """Registers from the first to the last of each group: they are read in one request, whatever lies between."""
    of_group: dict[str, list[tuple[int, int]]] = {}
    for p in points:
        if p.group:
            of_group.setdefault(p.group, []).extend(places_of(p))
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
    mains = {name.replace("/", "-") for name in PATHS}
    assert {path.stem for path in TRANSCRIPTS.glob("*.txt")} - {path.stem for path in VARIANTS} == mains
    assert all(transcript_at(path).header["profile"].replace("/", "-") == path.stem.split(".")[0] for path in VARIANTS)


@pytest.mark.parametrize("path", VARIANTS, ids=lambda path: path.stem)
def test_the_product_proves_every_variant(path: Path, tmp_path: Path) -> None:
    transcript = transcript_at(path)
    name = transcript.header["profile"]
    outcome = proof(transcript, device_of(name, transcript, tmp_path))
    assert outcome.problems == ()
    assert sum(len(exchange.shown) for exchange in transcript.exchanges) == len(outcome.values)


@pytest.mark.parametrize("name", [name for name in PATHS if file_of(name).parameters])
def test_every_parameter_is_tried_beside_its_default(name: str) -> None:
    tried = {(key, value) for transcript in transcripts_of(name) for key, value in transcript.parameters.items()}
    for parameter in file_of(name).parameters:
        assert {value for key, value in tried if key == parameter.id} - {parameter.default}, parameter.id


@pytest.mark.parametrize("name", PATHS)
def test_every_condition_on_other_points_is_shown_true_and_false(name: str, tmp_path: Path) -> None:
    leaning = {point.id for point in file_of(name).points if point.valid_when is not None}
    seen = set()
    for transcript in transcripts_of(name) if leaning else []:
        for point, value, quality in proof(transcript, device_of(name, transcript, tmp_path)).values:
            seen |= {(point.id, value is not None and quality == "good")}
    assert {(point, there) for point in leaning for there in (True, False)} <= seen


@pytest.mark.parametrize("name", PATHS)
def test_a_unit_that_the_device_tells_is_shown_in_two_of_its_codes_and_in_one_that_is_not_known(name: str, tmp_path: Path) -> None:
    parameters = {parameter.id for parameter in file_of(name).parameters}
    told = {(f.of, p.id) for p in file_of(name).points for f in p.scale_by if f.of not in parameters and f.factors}
    for code in {code for code, _ in told}:
        shown = [
            {point.id: value for point, value, _ in proof(transcript_of_one(t, exchange), device_of(name, t, tmp_path)).values}
            for t in transcripts_of(name)
            for exchange in t.exchanges
        ]
        pairs = [
            (values[code], values[scaled])
            for values in shown
            for of, scaled in told
            if of == code and {of, scaled} <= values.keys()
        ]
        assert len({said for said, value in pairs if value is not None}) >= 2
        assert any(value is None for _, value in pairs)


def test_the_list_in_the_docs_is_complete_and_says_what_is_confirmed() -> None:
    table = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text(encoding="utf-8").partition("## Shipped profiles")[2]
    rows = [line.split("|")[2:4] for line in table.splitlines() if line.startswith("|")]
    listed = {name: True for confirmed, _ in rows for name in re.findall("`([a-z0-9-]+/[a-z0-9-]+)`", confirmed)}
    listed |= {name: False for _, compare in rows for name in re.findall("`([a-z0-9-]+/[a-z0-9-]+)`", compare)}
    assert listed == {name: read_profile(name, path).file.verified for name, path in PATHS.items()}


@pytest.mark.parametrize("name", PATHS)
class TestProfile:
    def test_says_where_it_is_from_in_both_languages(self, name: str) -> None:
        file = file_of(name)
        assert all(len(source) > 10 for source in file.source)
        texts = [file.title, *(p.name for p in file.points), *(t for p in file.points for t in p.texts.values())]
        texts += [parameter.name for parameter in file.parameters]
        for text in texts:
            assert text is not None
            assert re.search("[一-鿿]", text.zh) or text.zh == text.en, text  # symbols such as `pH` are the same in both
            assert not re.search("[一-鿿]", text.en), text

    def test_every_point_stands_in_the_transcript_once(self, name: str) -> None:
        listed = [shown.point for exchange in transcript_of(name).exchanges for shown in exchange.shown]
        assert sorted(listed) == sorted(point.id for point in file_of(name).points)

    def test_the_product_proves_every_value_and_every_step(self, name: str, tmp_path: Path) -> None:
        outcome = proof(transcript_of(name), device_of(name, transcript_of(name), tmp_path))
        assert (outcome.problems, outcome.unproved) == ((), ())

    def test_the_transcript_says_what_the_words_mean(self, name: str) -> None:
        said = {shown.point: shown for exchange in transcript_of(name).exchanges for shown in exchange.shown}
        for point in file_of(name).points:
            shown = said[point.id]
            assert shown.value is not None
            assert isinstance(shown.value, bool) == (point.value_kind == "bool")
            if point.value_kind == "text":
                assert (shown.value, shown.quality) == (reckoned(name).text(point.id), "good")
                continue
            assert reckoned(name).value(point.id) == Fraction(repr(int(shown.value) if point.value_kind == "bool" else shown.value))
            assert (shown.unit, shown.quality) == (point.unit, "good")

    def test_values_tell_points_apart(self, name: str) -> None:
        """A transcript of zeros would prove any map: a number that is read whole is shown other than zero."""
        for point in file_of(name).points:
            if point.value_kind in ("number", "counter") and point.bits_of_value is None:
                assert any(reckoned(name).image[place] for place in places_of(point)), point.id

    def test_requests_touch_nothing_but_points_and_stay_within_the_limits(self, name: str) -> None:
        file, transcript = file_of(name), transcript_of(name)
        of_points = {place for point in file.points for place in places_of(point)}
        assert set(image_of(transcript)) == of_points | inside_groups(file.points)
        assert all(asked(transcript, e)[2] <= (file.requests.max_registers or 125) for e in readings_in(transcript))

    def test_groups_are_answered_in_one_exchange(self, name: str) -> None:
        place = {shown.point: n for n, exchange in enumerate(transcript_of(name).exchanges) for shown in exchange.shown}
        groups: dict[str, set[int]] = {}
        for point in file_of(name).points:
            if point.group:
                groups.setdefault(point.group, set()).add(place[point.id])
        assert all(len(places) == 1 for places in groups.values())

    def test_roles_fit_their_units_and_values_their_range(self, name: str) -> None:
        for point in file_of(name).points:
            if point.role and ROLES[point.role].dimension != "state":
                assert UNITS[point.unit].dimension == ROLES[point.role].dimension
            low, high = point.limits.range_low, point.limits.range_high
            assert low is None or reckoned(name).value(point.id) >= low
            assert high is None or reckoned(name).value(point.id) <= high
