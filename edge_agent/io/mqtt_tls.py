"""Does I/O: the TLS side of the MQTT link: the context of one connection, what a failure means, when certificates end.

While nobody keeps the machine's clock in step, a certificate that is "not yet valid" or "has ended" may as well say that the clock
lags or runs ahead; and without a link the clock may never be told. So the next connection is made without the dates, chain and host
name checked as ever, and one date all the same: the broker's certificate must not have ended by a time that has passed for certain
(as a better source tells it now, as an earlier run knew it, or the release of this software).
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_agent.common.certificate import validities, validity_of_der
from edge_agent.common.problem import Problem
from edge_agent.common.words import counted
from edge_agent.model.points import Broker, Tls

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, for which Python has no name."""
_NOT_YET_VALID, _ENDED = 9, 10
OF_DATES = {"NET310", "NET311"}
_NO_CHAIN = {2, 7, 18, 19, 20, 21, 24, 27, 28}
_NAME = {62, 63, 64}
SOON_MS = 30 * 86_400_000
"""Certificates that end sooner are warned of."""
MAX_FILE_BYTES = 1 << 20
_ALERT = re.compile(r"ALERT_([A-Z_]+)|alert ([a-z ]+)")


class CertainlyEnded(ssl.SSLError):
    """The broker's certificate had ended by a time that has passed for certain. ends_ms: UTC."""

    def __init__(self, ends_ms: int) -> None:
        super().__init__("certificate has ended")
        self.ends_ms = ends_ms


class _Connection(ssl.SSLSocket):
    """Looks at that one date when the handshake is over, before the first byte of MQTT, which may be a password."""

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        from_ms = self.context.without_dates_from_ms if isinstance(self.context, TlsContext) else None
        if from_ms is None:
            return
        try:
            ends_ms = validity_of_der(self.getpeercert(binary_form=True) or b"").ends_ms
        except ValueError as error:
            raise ssl.SSLError(str(error)) from None
        if ends_ms < from_ms:
            raise CertainlyEnded(ends_ms)


class TlsContext(ssl.SSLContext):
    """An SSL context that knows the connection made with it, so that one which fails in the handshake can be asked what it was."""

    connection: ssl.SSLSocket | None = None
    without_dates_from_ms: int | None = None

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """As ssl.SSLContext."""
        self.connection = super().wrap_socket(*args, **options)
        return self.connection


def _no_passphrase() -> str:
    """Instead of OpenSSL's question on the terminal, which nobody would answer."""
    raise ValueError("the key is locked with a passphrase")


def tls_context(tls: Tls, *, without_dates_from_ms: int | None = None) -> TlsContext:
    """The context for these files; the broker's chain and host name are checked. Raises OSError, ValueError: unusable files.

    without_dates_from_ms: None, or dates are not checked but that the broker's certificate had not ended by this time, UTC.
    """
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _Connection
    context.without_dates_from_ms = without_dates_from_ms
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key or None, _no_passphrase)
    if tls.ca:
        context.load_verify_locations(tls.ca)
    else:
        context.load_default_certs()
    if without_dates_from_ms is not None:
        context.verify_flags |= NO_CHECK_TIME
    return context


def handshake_problem(broker: Broker, error: ssl.SSLError) -> Problem:
    """What this failure of TLS means, and what to do."""
    where = _where(broker)
    if isinstance(error, CertainlyEnded):
        on = datetime.fromtimestamp(error.ends_ms / 1000, UTC).date()
        what = f"The broker's certificate has ended on {on}; that day has passed, whatever the gateway's clock shows."
        return Problem("NET310", where, what, "renew the broker's certificate")
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else None
    if code == _ENDED:
        do = "compare the gateway's clock (`date`) with the right time; if it is right, renew the broker's certificate"
        return Problem("NET310", where, "The broker's certificate has ended.", do)
    if code == _NOT_YET_VALID:
        do = "set the gateway's clock (`date`, NTP); if it is right, the broker's certificate was issued with a wrong begin"
        return Problem("NET311", where, "The broker's certificate is not yet valid by the gateway's clock.", do)
    if code in _NO_CHAIN:
        do = "let `tls: ca:` in the site file name the authority that issued the broker's certificate"
        return Problem("NET312", where, "The broker's certificate comes from an authority that the gateway does not know.", do)
    if code in _NAME:
        do = f"write the name that stands in the certificate as `host`, or issue one that names {broker.host}"
        return Problem("NET313", where, f"The broker's certificate is not for {broker.host}.", do)
    return alert_problem(broker, str(error)) or Problem(
        "NET304",
        where,
        f"TLS with the broker fails: {error.reason or error}.",
        "check that this port speaks TLS, and ca, cert and key in the site file",
    )


