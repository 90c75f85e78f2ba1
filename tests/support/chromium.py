"""Headless Chromium by chromedriver's W3C protocol over httpx: no browser library needed."""

from __future__ import annotations

import base64
import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import free_port, listens, wait_until

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
]  # fmt: skip
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key of an element reference (W3C WebDriver, 12)."""


def missing() -> list[str]:
    """Programs that are not there."""
    return [program for program in ("chromium", "chromedriver") if shutil.which(program) is None]


class Browser:
    """One session: opens pages, finds, types, clicks, looks."""

    def __init__(self, http: httpx.Client, session: str) -> None:
        self._http = http
        self._session = session

    def _call(self, method: str, path: str, **body: object) -> Any:
        answer = self._http.request(method, f"/session/{self._session}{path}", json=body if method == "POST" else None)
        value = answer.json()["value"]
        assert answer.status_code == 200, value
        return value

    def open(self, url: str) -> None:
        self._call("POST", "/url", url=url)

    @property
    def url(self) -> str:
        return str(self._call("GET", "/url"))

    def size(self, width: int, height: int) -> None:
        """The size of the page itself, as a phone reports it."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("POST", "/goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params=metrics)

    def script(self, text: str, *arguments: object) -> Any:
        return self._call("POST", "/execute/sync", script=text, args=list(arguments))

    def find(self, css: str) -> str:
        return str(self._call("POST", "/element", using="css selector", value=css)[ELEMENT])

    def text(self, css: str) -> str:
        return str(self._call("GET", f"/element/{self.find(css)}/text"))

    def type(self, css: str, text: str) -> None:
        self._call("POST", f"/element/{self.find(css)}/value", text=text)

    def click(self, css: str) -> None:
        self._call("POST", f"/element/{self.find(css)}/click")

    def block(self, *patterns: str) -> None:
        """Requests for these addresses fail; none: nothing is blocked."""
        for command, params in (("Network.enable", {}), ("Network.setBlockedURLs", {"urls": list(patterns)})):
            self._call("POST", "/goog/cdp/execute", cmd=command, params=params)

    def whole_page(self, path: Path) -> None:
        """A picture of the page from top to bottom."""
        cdp = {"cmd": "Page.captureScreenshot", "params": {"format": "png", "captureBeyondViewport": True}}
        path.write_bytes(base64.b64decode(self._call("POST", "/goog/cdp/execute", **cdp)["data"]))


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A fresh browser with an empty profile folder."""
    port = free_port()
    driver = subprocess.Popen(["chromedriver", f"--port={port}", "--silent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port), 20, "chromedriver")
        wishes = {"args": [*FLAGS, f"--user-data-dir={profile}"]}
        capabilities = {
            "alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": wishes, "goog:loggingPrefs": {"browser": "ALL"}}
        }
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as http:
            answer = http.post("/session", json={"capabilities": capabilities})
            assert answer.status_code == 200, answer.text
            session = answer.json()["value"]["sessionId"]
            try:
                yield Browser(http, session)
            finally:
                http.delete(f"/session/{session}")
    finally:
        driver.terminate()
        driver.wait(10)
