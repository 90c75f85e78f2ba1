"""Stores are found by themselves; two of one name are an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from collector.stores import StoreSettings, collect, find_stores
from collector.stores.embedded import EmbeddedStore
from collector.stores.influx import InfluxStore


def test_both_are_found_and_open(tmp_path: Path) -> None:
    stores = find_stores()
    assert set(stores) == {"embedded", "influx"}
    embedded = stores["embedded"](StoreSettings(tmp_path))
    influx = stores["influx"](StoreSettings(tmp_path, "http://127.0.0.1:1", "county", "waterworks", "secret"))
    assert isinstance(embedded, EmbeddedStore)
    assert isinstance(influx, InfluxStore)
    embedded.close()
    influx.close()


def test_a_second_store_of_one_name_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "another_store.py").write_text('KIND = "embedded"\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="another_store"):
        collect(["collector.stores.embedded", "another_store"])


def test_the_token_is_not_shown(tmp_path: Path) -> None:
    assert "secret" not in repr(StoreSettings(tmp_path, token="secret"))


def test_finding_stores_loads_no_heavy_library() -> None:
    code = "import sys; from collector.stores import find_stores; find_stores(); print('influxdb_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
