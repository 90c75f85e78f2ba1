"""Does I/O: tells by a webhook: one POST of JSON, signed where a key is configured, to one fixed address.

    Idempotency-Key: <notice id>          the same for every repeat of a notice
    X-Signature-Timestamp: <s since 1970> part of what is signed, so that an old message cannot be played again
    X-Signature: sha256=<hex>             HMAC-SHA256 over "<timestamp>.<body>"

The host is resolved and checked before each call and the connection goes to the address that was checked, so that a name that
changes between (DNS rebinding) gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import urlsplit

import httpx

from collector.notifiers import Channel
from collector.notifiers.address import Forbidden, Resolve, Unresolved, checked_url, public_addresses, resolve
from collector.seams import Notice, Notifier, Outcome
from edge_agent.common.clock import Clock, SystemClock

KIND = "webhook"
TIMEOUT_S = 10.0
SHOWN = 200
"""Characters of an answer that go on record."""
MAX_ANSWER = 64 * 1024
LONGEST_MS = 20_000
"""An answer that trickles in is cut here; well below the time for which a notice is lent."""


def build(channel: Channel) -> Notifier:
    """The notifier of a configured channel."""
    return Webhook(channel)


class Webhook:
    """See the module."""

    def __init__(self, channel: Channel, clock: Clock | None = None, resolve: Resolve = resolve) -> None:
        """Raises ProblemError NOT701 for a wrong address."""
        self.name = channel.name
        self._channel = channel
        self._clock = clock or SystemClock()
        self._resolve = resolve
        self._host, self._port = checked_url(channel.url, channel.name)

    def send(self, notice: Notice) -> Outcome:
        """One attempt. Again later: the network failed, 408, 425, 429 or 5xx. Not again: every other answer that is not 2xx."""
        body = notice_json(notice)
        try:
            addresses = public_addresses(self._host, self._port, self._channel.allow_hosts, self._resolve)
            status, answer = self._post(addresses[0], body, self._headers(notice, body))
        except Forbidden as error:
            return Outcome(ok=False, retry=False, detail=str(error))
        except Unresolved as error:
            return Outcome(ok=False, retry=True, detail=f"no address: {error}")
        except httpx.HTTPError as error:
            return Outcome(ok=False, retry=True, detail=f"{type(error).__name__}: {error}"[:SHOWN])
        again = status in (408, 425, 429) or status >= 500
        return Outcome(ok=200 <= status < 300, retry=again, detail=f"{status} {answer}".strip())

    def _post(self, address: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        parts = urlsplit(self._channel.url)
        host = f"[{address}]" if ":" in address else address
        url = httpx.URL(self._channel.url).copy_with(host=host)
        headers = {**headers, "Host": parts.netloc}
        extensions = {"sni_hostname": self._host}
        with (
            httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", url, content=body, headers=headers, extensions=extensions) as response,
        ):
            seen, began_ms = b"", self._clock.monotonic_ms()
            for chunk in response.iter_raw(4096):
                seen += chunk
                if len(seen) > MAX_ANSWER or self._clock.monotonic_ms() - began_ms > LONGEST_MS:
                    break
            return response.status_code, _one_line(seen)

    def _headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": notice.id}
        if self._channel.secret:
            timestamp = str(self._clock.utc_ms() // 1000)
            headers |= {"X-Signature-Timestamp": timestamp, "X-Signature": signature(self._channel.secret, timestamp, body)}
        return headers


def signature(key: bytes, timestamp: str, body: bytes) -> str:
    """What stands in X-Signature."""
    return "sha256=" + hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def notice_json(notice: Notice) -> bytes:
    """The body: schema `notice/1`. Times are ms UTC."""
    warning = notice.warning
    about = None
    if warning is not None:
        about = {
            "id": warning.id, "rule": warning.rule, "site": warning.site, "subject": warning.subject, "level": warning.level,
            "state": warning.state, "began_ms": warning.began_ms, "known_ms": warning.known_ms, "over_ms": warning.over_ms,
            "responsible": warning.responsible, "title": {"zh": warning.title.zh, "en": warning.title.en},
            "action": {"zh": warning.action.zh, "en": warning.action.en}, "evidence": [list(entry) for entry in warning.evidence],
        }  # fmt: skip
    text = {"zh": notice.text.zh, "en": notice.text.en}
    message = {"schema": "notice/1", "id": notice.id, "kind": notice.kind, "text": text, "link": notice.link, "warning": about}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _one_line(answer: bytes) -> str:
    text = answer[: 4 * SHOWN].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:SHOWN]
