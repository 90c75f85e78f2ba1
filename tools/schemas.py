"""Does I/O: makes edge_agent/config/schemas/*.json of the models and of the tables of keys in docs. A test compares.

Run as `python -m tools.schemas`.
"""

from __future__ import annotations

import re
from pathlib import Path

from edge_agent.config.schema import profile_schema, schema_text, site_schema

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "edge_agent" / "config" / "schemas"
PROFILE_PARTS = {
    "## Keys of a profile": "ProfileFile",
    "### Keys of `requests`": "RequestsFile",
    "### Keys of a point": "PointFile",
    "### Keys of `write`": "WriteFile",
    "### Keys of a parameter": "ParameterFile",
    "### Keys of a step": "StepFile",
    "### Keys of `scale_by`": "FactorFile",
}
SITE_PARTS = {
    "## Keys": "SiteFile",
    "### `mqtt`": "MqttFile",
    "### `delivery`": "DeliveryFile",
    "### `budget`": "BudgetFile",
    "### `clock`": "ClockFile",
    "### `buses`": "BusFile",
    "### `devices`": "DeviceFile",
}


def meanings(page: str, parts: dict[str, str]) -> dict[str, dict[str, str]]:
    """What the tables of keys below these headings say. Raises KeyError for a heading that the page does not have."""
    sections = {part.partition("\n")[0]: part for part in re.split(r"^(?=##)", page, flags=re.MULTILINE)}
    found: dict[str, dict[str, str]] = {}
    for heading, model in parts.items():
        for row in re.findall(r"^\| (`[^|]*) \|(.*)\|$", sections[heading], re.MULTILINE):
            meaning, *default = [cell.strip() for cell in re.split(r"(?<!\\)\|", row[1])]
            text = meaning + (f" (default: {default[0]})" if default and default[0] else "")
            found.setdefault(model, {}).update(dict.fromkeys(re.findall(r"`([a-z_]+)`", row[0]), text))
    return found


def texts() -> dict[Path, str]:
    """Every schema file, as it must be."""
    profiles = meanings((ROOT / "docs" / "profiles.md").read_text(encoding="utf-8"), PROFILE_PARTS)
    site = meanings((ROOT / "docs" / "site-file.md").read_text(encoding="utf-8"), SITE_PARTS)
    return {
        SCHEMAS / "profile.schema.json": schema_text(profile_schema(profiles)),
        SCHEMAS / "site.schema.json": schema_text(site_schema({**profiles, **site})),
    }


if __name__ == "__main__":
    for path, text in texts().items():
        path.write_text(text, encoding="utf-8")
