"""Pure. Mosquitto's configuration and access list with the same rights as the embedded broker's (`broker_rights`)."""

from __future__ import annotations

from collections.abc import Iterable

from collector.io.broker_rights import COLLECTOR_USER, User
from edge_agent.contract.encoding import MAX_UNPACKED
from edge_agent.contract.topics import FROM_AGENT, TO_AGENT, collector_filters

FOLDER = "/etc/mosquitto"


def configuration(folder: str = FOLDER) -> str:
    """mosquitto.conf: TLS, names and passwords, nothing kept by the broker, because receipts make its queues needless."""
    return f"""# Listens with TLS; clients log in by name and password (mosquitto_passwd -c {folder}/passwords collector).
listener 8883
certfile {folder}/certs/broker.crt
keyfile {folder}/certs/broker.key
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
# The agent keeps every batch until the collector's receipt covers it: the broker need not keep anything.
persistence false
max_packet_size {MAX_UNPACKED + 4096}
max_inflight_messages 1000
max_queued_messages 10000
"""


def access_list(root: str, users: Iterable[User]) -> str:
    """The file of `acl_file`: each gateway on its own branch alone, its last will too."""
    lines = ["# Each user hears and says what stands here, nothing else.", f"user {COLLECTOR_USER}"]
    lines += [f"topic read {topic}" for topic in collector_filters(root)]
    lines += [f"topic write {root}/+/+/{kind.value}" for kind in TO_AGENT]
    for user in users:
        lines += ["", f"user {user.name}"]
        if user.who.kind == "reader":
            lines.append(f"topic read {root}/#")
            continue
        branch = f"{root}/{user.who.branch}"
        both = [kind for kind in FROM_AGENT if kind in TO_AGENT]
        lines += [f"topic write {branch}/{kind.value}" for kind in FROM_AGENT if kind not in both]
        lines += [f"topic read {branch}/{kind.value}" for kind in TO_AGENT if kind not in both]
        lines += [f"topic readwrite {branch}/{kind.value}" for kind in both]
    return "\n".join(lines) + "\n"
