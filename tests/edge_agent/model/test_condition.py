"""The language of conditions: what it says, what it refuses, and that it never does anything else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.model.condition import All, Any, Comparison, Condition, Given, Name, Not, Number, Truth, Unreadable, names_in, parse

VALUES = {"mode": 2.0, "ct": 20.0, "zero": 0.0, "absent": None}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("mode == 2", True),
        ("mode==0x2", True),
        ("mode != 2", False),
        ("ct > 5 and ct <= 20", True),
        ("mode == 1 or mode == 2", True),
        ("mode == 1 or mode == 2 and ct == 1", False),  # and binds closer
        ("(mode == 1 or mode == 2) and ct == 20", True),
        ("not mode == 2", False),
        ("not (mode == 1) and not zero", True),
        ("zero", False),
        ("ct", True),
        ("zero > -0.5", True),
        ("given(zero)", True),
        ("given(absent)", False),
        ("not given(other)", True),
        ("absent == 0", False),  # nothing is known: no comparison holds
        ("absent != 0", False),
        ("mode < ct", True),
        ("2 < ct", True),
    ],
)
def test_what_a_condition_says(text: str, holds: bool) -> None:
    assert parse(text).holds(VALUES) is holds


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "ends too early"),
        ("mode ==", "ends too early"),
        ("mode = 2", "`= 2` cannot stand in a condition"),
        ("mode == 2 && ct == 1", "`&& ct == 1` cannot stand"),
        ("1 < mode < 3", "`<` cannot stand here"),
        ("mode == 2 ct", "`ct` cannot stand here"),
        ("(mode == 2", "ends too early"),
        ("mode == 2)", "`)` cannot stand here"),
        ("3", "A number alone"),
        ("given(3)", "asks for a name"),
        ("given mode", "`mode` cannot stand here"),
        ("mode == 'a'", "`'a'` cannot stand"),
        ("__import__('os')", "cannot stand"),
        ("mode.real == 2", "cannot stand"),
        ("mode == 2.5.1", "cannot stand"),
        ("ct + 1 == 2", "cannot stand"),
        ("not " * 40 + "mode", "nested deeper"),
        ("a or " * 200 + "a", "longer than 500"),
        ("mode == and", "`and` cannot stand here"),
    ],
)
def test_what_is_no_condition(text: str, what: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse(text)
    assert what in caught.value.what
    assert caught.value.do


def test_it_names_what_it_asks_for() -> None:
    assert list(names_in(parse("a == b or not (given(c-1) and 3 < d) and e"))) == ["a", "b", "c-1", "d", "e"]


NAMES = st.sampled_from(["a", "b-1", "c"])
SIDES = st.one_of(NAMES.map(Name), st.integers(-99, 99).map(Number))
LEAVES = st.one_of(
    st.builds(Comparison, SIDES, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), SIDES), NAMES.map(Truth), NAMES.map(Given)
)
TREES: st.SearchStrategy[Condition] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Any(tuple(parts))),
    ),
    max_leaves=8,
)


def spoken(condition: Condition) -> str:
    match condition:
        case Comparison(left, mark, right):
            return " ".join([*(s.name if isinstance(s, Name) else str(s.number) for s in (left,)), mark,
                             right.name if isinstance(right, Name) else str(right.number)])  # fmt: skip
        case Truth(name):
            return name
        case Given(name):
            return f"given({name})"
        case Not(part):
            return f"not ({spoken(part)})"
        case All(parts):
            return " and ".join(f"({spoken(part)})" for part in parts)
        case Any(parts):
            return " or ".join(f"({spoken(part)})" for part in parts)


def judged(condition: Condition, values: dict[str, float | None]) -> bool:
    """Python's own judgement of the same text; comparisons with what is not known are false."""
    match condition:
        case Comparison(left, mark, right):
            sides = [s.number if isinstance(s, Number) else values.get(s.name) for s in (left, right)]
            return None not in sides and bool(eval(f"{sides[0]} {mark} {sides[1]}"))
        case Truth(name):
            return bool(values.get(name))
        case Given(name):
            return values.get(name) is not None
        case Not(part):
            return not judged(part, values)
        case All(parts):
            return all(judged(part, values) for part in parts)
        case Any(parts):
            return any(judged(part, values) for part in parts)


@given(TREES, st.fixed_dictionaries({name: st.one_of(st.none(), st.integers(-99, 99)) for name in ("a", "b-1", "c")}))
@settings(max_examples=300)
def test_the_text_of_a_condition_means_what_it_says(condition: Condition, values: dict[str, float | None]) -> None:
    text = spoken(condition)
    if len(text) <= 500:
        assert parse(text).holds(values) is judged(condition, values)


@given(st.text(alphabet="abct 0159.-=!<>()&|'_andornotgiven", max_size=40))
@settings(max_examples=500)
def test_any_text_is_a_condition_or_refused_in_words(text: str) -> None:
    try:
        outcome = str(parse(text).holds(VALUES))
    except Unreadable as error:
        outcome = error.what and error.do
    assert outcome
