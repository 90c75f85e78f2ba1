"""What is fetched at build time: pinned, without addresses, and not needed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx

from collector.web.assets import VENDOR_SCRIPT, VENDOR_STYLE, Assets
from collector.web.refusals import STATUS_OF
from tests.support.web_fakes import served, station

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "collector" / "web" / "assets"


def test_the_lock_file_names_no_address() -> None:
    text = (SOURCES / "package-lock.json").read_text()
    assert "resolved" not in text
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert all(package.get("integrity") for name, package in packages.items() if name)


def test_versions_are_pinned() -> None:
    wanted = json.loads((SOURCES / "package.json").read_text())["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())


def test_without_the_vendor_files_the_page_has_no_script(tmp_path: Path) -> None:
    (tmp_path / "style.css").write_text("a{}")
    (tmp_path / "notes.md").write_text("not served")
    assets = Assets(tmp_path)
    assert VENDOR_SCRIPT not in assets
    assert assets.get("notes.md") is None
    before = assets.url("style.css")
    (tmp_path / "style.css").write_text("b{}")
    assert Assets(tmp_path).url("style.css") != before


def test_scripts_are_named_only_where_they_are() -> None:
    both = {VENDOR_SCRIPT in Assets(), VENDOR_STYLE in Assets()}
    assert len(both) == 1
    with served(station().parts()) as url:
        text = httpx.get(url + "/sites/shuanghe/gw-1/pump-1/current", trust_env=False).text
    assert text.count("<script") == (2 if both == {True} else 0)


def test_every_code_is_explained() -> None:
    pages = [ROOT / "docs" / "problems.md", ROOT / "docs" / "problems.d" / "web.md"]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages if page.is_file())
    assert set(re.findall(r"^### (WEB\d{3})$", text, re.MULTILINE)) == {*STATUS_OF, "WEB901", "WEB902", "WEB903"}
