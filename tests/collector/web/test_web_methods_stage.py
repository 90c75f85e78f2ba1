"""Whoever only looks changes nothing: acts are not to be had by GET, whatever the address says."""

from __future__ import annotations

import httpx
import pytest

from tests.support.web_fakes import Station

ID = "pump-dry-7f3a"


@pytest.mark.parametrize("what", ["acknowledge", "close", "return"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_an_act_is_a_post(http: httpx.Client, here: Station, what: str, method: str) -> None:
    before = dict(here.operations.all)
    answer = http.request(method, f"/api/v1/warnings/{ID}/{what}", json={"who": "x", "note": "y"})
    assert answer.status_code == 405
    assert here.operations.all == before
