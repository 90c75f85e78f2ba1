from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.common.folders import data_folder, data_folders
from edge_agent.common.problem import ProblemError

REPOSITORY = Path(__file__).parents[3]


def test_the_order_is_option_then_etc_then_what_the_program_carries(tmp_path: Path) -> None:
    option, etc = tmp_path / "mine", tmp_path / "etc"
    option.mkdir()
    (etc / "edge-agent" / "device_profiles").mkdir(parents=True)
    assert data_folders("device_profiles", [option], etc) == (
        option,
        etc / "edge-agent" / "device_profiles",
        REPOSITORY / "device_profiles",
    )
    assert data_folder("device_profiles", None, etc) == etc / "edge-agent" / "device_profiles"


def test_the_rulebook_belongs_to_the_collector(tmp_path: Path) -> None:
    (tmp_path / "collector" / "rulebook").mkdir(parents=True)
    assert data_folder("rulebook", None, tmp_path) == tmp_path / "collector" / "rulebook"


def test_an_option_that_is_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        data_folders("systemd", [tmp_path / "none"], tmp_path)
    assert caught.value.problems[0].code == "CFG015"


def test_unknown_names_are_a_defect() -> None:
    with pytest.raises(KeyError):
        data_folders("secrets")
