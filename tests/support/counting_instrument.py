"""Does I/O: a tiny Modbus TCP instrument: register 0 counts the requests it answered, every other register is 7."""

from __future__ import annotations

import socketserver
import struct
import threading
from types import TracebackType


class Instrument:
    """Serves function 3 on a free port of loopback."""

    def __init__(self) -> None:
        self.answered = 0
        self._server = _Server(("127.0.0.1", 0), _Exchange)
        self._server.instrument = self
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Instrument:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    instrument: Instrument


class _Exchange(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        while len(head := self.rfile.read(12)) == 12:
            transaction, _, _, unit, function, first, count = struct.unpack(">HHHBBHH", head)
            assert function == 3
            self.server.instrument.answered += 1
            words = [self.server.instrument.answered % 65536 if first + i == 0 else 7 for i in range(count)]
            body = struct.pack(f">BBB{count}H", unit, function, 2 * count, *words)
            self.wfile.write(struct.pack(">HHH", transaction, 0, len(body)) + body)
