"""One served station a module, and a client for it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.web_fakes import Station, served, station


@pytest.fixture(scope="module")
def here() -> Station:
    return station()


@pytest.fixture(scope="module")
def address(here: Station) -> Iterator[str]:
    with served(here.parts()) as url:
        yield url


@pytest.fixture
def http(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, trust_env=False, timeout=20) as client:
        yield client
