"""Nobody gets in who should not: settings, host names, login, foreign forms, headers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from collector.web.forms import FormTokens
from collector.web.login import MOST_WRONG
from collector.web.parts import WebSettings
from collector.web.safety import check, from_our_page, is_loopback
from edge_agent.common.problem import ProblemError
from tests.support.web_fakes import Station, served, station

HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("好密码 1")
USERS = {"li": HASH}
TLS = {"tls_certificate": Path("cert.pem"), "tls_key": Path("key.pem")}


@pytest.mark.parametrize(
    "settings",
    [
        WebSettings(),
        WebSettings(listen_host="::1"),
        WebSettings(listen_host="localhost", base_url="http://127.0.0.1:8080"),
        WebSettings(listen_host="127.0.0.1", base_url="https://water.example", users=USERS),
        WebSettings(listen_host="192.0.2.1", users=USERS, **TLS),  # type: ignore[arg-type]
        WebSettings(listen_host="::", users=USERS, base_url="https://water.example"),
    ],
)
def test_settings_that_are_safe(settings: WebSettings) -> None:
    check(settings)


@pytest.mark.parametrize(
    ("settings", "codes"),
    [
        (WebSettings(listen_host="0.0.0.0"), ["WEB901", "WEB902"]),
        (WebSettings(listen_host="192.0.2.1", **TLS), ["WEB901"]),  # type: ignore[arg-type]
        (WebSettings(listen_host="some-name", users=USERS), ["WEB902"]),
        (WebSettings(base_url="https://water.example"), ["WEB901"]),
        (WebSettings(users=USERS, tls_key=Path("key.pem")), ["WEB902"]),
        (WebSettings(users={"a:b": HASH}), ["WEB903"]),
        (WebSettings(users={"li": "in the clear"}), ["WEB903"]),
        (WebSettings(base_url="water.example"), ["WEB903"]),
        (WebSettings(base_url="http://[water"), ["WEB903"]),
    ],
)
def test_settings_that_are_not(settings: WebSettings, codes: list[str]) -> None:
    with pytest.raises(ProblemError) as refused:
        check(settings)
    assert [problem.code for problem in refused.value.problems] == codes


def test_no_problem_shows_a_hash() -> None:
    with pytest.raises(ProblemError) as refused:
        check(WebSettings(users={"li": "secret-in-the-clear"}))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("[::1]", True), ("LOCALHOST", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 200),
        ("127.0.0.1", 200),
        ("[::1]:{port}", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_only_our_own_names_are_served(http: httpx.Client, host: str, status: int) -> None:
    named = host.format(port=http.base_url.port)
    assert http.get("/api/v1/sites", headers={"host": named}).status_code == status


def test_every_answer_has_its_headers(http: httpx.Client) -> None:
    for path in ("/", "/nowhere", "/api/v1/sites", "/api/v1/none", "/static/style.css"):
        headers = http.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
)
def test_another_site_changes_nothing(http: httpx.Client, here: Station, headers: dict[str, str]) -> None:
    before = dict(here.operations.all)
    for path, body in (
        ("/api/v1/warnings/pump-dry-7f3a/acknowledge", {"json": {"who": "x"}}),
        ("/warnings/pump-dry-7f3a", {"data": {"what": "acknowledge", "who": "x", "token": "t"}}),
    ):
        answer = http.post(path, headers=headers, **body)  # type: ignore[arg-type]
        assert answer.status_code == 403
        assert "WEB916" in answer.text
    assert here.operations.all == before


def test_our_own_origin_may(http: httpx.Client) -> None:
    assert from_our_page(
        {"host": "water.example", "origin": "https://water.example", "sec-fetch-site": "same-origin"}, WebSettings()
    )
    behind = WebSettings(base_url="https://water.example")
    assert from_our_page({"host": "127.0.0.1:8080", "origin": "https://water.example"}, behind)
    assert not from_our_page({"host": "127.0.0.1:8080", "origin": "https://water.example"}, WebSettings())


def test_a_form_without_its_token_changes_nothing(http: httpx.Client, here: Station) -> None:
    before = dict(here.operations.all)
    http.get("/warnings/pump-dry-7f3a")
    for token in ("", "0" * 64):
        answer = http.post("/warnings/pump-dry-7f3a", data={"what": "acknowledge", "who": "x", "token": token})
        assert answer.status_code == 403
    assert here.operations.all == before


def test_a_token_belongs_to_one_browser() -> None:
    tokens = FormTokens()
    mine, yours = tokens.nonce(None), tokens.nonce(None)
    assert tokens.matches(mine, tokens.token(mine))
    assert not tokens.matches(yours, tokens.token(mine))
    assert not tokens.matches(None, tokens.token(mine))
    assert not FormTokens().matches(mine, tokens.token(mine))
    assert tokens.nonce("short") != "short"


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[str, Station]]:
    here = station()
    with served(here.parts(WebSettings(users=USERS))) as url:
        yield url, here


def test_login(guarded: tuple[str, Station]) -> None:
    url, _ = guarded
    with httpx.Client(base_url=url, trust_env=False) as http:
        refused = http.get("/")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic ")
        assert "双河" not in refused.text
        assert http.get("/metrics").status_code == 401
        assert http.get("/healthz").status_code == 200
        assert http.get("/", auth=("li", "wrong")).status_code == 401
        assert http.get("/", auth=("nobody", "好密码 1")).status_code == 401
        for _ in range(2):
            assert http.get("/", auth=(b"li", "好密码 1".encode())).status_code == 200
        answer = http.post(
            "/api/v1/warnings/pump-dry-7f3a/acknowledge", json={"who": "somebody else"}, auth=(b"li", "好密码 1".encode())
        )
        assert answer.json()["acknowledged_by"] == "li", "behind a login nobody signs for another"


def test_a_client_that_guesses_waits(guarded: tuple[str, Station]) -> None:
    url, here = guarded
    with httpx.Client(base_url=url, trust_env=False) as http:
        assert http.get("/", auth=(b"li", "好密码 1".encode())).status_code == 200
        statuses = [http.get("/", auth=("li", f"guess {n}")).status_code for n in range(MOST_WRONG + 1)]
        assert statuses == [401] * MOST_WRONG + [429]
        assert http.get("/", auth=(b"li", "好密码 1".encode())).status_code == 200, "who is known goes on working"
        here.clock.now_ms += 6 * 60_000
        assert http.get("/", auth=("li", "guess")).status_code == 401


def test_no_file_beside_the_static_ones(http: httpx.Client) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/"):
        assert http.get(path).status_code == 404


def test_static_files_live_under_their_hash(http: httpx.Client) -> None:
    page = http.get("/").text
    url = page.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = http.get(url)
    assert "immutable" in answer.headers["cache-control"]
    assert http.get("/static/style.css", headers={"if-none-match": answer.headers["etag"]}).status_code == 304
