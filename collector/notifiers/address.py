"""Does I/O: decides whether an outgoing address may be called: names are resolved, private places are refused unless listed."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from edge_agent.common.problem import Problem, ProblemError

Resolve = Callable[[str, int], Sequence[str]]


class Forbidden(Exception):
    """The address may not be called. The text says why, for people."""


class Unresolved(Exception):
    """The name has no address at the moment."""


def resolve(host: str, port: int) -> Sequence[str]:
    """The IP addresses of a host. Raises Unresolved."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unresolved(f"{host}: {error}") from error
    return [str(entry[4][0]) for entry in found]


def checked_url(url: str, name: str) -> tuple[str, int]:
    """Host and port of a web address. Raises ProblemError NOT701."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        what = "The address is no http or https address without user and password."
        do = "write https://host/path; put secrets into the file named by secret_file."
        raise ProblemError(Problem("NOT701", f'notifier "{name}"', what, do))
    return parts.hostname, port


def public_addresses(host: str, port: int, allow_hosts: Sequence[str], resolve: Resolve = resolve) -> Sequence[str]:
    """The addresses that may be called. Raises Unresolved; Forbidden if one is not public and the host is not listed."""
    addresses = resolve(host, port)
    if not addresses:
        raise Unresolved(host)
    if host not in allow_hosts:
        for address in addresses:
            # A zone (`fe80::1%eth0`) is no part of the address; an IPv4 address may hide inside an IPv6 one.
            ip = ipaddress.ip_address(address.partition("%")[0])
            mapped = getattr(ip, "ipv4_mapped", None) or ip
            if not mapped.is_global or mapped.is_multicast:
                raise Forbidden(f"{host} is {address}, which is not a public address; list it under allow_hosts if it is meant")
    return addresses
