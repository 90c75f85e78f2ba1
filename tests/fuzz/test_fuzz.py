"""The fuzzer itself, briefly: every target holds, and what breaks a law or raises something else is found and kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.__main__ import SHARES, corpus_of, fuzz
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import ACCEPTED, Broken, seeded, target

RUNS = {"contract": 4000, "receipt": 700, "frames": 3000, "yaml": 300}


@pytest.mark.parametrize("name", SHARES)
def test_a_target_holds(name: str, tmp_path: Path) -> None:
    assert fuzz(name, RUNS[name], seed=7, found=tmp_path)


@pytest.mark.parametrize("name", SHARES)
def test_the_corpus_reaches_what_is_accepted(name: str) -> None:
    """A corpus that is refused at the door would test the door alone."""
    run = target(name)
    assert any(run(kept) == ACCEPTED for kept in corpus_of(name))


def test_what_breaks_is_found_kept_and_comes_again_with_its_seed(tmp_path: Path) -> None:
    def fragile(data: bytes) -> str:
        if b"1e400" in data:
            raise Broken("1e400 was believed")
        return ACCEPTED

    assert not fuzz("contract", 20_000, seed=1, found=tmp_path, run=fragile)
    (kept,) = tmp_path.iterdir()
    assert b"1e400" in kept.read_bytes()
    number = int(kept.name.rsplit("-", 1)[1])
    chance, corpus = seeded(1, "contract"), corpus_of("contract")
    assert [mutated(chance, corpus) for _ in range(number + 1)][-1] == kept.read_bytes()


def test_memory_that_grows_is_no_pass(tmp_path: Path) -> None:
    hoard: list[bytes] = []

    def hoarding(data: bytes) -> str:
        hoard.append(data * 40)
        return ACCEPTED

    assert not fuzz("contract", 4000, seed=1, found=tmp_path, run=hoarding)
