"""What the witnesses of chaos take for a reading of the instrument."""

from __future__ import annotations

import pytest

from edge_agent.model.link_health import LINK_POINTS
from tests.chaos.witnesses import series_of


def test_points_of_the_instrument_have_numbers() -> None:
    assert series_of("d3", "p5") == (3, 5)


@pytest.mark.parametrize("point", LINK_POINTS)
def test_what_the_agent_measures_itself_is_none_of_them(point: str) -> None:
    """It comes once a minute: agents that live longer have some."""
    assert series_of("d3", point) is None
