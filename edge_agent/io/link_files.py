"""Does I/O: the files that the link needs - the broker's password, certificates and key - and in words what is wrong with one."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path

from edge_agent.common.problem import Problem, ProblemError
from edge_agent.io.mqtt_tls import TlsContext, ending_problem, first_ending, tls_context
from edge_agent.model.points import Broker, Tls

MAX_PASSWORD_BYTES = 4096
READABLE = "let the agent's user read it (chown edge-agent; chmod 600 for keys and passwords)"


def read_password(broker: Broker) -> str | None:
    """The password of the file that the site file names; None without one. Raises ProblemError (NET307)."""
    if not broker.password_file:
        return None
    path = Path(broker.password_file)
    try:
        with path.open("rb") as file:
            password = file.read(MAX_PASSWORD_BYTES).decode().rstrip("\r\n")
        why = "" if password else "it is empty"
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
    if why:
        what, do = f"The password file cannot be used: {why}.", f"write the password into it as one line and {READABLE}"
        raise ProblemError(Problem("NET307", str(path), what, do))
    return password


def link_context(broker: Broker, tls: Tls, *, without_dates_from_ms: int | None = None) -> TlsContext:
    """As mqtt_tls.tls_context. Raises ProblemError (NET304), which names the file that cannot be used."""
    for key, name in (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key)):
        if name:
            try:
                with Path(name).open("rb") as file:
                    file.read(1)
            except OSError as error:
                what = f"The file under `tls: {key}:` cannot be read: {error.strerror}."
                raise ProblemError(Problem("NET304", name, what, f"put it there and {READABLE}")) from None
    try:
        return tls_context(tls, without_dates_from_ms=without_dates_from_ms)
    except (OSError, ValueError) as error:
        raise ProblemError(_unusable(broker, tls, error)) from None


def _unusable(broker: Broker, tls: Tls, error: Exception) -> Problem:
    reason = getattr(error, "reason", None) or ""
    where = f"{broker.host}:{broker.port}"
    if reason == "KEY_VALUES_MISMATCH":
        what = f"The key {Path(tls.key).name} does not belong to the certificate {Path(tls.cert).name}."
        return Problem("NET304", where, what, "name the key that the certificate was requested with, or renew both together")
    if isinstance(error, ssl.SSLError):  # OpenSSL has a reason of its own for each way of not being PEM
        what = f"One of the TLS files is not in PEM form, or damaged ({reason or error})."
        return Problem("NET304", where, what, "write ca, cert and key as PEM: text that begins with -----BEGIN")
    do = "check ca, cert and key in the site file: PEM, the key belongs to the certificate and has no passphrase"
    return Problem("NET304", where, f"The TLS files cannot be used: {getattr(error, 'strerror', None) or error}.", do)


def link_file_problems(brokers: Iterable[Broker], now_ms: int) -> list[Problem]:
    """Of every broker: NET307 password, NET304 certificates and key, NET315 what ends soon or has ended; each file's once."""
    found: dict[tuple[str, str], Problem] = {}
    for broker in brokers:
        try:
            read_password(broker)
        except ProblemError as error:
            found.setdefault(("password", broker.password_file), error.problems[0])
        tls = broker.tls
        if tls is None:
            continue
        try:
            link_context(broker, tls)
        except ProblemError as error:
            found.setdefault(("tls", f"{tls}"), error.problems[0])
        ending = first_ending(tls)
        problem = ending_problem(broker, ending, now_ms) if ending is not None else None
        if ending is not None and problem is not None:
            found.setdefault(("ending", ending.file), problem)
    return list(found.values())
