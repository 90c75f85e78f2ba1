"""Does I/O: in `load_users` alone. Who may say and hear what: one table for the embedded broker and Mosquitto's access list.

A gateway speaks and hears on its own branch alone, its last will too. A reader hears. The collector hears everything and speaks
what the contract lets it say. A client of this machine without a name ("local") may do what any gateway may, and hear everything;
it never speaks as the collector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_agent.common.problem import Problem, ProblemError
from edge_agent.contract.topics import FROM_AGENT, TO_AGENT, is_id, parse_topic

COLLECTOR_USER = "collector"
MAX_USERS_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Who:
    """Whom a connection speaks for. branch: `{site}/{gateway}` of a gateway, empty otherwise."""

    kind: Literal["collector", "reader", "gateway", "local"]
    branch: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """One line of the users file."""

    name: str
    who: Who
    password_hash: str
    """argon2 in its usual text form."""


def may_publish(who: Who, root: str, topic: str) -> bool:
    """True if `who` may publish on `topic`."""
    parsed = parse_topic(topic, root)
    if parsed is None:
        return False
    match who.kind:
        case "collector":
            return parsed.kind in TO_AGENT
        case "gateway":
            return parsed.kind in FROM_AGENT and f"{parsed.site}/{parsed.gateway}" == who.branch
        case "local":
            return parsed.kind in FROM_AGENT
        case "reader":
            return False


def may_receive(who: Who, root: str, topic: str) -> bool:
    """True if a message of `topic` may be handed to `who`."""
    parsed = parse_topic(topic, root)
    if parsed is None:
        return False
    return who.kind != "gateway" or (parsed.kind in TO_AGENT and f"{parsed.site}/{parsed.gateway}" == who.branch)


def may_subscribe(who: Who, root: str, topic_filter: str) -> bool:
    """True if `who` may ask for `topic_filter`; each message is still judged by `may_receive`."""
    base = f"{root}/{who.branch}/" if who.kind == "gateway" else f"{root}/"
    return topic_filter.startswith(base)


def read_users(text: str, where: str) -> Mapping[str, User]:
    """The users by name. Lines `name branch hash`; branch is `{site}/{gateway}` or `reader`. Raises ProblemError with all."""
    users: dict[str, User] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        wrong = _wrong(words, users)
        if wrong:
            problems.append(
                Problem(
                    "BRK803",
                    f"{where}:{number}:1",
                    wrong,
                    "write `name site/gateway hash`; `collector broker-user` makes the line.",
                )
            )
            continue
        who = Who("reader") if words[1] == "reader" else Who("gateway", words[1])
        users[words[0]] = User(words[0], who, words[2])
    if problems:
        raise ProblemError(problems)
    return users


def load_users(path: str) -> Mapping[str, User]:
    """The users of a file. Raises ProblemError (BRK803, BRK806)."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_USERS_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemError(
            Problem("BRK806", path, f"The users file cannot be read: {error}.", "check path, owner and mode.")
        ) from error
    return read_users(text, path)


def _wrong(words: Sequence[str], known: Mapping[str, User]) -> str:
    if len(words) != 3:
        return f"{len(words)} words where three are needed."
    name, branch, hashed = words
    if not is_id(name) or name == COLLECTOR_USER:
        return f"`{name}` is no user name (small letters, digits, hyphens; not `{COLLECTOR_USER}`)."
    if name in known:
        return f"user `{name}` stands here twice."
    parts = branch.split("/")
    if branch != "reader" and not (len(parts) == 2 and all(is_id(part) for part in parts)):
        return f"`{branch}` is neither `site/gateway` nor `reader`."
    if not hashed.startswith("$argon2"):
        return "the third word is no argon2 hash."
    return ""
