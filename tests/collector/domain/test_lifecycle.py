"""The life of a warning never leaves its table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from collector.domain.audit import GENESIS, act_hash, first_broken
from collector.domain.lifecycle import ACTS, STATES, TABLE, Refusal, What, act_on, ended, table_markdown
from collector.domain.warning import Act, State, Warning
from tests.support.warnings import raised

DOCS = Path(__file__).resolve().parents[3] / "docs" / "warnings.md"


def test_the_table_knows_every_state_and_act() -> None:
    assert set(STATES) == set(get_args(State))
    assert set(ACTS) == set(get_args(What))
    assert all(after in STATES for after in TABLE.values())


@given(
    st.sampled_from(STATES),
    st.lists(st.tuples(st.sampled_from((*ACTS, "over")), st.sampled_from(["", "li"]), st.sampled_from(["", "n"]))),
)
def test_whatever_people_do_it_stays_in_the_table(state: State, steps: list[tuple[str, str, str]]) -> None:
    warning = raised(state=state, over_s=5 if state in ("past", "closed") else None)
    for what, who, note in steps:
        if what == "over":
            warning = ended(warning, warning.began_ms + 7)
            continue
        act = next(a for a in ACTS if a == what)
        after = act_on(warning, act, who, note)
        if isinstance(after, Refusal):
            assert after.why.zh
            assert after.why.en
        else:
            assert after.state == TABLE[warning.state, act]
            assert identity(after) == identity(warning)
            assert not (after.state == "closed" and after.over_ms is None)
            warning = after


def identity(warning: Warning) -> tuple[object, ...]:
    return (warning.id, warning.rule, warning.subject, warning.began_ms, warning.known_ms, warning.over_ms)


def test_past_takes_no_act_and_ends_only_once() -> None:
    past = raised(state="past", over_s=3)
    assert all(isinstance(act_on(past, what, "li", "n"), Refusal) for what in ACTS)
    assert ended(past, 1) == past


def test_sent_back_opens_it_again() -> None:
    closed = replace(raised(over_s=3), state="closed", closed_by="li")
    assert isinstance(act_on(closed, "return", "chen", " "), Refusal), "a reason is needed"
    back = act_on(closed, "return", "chen", "还在漏")
    assert isinstance(back, Warning)
    assert (back.state, back.closed_by, back.note) == ("returned", "", "还在漏")


def test_the_manual_shows_the_table() -> None:
    assert table_markdown() in DOCS.read_text(encoding="utf-8")


@given(st.lists(st.text(max_size=8), min_size=1, max_size=6), st.data())
def test_a_changed_or_missing_line_breaks_the_chain(notes: list[str], data: st.DataObject) -> None:
    lines, before = [], GENESIS
    for n, note in enumerate(notes):
        act = Act(n, "li", "close", "w", note)
        before = act_hash(before, act)
        lines.append((act, before))
    assert first_broken(lines) is None
    at = data.draw(st.integers(0, len(lines) - 1))
    changed = [*lines[:at], (replace(lines[at][0], who="x"), lines[at][1]), *lines[at + 1 :]]
    assert first_broken(changed) == at + 1
    if at < len(lines) - 1:
        assert first_broken([*lines[:at], *lines[at + 1 :]]) == at + 1
