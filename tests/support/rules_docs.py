"""The generated parts of docs/rules.md. `python -m tests.support.rules_docs` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from collector.config.rules_file import load_rules
from collector.domain.lifecycle import table_markdown
from collector.rules.duration import duration_text
from collector.rules.function import Function
from collector.rules.functions import functions
from collector.rules.rule import Rule

FOLDER = Path(__file__).resolve().parents[2] / "docs"


def functions_markdown(known: Mapping[str, Function]) -> str:
    rows = [
        f"| `{f.name}({', '.join(f.takes)}{', ...' if f.variadic else ''})` | {f.gives} | {f.about} |"
        for _, f in sorted(known.items())
    ]
    return "\n".join(["| function | gives | |", "|---|---|---|", *rows])


def rules_markdown(rules: Mapping[str, Rule]) -> str:
    parts = []
    for rule in rules.values():
        roles = (
            "; ".join(", ".join(need.roles) + (" (optional)" if need.optional else "") for need in rule.needs)
            or rule.event
            or "gateway"
        )
        condition = f"`{rule.when.text}` " if rule.when else ""
        parts += [
            f"### {rule.id}",
            "",
            f"**{rule.title.zh} · {rule.title.en}** ({rule.level}). {rule.meaning.en} {rule.meaning.zh}",
            "",
            f"- First: {rule.action.en} {rule.action.zh}",
            f"- Cause: {rule.cause.en} {rule.cause.zh}",
            f"- Looks at: {roles}; {condition}for {duration_text(rule.for_ms)}",
            *(f"- `{p.name}` = {p.value:g} {p.unit}".rstrip() + f": {p.source}" for p in rule.params.values()),
            "",
        ]
    return "\n".join(parts).rstrip()


def main() -> None:
    path = FOLDER / "rules.md"
    text = path.read_text(encoding="utf-8")
    text = _between(text, "FUNCTIONS", functions_markdown(functions()), "| function |", "A window of any length")
    text = _between(text, "RULES", rules_markdown(load_rules()), "### ", "## Water quality event")
    path.write_text(text, encoding="utf-8")
    path = FOLDER / "warnings.md"
    text = _between(path.read_text(encoding="utf-8"), "LIFECYCLE", table_markdown(), "| state |", "- **acknowledge")
    path.write_text(text, encoding="utf-8")


def _between(text: str, marker: str, made: str, begins: str, behind: str) -> str:
    """`made` in place of the marker, or of what was made before: from a line beginning with `begins` up to `behind`."""
    if f"\n{marker}\n" in text:
        return text.replace(f"\n{marker}\n", f"\n{made}\n")
    pattern = re.compile(rf"^{re.escape(begins)}.*?(?=\n\n{re.escape(behind)})", re.DOTALL | re.MULTILINE)
    return pattern.sub(lambda _: made, text, count=1)


if __name__ == "__main__":
    main()
