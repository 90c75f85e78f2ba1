"""Does I/O through the Operations seam. REST: warnings, and what people do about them."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from collector.domain.lifecycle import What
from collector.domain.warning import Level, State, Warning
from collector.seams import Refused
from collector.web.answers import WarningParameter, act_body, require_warning, tagged, warning_body
from collector.web.parts import WebParts
from collector.web.refusals import Refusal, wrong
from collector.web.schema import ActRequest, WarningBody, WarningDetailBody, WarningsBody
from edge_agent.contract.topics import ID_PATTERN

MOST_KEYS = 1000
_CURSOR = re.compile(r"(\d{1,13})\.(\d{1,4})")

SiteQuery = Annotated[str | None, Query(pattern=f"^{ID_PATTERN}$")]
StateQuery = Annotated[list[State] | None, Query(max_length=5, description="May be repeated")]
KeyHeader = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=100)]


class _Done:
    """Answers already given, by Idempotency-Key: a repeat gets the same answer and changes nothing. In memory, the newest 1000.

    After a restart a repeat meets the lifecycle instead, which refuses what was done before (WEB915).
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._answers: OrderedDict[str, tuple[str, WarningBody]] = OrderedDict()

    def find(self, key: str, content: str) -> WarningBody | None:
        """The answer given before. Raises Refusal WEB917 if the key stood on another request."""
        known = self._answers.get(key)
        if known is not None and known[0] != content:
            raise Refusal("WEB917", "Idempotency-Key")
        return known[1] if known else None

    def keep(self, key: str, content: str, answer: WarningBody) -> None:
        """Remembers; forgets the oldest."""
        self._answers[key] = (content, answer)
        while len(self._answers) > MOST_KEYS:
            self._answers.popitem(last=False)


def router(parts: WebParts) -> APIRouter:
    """/api/v1/warnings..."""
    routes = APIRouter(prefix="/api/v1/warnings", tags=["warnings"])
    done = _Done()

    @routes.get("", response_model=WarningsBody, operation_id="list_warnings")
    def warnings(
        request: Request,
        site: SiteQuery = None,
        state: StateQuery = None,
        level: Level | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
    ) -> Response:
        """Warnings, the newest first. With `level` a page may hold fewer than `limit` and still have a next one."""
        found, following = page(parts, site, state, limit, cursor)
        kept = [warning_body(warning) for warning in found if level in {None, warning.level}]
        return tagged(request, WarningsBody(warnings=kept, next=following))

    @routes.get("/{id}", response_model=WarningDetailBody, operation_id="get_warning")
    def warning(request: Request, id: WarningParameter) -> Response:
        """One warning with its audit trail."""
        found = require_warning(parts, id)
        acts = [act_body(act) for act in parts.operations.acts(id)]
        return tagged(request, WarningDetailBody(warning=warning_body(found), acts=acts))

    def add(what: What, summary: str) -> None:
        @routes.post(f"/{{id}}/{what}", operation_id=f"{what}_warning", summary=summary)
        def act(request: Request, id: WarningParameter, body: ActRequest, key: KeyHeader = None) -> WarningBody:
            who = str(request.scope["state"]["user"]) or body.who
            if key is None:
                return warning_body(carry_out(parts, id, what, who, body.note))
            content = hashlib.sha256(repr((id, what, who, body.note)).encode()).hexdigest()
            with done.lock:
                answer = done.find(key, content)
                if answer is None:
                    answer = warning_body(carry_out(parts, id, what, who, body.note))
                    done.keep(key, content, answer)
                return answer

    add("acknowledge", "Take a warning")
    add("close", "Close a warning that is over")
    add("return", "Send a warning back")
    return routes


def page(
    parts: WebParts, site: str | None, states: list[State] | None, limit: int, cursor: str | None
) -> tuple[list[Warning], str | None]:
    """One page of warnings and the next cursor: `began.n`, n warnings that began at that very ms were given already.

    Raises Refusal WEB910 for a cursor that is none.
    """
    before_ms, given = None, 0
    if cursor is not None:
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise wrong("cursor", "cursor")
        before_ms, given = int(match[1]) + 1, int(match[2])
    found = list(parts.operations.warnings(site, states, limit=limit + given + 1, before_ms=before_ms))[given:]
    if len(found) <= limit:
        return found, None
    kept = found[:limit]
    last = kept[-1].began_ms
    same = sum(1 for warning in kept if warning.began_ms == last)
    same += given if before_ms == last + 1 else 0
    return kept, f"{last}.{same}"


def carry_out(parts: WebParts, id: str, what: What, who: str, note: str) -> Warning:
    """The warning after the act. Raises Refusal WEB913, WEB915."""
    try:
        return parts.operations.act(id, what, who, note, parts.clock.utc_ms())
    except KeyError:
        raise Refusal("WEB913", "warning", name=id) from None
    except Refused as refused:
        raise Refusal("WEB915", f"warning {id}", why=refused) from None