def by_a_clock_of_its_own(problem: Problem) -> Problem:
    """The same problem of dates, where nobody keeps the machine's clock in step."""
    what = problem.what.removesuffix(".").removesuffix(" by the gateway's clock")
    now = datetime.now(UTC).date()
    what = f"{what} by the gateway's clock, which shows {now} and is kept by nobody; the next try leaves the dates aside."
    return Problem(problem.code, problem.where, what, problem.do)


def alert_problem(broker: Broker, said: str) -> Problem | None:
    """NET314 where the broker ended TLS because of the gateway's certificate; None for anything else it said."""
    found = _ALERT.search(said)
    alert = (found[1] or found[2]).lower().replace("_", " ").strip() if found else ""
    if alert not in _OF_CERTIFICATE:
        return None
    tls = broker.tls or Tls()
    if not tls.cert:
        what = "The broker asks for a certificate of the gateway, and the site file names none."
        return Problem("NET314", _where(broker), what, "enrol the gateway and name `cert` and `key` under `tls:` in the site file")
    what = f"The broker refuses the gateway's certificate {Path(tls.cert).name}: {_OF_CERTIFICATE[alert]}."
    return Problem(
        "NET314", _where(broker), what, f"see its dates and issuer: `openssl x509 -noout -dates -issuer -in {tls.cert}`; renew it"
    )


_OF_CERTIFICATE = {
    "certificate expired": "it has ended",
    "certificate revoked": "it was revoked",
    "certificate required": "none was shown",
    "unknown ca": "the broker does not know its issuer",
    "bad certificate": "it is damaged or not meant for a client",
    "unsupported certificate": "it is of an unsupported kind",
    "certificate unknown": "for a reason that the broker does not tell",
    "handshake failure": "or none was shown where one is needed",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """A certificate file and when the first of its certificates ends, ms UTC."""

    file: str
    ends_ms: int

    def days(self, now_ms: int) -> int:
        """Whole days left; negative when it has ended."""
        return (self.ends_ms - now_ms) // 86_400_000

    def words(self, now_ms: int) -> str:
        """For people."""
        on = datetime.fromtimestamp(self.ends_ms / 1000, UTC).date()
        days = self.days(now_ms)
        return (
            f"{Path(self.file).name} has ended on {on}"
            if days < 0
            else f"{Path(self.file).name} ends on {on}, in {counted(days, 'day')}"
        )


def first_ending(tls: Tls) -> Ending | None:
    """Of the gateway's own certificate and its authority, what ends first. Files that cannot be read are passed over: TLS tells."""
    found = []
    for name in filter(None, (tls.cert, tls.ca)):
        try:
            with Path(name).open("rb") as file:
                ends = [validity.ends_ms for validity in validities(file.read(MAX_FILE_BYTES))]
        except (OSError, ValueError):
            continue
        found.append(Ending(name, ends[0] if name == tls.cert else max(ends)))
    return min(found, key=lambda ending: ending.ends_ms, default=None)


def ending_problem(broker: Broker, ending: Ending, now_ms: int) -> Problem | None:
    """NET315 for a certificate that ends within 30 days, or has ended."""
    if ending.ends_ms - now_ms > SOON_MS:
        return None
    what = f"The certificate {ending.words(now_ms)}. From then on there is no link."
    return Problem("NET315", _where(broker), what, f"renew {ending.file} before that day")


def _where(broker: Broker) -> str:
    return f"{broker.host}:{broker.port}"
