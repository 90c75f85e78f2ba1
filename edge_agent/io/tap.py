"""Does I/O: a link that keeps what goes over it, for recording an instrument on a bench."""

from __future__ import annotations

from edge_agent.io.link import Link

_MOST = 4000
"""Frames kept; a bench reads a few dozen."""


class Tap:
    """Another link, with everything sent (`>>`) and received (`<<`) kept in `frames`; what comes in pieces is one frame."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.frames: list[tuple[str, bytes]] = []

    @property
    def connections(self) -> int:
        """How often the link was opened."""
        return self._link.connections

    @property
    def place(self) -> str:
        """Where the link was opened last."""
        return self._link.place

    @property
    def note(self) -> str:
        """What is peculiar about the other side."""
        return self._link.note

    def open(self) -> None:
        """Opens the link."""
        self._link.open()

    def close(self) -> None:
        """Closes the link."""
        self._link.close()

    def send(self, payload: bytes) -> None:
        """Sends and keeps."""
        self._link.send(payload)
        self._keep(">>", payload)

    def receive(self, timeout_ms: int) -> bytes:
        """Receives and keeps."""
        chunk = self._link.receive(timeout_ms)
        if chunk and self.frames and self.frames[-1][0] == "<<":
            self.frames[-1] = ("<<", self.frames[-1][1] + chunk)
        elif chunk:
            self._keep("<<", chunk)
        return chunk

    def flush(self) -> bytes:
        """Takes away what has come; not kept, because nobody asked for it."""
        return self._link.flush()

    def wire_ms(self, count: int) -> int:
        """How long `count` bytes take on the wire."""
        return self._link.wire_ms(count)

    def _keep(self, mark: str, payload: bytes) -> None:
        if len(self.frames) < _MOST:
            self.frames.append((mark, payload))
