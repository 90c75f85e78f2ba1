"""Pure. Why a request is not carried out: each refusal has an HTTP status and a Problem; the page says it in both languages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from collector.web.language import Language, both, pick, say
from edge_agent.common.problem import Problem
from edge_agent.contract.message import Text

STATUS_OF = {
    "WEB910": 422,
    "WEB911": 404,
    "WEB912": 404,
    "WEB913": 404,
    "WEB914": 404,
    "WEB915": 409,
    "WEB916": 403,
    "WEB917": 422,
    "WEB918": 503,
    "WEB919": 401,
    "WEB920": 421,
    "WEB921": 405,
    "WEB922": 413,
    "WEB923": 429,
    "WEB924": 503,
    "WEB999": 500,
}
"""HTTP status of each code; the texts stand in `texts/refusals.yaml`."""


class Refusal(Exception):
    """One request is refused. where: the parameter, path or field; values fill the text's `{names}`, a Text in its language."""

    def __init__(self, code: str, where: str, **values: object) -> None:
        super().__init__(f"{code} {where}")
        self.code = code
        self.where = where[:200]
        self.values = {name: value if isinstance(value, Text) else str(value)[:300] for name, value in values.items()}

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS_OF[self.code]

    def what(self, language: Language) -> str:
        """What is wrong."""
        return say(language, f"refusal.{self.code}.what", **self._values(language))

    def do(self, language: Language) -> str:
        """What mends it."""
        return say(language, f"refusal.{self.code}.do", **self._values(language))

    def _values(self, language: Language) -> dict[str, str]:
        return {name: pick(value, language)[:300] if isinstance(value, Text) else value for name, value in self.values.items()}

    def problem(self, language: Language = "en") -> Problem:
        """The form that the REST interface and the log carry."""
        return Problem(self.code, self.where, self.what(language), self.do(language))


_WHY = {
    "missing": "missing", "extra_forbidden": "unknown", "json_invalid": "json", "string_pattern_mismatch": "pattern",
    "string_too_long": "long", "too_long": "long", "string_too_short": "short", "too_short": "short", "literal_error": "choice",
    "int_parsing": "number", "int_type": "number", "int_from_float": "number", "greater_than_equal": "least",
    "less_than_equal": "most",
}  # fmt: skip
"""pydantic's kinds of errors (its documentation, "Validation Errors") and our words for them."""


def wrong_parameter(error: Mapping[str, Any]) -> Refusal:
    """WEB910 for one error of pydantic, in our own words. A body that is no JSON goes under the name `body`."""
    names = [part for part in error["loc"] if isinstance(part, str)]
    name = ".".join(names[1:] or names[:1]) or "body"
    context = error.get("ctx", {})
    values = {
        "long": context.get("max_length"),
        "short": context.get("min_length"),
        "least": context.get("ge"),
        "most": context.get("le"),
        "choice": ", ".join(re.findall(r"'([^']*)'", str(context.get("expected", "")))),
    }
    kind = _WHY.get(error["type"], "other")
    return wrong(name, kind, value=values.get(kind, ""))


def wrong(name: str, kind: str, **values: object) -> Refusal:
    """WEB910 for a parameter; kind: the end of a key `why.*` of the catalogue."""
    return Refusal("WEB910", name, name=name, why=both(f"why.{kind}", **values))
