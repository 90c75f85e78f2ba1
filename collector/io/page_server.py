"""Does I/O: serves the page and the REST interface with uvicorn on a thread of its own."""

from __future__ import annotations

import socket
import threading
from typing import Any

import uvicorn

from edge_agent.common.problem import Problem, ProblemError

_BACKLOG = 128
_GRACE_S = 3


class PageServer:
    """One application on one address."""

    def __init__(self, app: Any, host: str, port: int, certificate: str = "", key: str = "") -> None:
        """Listens at once, answers after `start`. Raises ProblemError (COL409) if the address cannot be had."""
        self._socket = _listen(host, port)
        self.port = int(self._socket.getsockname()[1])
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=_GRACE_S,
                ssl_certfile=certificate or None,
                ssl_keyfile=key or None,
            )
        )
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="page", daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answers what has been asked, then ends."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(_GRACE_S + 2)
        self._socket.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        do = "set web.port to a free port, or end the program that has this one: `ss -ltnp`."
        raise ProblemError(
            Problem("COL409", f"page at {host}:{port}", f"The address cannot be had: {error.strerror}.", do)
        ) from error
    return listening
