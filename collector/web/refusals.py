"""Pure. Why a request is not carried out: each refusal has an HTTP status and a Problem; the page says it in both languages."""

from __future__ import annotations

from collector.web.language import Language, say
from edge_agent.common.problem import Problem

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
    """One request is refused. where: the parameter, path or field; values fill the text's `{names}`."""

    def __init__(self, code: str, where: str, **values: object) -> None:
        super().__init__(f"{code} {where}")
        self.code = code
        self.where = where[:200]
        self.values = {name: str(value)[:300] for name, value in values.items()}

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS_OF[self.code]

    def what(self, language: Language) -> str:
        """What is wrong."""
        return say(language, f"refusal.{self.code}.what", **self.values)

    def do(self, language: Language) -> str:
        """What mends it."""
        return say(language, f"refusal.{self.code}.do", **self.values)

    def problem(self, language: Language = "en") -> Problem:
        """The form that the REST interface and the log carry."""
        return Problem(self.code, self.where, self.what(language), self.do(language))
