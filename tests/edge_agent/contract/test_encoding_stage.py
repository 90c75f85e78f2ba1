"""Instants of a block are sums of its steps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.encoding import times_ms
from edge_agent.contract.message import Block

T0 = 1_790_000_000_000


@given(st.lists(st.integers(-1000, 100_000), min_size=1, max_size=6))
def test_times_are_sums_of_their_steps(steps: list[int]) -> None:
    assert times_ms(T0, Block(steps, [])) == [T0 + sum(steps[: i + 1]) for i in range(len(steps))]
