"""Does I/O: reads the catalogue of the page's texts once, at import. Chinese and English stand side by side in `texts/*.yaml`,
so that a missing one is seen where it is missing; `catalogue` refuses to load without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from typing import Literal, cast

import yaml

from edge_agent.contract.message import Text

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
DEFAULT: Language = "zh"
HTML_LANG: dict[Language, str] = {"zh": "zh-CN", "en": "en"}


def catalogue(files: Mapping[str, str]) -> dict[str, Text]:
    """Texts by key. Raises ValueError for a key twice, one language missing or different `{names}` in the two."""
    texts: dict[str, Text] = {}
    for name, content in files.items():
        for key, pair in cast(dict[str, dict[str, str]], yaml.safe_load(content)).items():
            if key in texts:
                raise ValueError(f"{name}: {key} stands twice")
            missing = [one for one in LANGUAGES if not str(pair.get(one, "")).strip()]
            if missing or set(pair) != set(LANGUAGES):
                raise ValueError(f"{name}: {key} needs exactly zh and en, both with text")
            text = Text(zh=str(pair["zh"]), en=str(pair["en"]))
            if _names(text.zh) != _names(text.en):
                raise ValueError(f"{name}: {key} names different values in zh and en")
            texts[key] = text
    return texts


def _names(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def _shipped() -> dict[str, str]:
    folder = resources.files("collector.web") / "texts"
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".yaml")}


TEXTS: Mapping[str, Text] = catalogue(_shipped())
"""Every text of the page by key."""


def pick(text: Text, language: Language) -> str:
    """The text in this language, else in the other: a name in one language only is better than none."""
    return (text.zh or text.en) if language == "zh" else (text.en or text.zh)


def say(language: Language, key: str, **values: object) -> str:
    """The catalogue's text with `{names}` filled in. Raises KeyError for an unknown key."""
    text = pick(TEXTS[key], language)
    return text.format(**values) if values else text


def both(key: str, **values: object) -> Text:
    """The catalogue's text in both languages with `{names}` filled in. Raises KeyError for an unknown key."""
    return Text(zh=say("zh", key, **values), en=say("en", key, **values))


def choose(query: str | None, cookie: str | None, accept: str | None) -> Language:
    """The language asked for: `?lang=`, else the cookie, else Accept-Language, else zh."""
    for wish in (query, cookie):
        if wish in LANGUAGES:
            return wish
    best: tuple[float, Language] | None = None
    for part in (accept or "")[:200].split(","):
        tag, _, rest = part.strip().partition(";")
        weight = _weight(rest)
        for one in LANGUAGES:
            if tag.lower().split("-")[0] == one and weight > 0 and (best is None or weight > best[0]):
                best = (weight, one)
    return best[1] if best else DEFAULT


def _weight(rest: str) -> float:
    found = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", rest)
    return float(found[1]) if found else 1.0
