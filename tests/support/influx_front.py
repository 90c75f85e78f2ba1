"""A small front before the distribution's InfluxDB 1.x that speaks the v2 write path; and a strict fake with replies to order.

Debian has no InfluxDB 2. Writes go to /api/v2/write and are checked as v2 checks them (org, bucket, precision, token, gzip,
every line); reads go to /query, which both versions serve.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.ports import free_port

TOKEN = "test-token"
_LINE = re.compile(
    r"""^reading(,(device|gateway|point|role|site|unit)=([^,= \\]|\\[,= ])+){4,6}
    \ (value=-?[0-9.e+-]+|text="(\\.|[^"\\])*")?,?quality=\d+i\ -?\d+$""",
    re.VERBOSE,
)
Reply = tuple[int, dict[str, str], str]
Answer = Callable[[list[str]], Reply]


class Front:
    """What arrived, and how to answer it. forward: the 1.x server behind, or None."""

    def __init__(self, answer: Answer | None, forward: str | None) -> None:
        self.requests: list[list[str]] = []
        self.malformed: list[str] = []
        self._answer, self._forward = answer, forward
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, text = outer.write(self.path, dict(self.headers), body)
                self._reply(status, headers, text.encode())

            def do_GET(self) -> None:
                status, text = outer.query(self.path, dict(self.headers))
                self._reply(status, {"Content-Type": "application/json"}, text)

            def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def write(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """One write request, checked as strictly as a v2 server would."""
        parts = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        sound = parts.path == "/api/v2/write" and query == {"org": "county", "bucket": "waterworks", "precision": "ms"}
        if not sound or headers.get("Authorization") != f"Token {TOKEN}":
            self.malformed.append(f"{path} {headers}")
            return 400, {}, "request"
        if headers.get("Content-Encoding") != "gzip":
            self.malformed.append("not gzip")
        lines = gzip.decompress(body).decode().splitlines()
        self.malformed += [line for line in lines if not _LINE.match(line)]
        self.requests.append(lines)
        if self._answer is not None:
            reply = self._answer(lines)
            if reply[0] != 204 or self._forward is None:
                return reply
        if self._forward is None:
            return 204, {}, ""
        done = httpx.post(f"{self._forward}/write?db=waterworks&precision=ms", content="\n".join(lines).encode())
        return done.status_code, {}, done.text

    def query(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """One read."""
        if headers.get("Authorization") != f"Token {TOKEN}":
            return 401, b"{}"
        if self._forward is None:
            return 200, b'{"results":[{}]}'
        done = httpx.get(self._forward + path)
        return done.status_code, done.content

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def front(answer: Answer | None = None, forward: str | None = None) -> Iterator[Front]:
    made = Front(answer, forward)
    try:
        yield made
    finally:
        made.close()


class InfluxServer:
    """The distribution's influxd 1.x on free ports of loopback."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("influxd") is None:
            if os.environ.get("CI") == "true":
                pytest.fail("influxd is missing: apt-get install influxdb")
            pytest.skip("influxd is missing")
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._config = folder / "influxdb.conf"
        self._config.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{free_port()}"\n'
            f'[meta]\n  dir = "{folder}/meta"\n[data]\n  dir = "{folder}/data"\n  wal-dir = "{folder}/wal"\n'
            f"  query-log-enabled = false\n"
            f'[http]\n  bind-address = "127.0.0.1:{self._port}"\n  log-enabled = false\n[monitor]\n  store-enabled = false\n'
        )
        self._log = (folder / "influxd.log").open("ab")
        self.start()
        httpx.post(f"{self.url}/query", params={"q": "CREATE DATABASE waterworks"}).raise_for_status()

    def start(self) -> None:
        self._process = subprocess.Popen(["influxd", "-config", str(self._config)], stdout=self._log, stderr=self._log)
        for _ in range(600):
            try:
                if httpx.get(f"{self.url}/ping", timeout=1).status_code == 204:
                    return
            except httpx.HTTPError:
                threading.Event().wait(0.05)
        raise AssertionError("influxd did not start")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self._log.close()
