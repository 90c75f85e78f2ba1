"""The expression language: what it gives, what it refuses, and that nothing else can be reached."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.rules.expression import ExpressionError, NameKind, Scope, parse
from collector.rules.functions import functions
from collector.rules.signal import Known, Slot, View
from tests.support.warnings import T0, series

NAMES: dict[str, NameKind] = {"a": "number", "b": "number", "X": "signal", "G": "signals", "p": "param", "w": "time"}


def evaluate(text: str, **numbers: Known) -> Known:
    expression = parse(text, NAMES)
    return expression.bind(Scope({"X": None}, {}, {"p": 2.0}, {}, numbers)).value(T0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3 == 7", True), ("-(4 - 6) == p", True), ("1 < 2 < 3", True), ("3 < 2 < 1", False), ("not 1 > 2", True),
        ("1 / 0 > 1", None), ("abs(-3) == 3", True), ("first(a, b, 5) == 5", True), ("a > 1 or 2 > 1", True),
        ("a > 1 and 1 > 2", False),
        ("a > 1 and 2 > 1", None), ("a > 1 or 1 > 2", None), ("1e300 * 1e300 > 1", True),
    ],
)  # fmt: skip
def test_values(text: str, value: Known) -> None:
    assert evaluate(text) is value


@given(st.lists(st.sampled_from([True, False, None]), min_size=2, max_size=2))
def test_logic_agrees_with_every_way_of_filling_in_the_unknown(inputs: list[bool | None]) -> None:
    for word in ("and", "or"):
        given_value = evaluate(f"a {word} b", a=inputs[0], b=inputs[1])
        filled = {
            eval(f"x {word} y", {}, {"x": x, "y": y})
            for x, y in itertools.product(*([True, False] if i is None else [i] for i in inputs))
        }  # fmt: skip
        assert given_value is (filled.pop() if len(filled) == 1 else None)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "a.real > 1", "a[0] > 1", "[x for x in a]", "lambda: 1", "(a := 2) > 1", "f'{a}' > 1",
        "a if b else p",
        "open('x')", "a ** 99", "a @ b", "a is b", "a in b", "{1: 2}", "'text'", "print", "max(a, '10m')",
        "avg(X)", "avg(X, 10)", "avg(X, 'soon')",
        "avg(X, p)", "unknown > 1", "G > 1", "limit(X, low) > 1", "1 and 2 > 1", "(a > 1) + 1 > 2", "avg(a > 1, '1m')",
        "", "a >", "1 " * 600,
        "avg(x=1)", "avg(*a)", "(" * 300 + ")" * 300, "+".join(["1"] * 300),
    ],
)  # fmt: skip
def test_refused_with_words(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, NAMES)
    assert caught.value.what
    assert caught.value.do


def test_an_unknown_limit_is_refused_when_it_is_bound() -> None:
    expression = parse("limit(X, 'lowest') > 1", NAMES)
    with pytest.raises(ExpressionError, match="lowest"):
        expression.bind(Scope({"X": None}, {}, {}, {}, {}))


def windowed(text: str, values: list[float | None], period_ms: int = 1000) -> list[Known]:
    slot = Slot(series(period_ms=period_ms))
    bound = parse(text, NAMES).bind(Scope({"X": View(slot, "")}, {}, {}, {"w": 10_000}, {}))
    results = []
    for n, value in enumerate(values):
        at_ms = T0 + n * period_ms
        slot.put(at_ms, value, 0 if value is not None else 64)
        for memory in bound.memories:
            memory.learn(at_ms)
        results.append(bound.value(at_ms))
    return results


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("avg(X, '10s')", 14.0), ("min(X, w)", 9.0), ("max(X, '10s')", 19.0), ("delta(X, '10s')", 10.0), ("rate(X, '10s')", 1.0),
        ("sum(X, '10s')", 154.0), ("count(X, '10s')", 11.0), ("median(X, '10s')", 14.0), ("age(X)", 0.0), ("X", 19.0),
    ],
)  # fmt: skip
def test_windows(text: str, last: float) -> None:
    results = windowed(text, [float(n) for n in range(20)])
    assert results[-1] == last


def test_a_window_that_has_not_been_seen_is_unknown() -> None:
    results = windowed("avg(X, '10s')", [1.0] * 12)
    assert results[:8] == [None] * 8
    assert results[8:] == [1.0] * 4


def test_a_window_around_a_hole_is_unknown() -> None:
    results = windowed("avg(X, '10s')", [1.0] * 12 + [None] * 7 + [1.0] * 2)
    assert results[11] == 1.0
    assert results[12:] == [None] * 9


def test_stuck_needs_a_whole_window_without_a_move() -> None:
    moves = [2.0 if n == 15 else 1.0 for n in range(40)]
    results = windowed("stuck(X, '10s')", moves)
    assert results[14] is True
    assert results[15:26] == [False] * 11
    assert results[26] is True


@given(st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=40))
def test_a_short_window_is_exact(values: list[float]) -> None:
    assert windowed("max(X, '10s')", list(values))[-1] == max(values[-11:])
    assert windowed("min(X, '10s')", list(values))[-1] == min(values[-11:])


def test_functions_say_what_they_do() -> None:
    for name, function in functions().items():
        assert function.about
        assert name == function.name
