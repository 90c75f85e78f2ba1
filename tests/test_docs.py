"""Documentation that cannot rot: problem codes, links, commands of the README, make targets, pages of each kind."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from tools.problems import page, sections

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]


def codes_in_source() -> set[str]:
    files = [*(ROOT / "edge_agent").rglob("*.py"), *(ROOT / "collector").rglob("*.py")]
    return {code for file in files for code in re.findall(r'"([A-Z]{3}\d{3})"', file.read_text(encoding="utf-8"))}


def test_every_problem_code_is_explained_and_none_is_left_over() -> None:
    assert set(sections()) == codes_in_source()


def test_every_explanation_is_in_both_languages() -> None:
    for code, text in sections().items():
        assert re.search(r"[\u4e00-\u9fff]", text), code
        assert re.search(r"[a-z]{4}", text), code


def test_the_page_of_problems_is_made_of_its_parts() -> None:
    assert (ROOT / "docs" / "problems.md").read_text(encoding="utf-8") == page(), "run `python tools/problems.py`"


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_the_commands_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for program, module in (("edge-agent", "edge_agent"), ("collector", "collector")):
        shown = subprocess.run(
            [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout
        commands = set(re.findall(rf"^{program} ([a-z-]+)", text, re.MULTILINE))
        assert commands
        for command in commands:
            assert re.search(rf"^\s+{command}\s", shown, re.MULTILINE), f"{program} {command}"


def test_the_readme_begins_with_the_chinese_summary_and_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"[\u4e00-\u9fff]{10}", text.split("---")[0])
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    assert re.findall(r"^make \w+", blocks[0], re.MULTILINE) == ["make demo", "make test"]


def test_no_file_names_a_registry_or_a_path_of_a_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    for name in tracked:
        file = ROOT / name
        if name == "tests/test_docs.py":
            continue
        assert not (file.suffix == ".json" and '"resolved"' in file.read_text(encoding="utf-8")), name
        if file.suffix in {".py", ".md", ".yaml", ".yml", ".txt", ".toml", ".json", ".sh", ""} and file.is_file():
            text = file.read_text(encoding="utf-8", errors="ignore")
            assert not re.search(r"--index-url|registry\.np[m]js|files\.pythonhoste[d]|/wor[k]/[a-z]|/tmp/ven[v]", text), name


def test_every_make_target_has_a_rule_and_stands_in_the_help() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())
    assert targets == set(re.findall(r"^([a-z]+):(?!=)", text, re.MULTILINE))
    shown = subprocess.run(["make", "-s", "help"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    told = set(re.findall(r"^make ([a-z]+) ", shown, re.MULTILINE))
    assert targets - told <= {"lint", "unit", "servers", "assets"}, "parts of others need no line"


def test_every_test_with_a_golden_file_that_may_change_is_in_make_golden() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    writers = [
        str(file.relative_to(ROOT))
        for file in (ROOT / "tests").rglob("test_*.py")
        if file.name != "test_docs.py" and re.search(r"assert_golden|WRITE_GOLDEN", file.read_text(encoding="utf-8"))
    ]
    assert writers
    assert [name for name in writers if name not in text] == []
