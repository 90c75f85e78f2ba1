"""The webhook against a real HTTP server on loopback, and the guard of outgoing addresses."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from collector.notifiers import Channel, build, kinds
from collector.notifiers.address import Forbidden, Unresolved, public_addresses
from collector.notifiers.webhook import Webhook
from edge_agent.common.problem import ProblemError
from tests.suites.notifier import NOTICE, NotifierSuite, Rig

KEY = b"a key of the duty desk"


class Desk:
    """A web server that answers with one status and keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.location = ""
        self.answer = b"ok"
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        desk = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                desk.requests.append((self.path, dict(self.headers.items()), body))
                self.send_response(desk.status)
                if desk.location:
                    self.send_header("Location", desk.location)
                self.send_header("Content-Length", str(len(desk.answer)))
                self.end_headers()
                self.wfile.write(desk.answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Answer)
        self.port = self._server.server_port
        self._open = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def accept(self) -> None:
        self.status = 204
        self.answer = b""

    def refuse_for_good(self) -> None:
        self.status = 404

    def refuse_for_now(self) -> None:
        self.status = 503

    def vanish(self) -> None:
        if self._open:
            self._open = False
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(5)

    def received(self) -> list[tuple[str, str]]:
        return [(headers["Idempotency-Key"], json.loads(body)["text"]["zh"]) for _, headers, body in self.requests]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/duty?room=1"


@pytest.fixture
def desk() -> Iterator[Desk]:
    opened = Desk()
    yield opened
    opened.vanish()


class TestWebhook(NotifierSuite):
    @pytest.fixture
    def rig(self, desk: Desk) -> Rig:
        return Rig(build(Channel("duty", "webhook", desk.url, allow_hosts=("127.0.0.1",))), desk)


@pytest.mark.parametrize(
    ("status", "again"), [(429, True), (408, True), (500, True), (599, True), (400, False), (301, False), (403, False)]
)
def test_what_is_tried_again(desk: Desk, status: int, again: bool) -> None:
    desk.status = status
    outcome = Webhook(Channel("duty", "webhook", desk.url, allow_hosts=("127.0.0.1",))).send(NOTICE)
    assert (outcome.ok, outcome.retry) == (False, again)
    assert str(status) in outcome.detail


def test_signed_with_the_time_so_that_it_cannot_be_played_again(desk: Desk) -> None:
    Webhook(Channel("duty", "webhook", desk.url, KEY, ("127.0.0.1",))).send(NOTICE)
    path, headers, body = desk.requests[0]
    timestamp = headers["X-Signature-Timestamp"]
    assert headers["X-Signature"] == "sha256=" + hmac.new(KEY, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert (path, headers["Host"]) == ("/duty?room=1", f"127.0.0.1:{desk.port}")
    message = json.loads(body)
    assert (message["schema"], message["id"], message["warning"]["rule"]) == ("notice/1", NOTICE.id, "level-low")
    assert message["link"] == NOTICE.link


def test_without_a_key_there_is_no_signature(desk: Desk) -> None:
    Webhook(Channel("duty", "webhook", desk.url, allow_hosts=("127.0.0.1",))).send(NOTICE)
    assert "X-Signature" not in desk.requests[0][1]


def test_private_places_are_not_called_and_redirects_not_followed(desk: Desk) -> None:
    outcome = Webhook(Channel("duty", "webhook", desk.url)).send(NOTICE)
    assert (outcome.ok, outcome.retry, desk.requests) == (False, False, [])
    desk.status, desk.location = 307, desk.url
    Webhook(Channel("duty", "webhook", desk.url, allow_hosts=("127.0.0.1",))).send(NOTICE)
    assert len(desk.requests) == 1


def test_the_call_goes_to_the_address_that_was_checked(desk: Desk) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    channel = Channel("duty", "webhook", f"http://desk.example:{desk.port}/", allow_hosts=("desk.example",))
    assert Webhook(channel, resolve=resolve).send(NOTICE).ok
    assert asked == ["desk.example"]
    assert desk.requests[0][1]["Host"] == f"desk.example:{desk.port}"


def test_what_the_other_side_says_is_one_short_line(desk: Desk) -> None:
    desk.status, desk.answer = 400, "错误\n\x1b[31m".encode() + b"x" * 200_000
    detail = Webhook(Channel("duty", "webhook", desk.url, allow_hosts=("127.0.0.1",))).send(NOTICE).detail
    assert "\n" not in detail
    assert "\x1b" not in detail
    assert detail.startswith("400 错误")
    assert len(detail) < 250


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "172.16.0.1", "0.0.0.0", "::1", "fe80::1%eth0", "fd00::1",
     "::ffff:10.0.0.1", "100.64.0.1", "224.0.0.1"],
)  # fmt: skip
def test_addresses_that_are_refused(address: str) -> None:
    with pytest.raises(Forbidden):
        public_addresses("desk.example", 443, (), lambda host, port: ["93.184.215.14", address])
    assert public_addresses("desk.example", 443, ("desk.example",), lambda host, port: [address]) == [address]


def test_public_addresses_and_none() -> None:
    assert public_addresses("desk.example", 443, (), lambda host, port: ["93.184.215.14"]) == ["93.184.215.14"]
    with pytest.raises(Unresolved):
        public_addresses("desk.example", 443, (), lambda host, port: [])


@pytest.mark.parametrize(
    "url", ["", "ftp://a/b", "https://", "file:///etc/passwd", "https://me:secret@desk.example/", "http://a:99999999/"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ProblemError, match="NOT701"):
        build(Channel("duty", "webhook", url))


def test_kinds_are_found_by_themselves() -> None:
    assert "webhook" in kinds()
