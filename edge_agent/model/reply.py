"""Pure. From the words of one reply to readings."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.model.blocks import Block
from edge_agent.model.points import Point
from edge_agent.model.reading import Reading
from edge_agent.model.scaling import values_of


def readings_of(block: Block, words: Sequence[int], taken_ms: int) -> list[Reading]:
    """The readings of one reply; they share their instant."""
    values = values_of(block.points, [words_of(block, point, words) for point in block.points])
    return [Reading(point.series, taken_ms, *got) for point, got in zip(block.points, values, strict=True)]


def words_of(block: Block, point: Point, words: Sequence[int]) -> Sequence[int]:
    """The words of one point in the reply to its block."""
    start = point.address - block.address
    return words[start : start + point.span]
