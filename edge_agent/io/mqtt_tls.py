"""Does I/O: the TLS side of the MQTT link: the context of one connection."""

from __future__ import annotations

import ssl
from typing import Any

from edge_agent.model.points import Tls


class TlsContext(ssl.SSLContext):
    """An SSL context that knows the connection made with it, so that one which fails in the handshake can be asked what it was."""

    connection: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """As ssl.SSLContext."""
        self.connection = super().wrap_socket(*args, **options)
        return self.connection


def tls_context(tls: Tls) -> TlsContext:
    """The context for these files; the broker's chain and host name are checked. Raises OSError, ValueError: unusable files."""
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key or None)
    if tls.ca:
        context.load_verify_locations(tls.ca)
    else:
        context.load_default_certs()
    return context
