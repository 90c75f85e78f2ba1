"""Does I/O: reads YAML 1.2 files into located trees.

Differences to PyYAML's own loaders, which read YAML 1.1: `on`, `no`, `yes` are texts; `1e3` is a number; numbers are decimal,
`0x..` or `0o..`, and one that begins with a zero is refused, because 1.1 reads it as octal and 1.2 does not. Keys are always
texts, a doubled key is an error, merge keys and tags of other languages are refused. Size, depth and aliases are bounded:
PyYAML's composer recurses in C, so trees are built from its events here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path as File

import yaml
from yaml import events as ev

from edge_agent.common.located import Findings, Located, Mark, Scalar
from edge_agent.common.located_model import check, validate
from edge_agent.common.problem import Problem, ProblemError

__all__ = ["Located", "check", "load_yaml", "parse_yaml", "scalar_of", "validate"]

MAX_BYTES = 1 << 20
MAX_ALIASES = 100
MAX_DEPTH = 50
MAX_VALUES = 200_000
"""Values of one file, those behind aliases counted each time."""

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_MAX_DIGITS = 40
_TAG = "tag:yaml.org,2002:"


class LeadingZeroError(ValueError):
    """A number that begins with a zero: eight readers in ten take it for another number."""


def load_yaml(path: File) -> Located:
    """The file as a tree. Raises ProblemError: CFG001 unreadable, CFG002-CFG005 and CFG010 as in `parse_yaml`."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        do = "check the path." if isinstance(error, FileNotFoundError) else "make it a file that this user may read."
        raise ProblemError(Problem("CFG001", str(path), f"The file cannot be read: {error.strerror}.", do)) from error
    if len(content) > MAX_BYTES:
        raise ProblemError(
            Problem("CFG005", str(path), "The file is larger than 1 MiB.", "split it, or remove what is not configuration.")
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ProblemError(
            Problem("CFG002", f"{path}:{line}", "The file is not UTF-8 text.", "save it as UTF-8 in the editor.")
        ) from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> Located:
    """A text as a tree. Raises ProblemError with all of: CFG002 not YAML, CFG003 leading zero, CFG004 doubled key,

    CFG005 too deep, too many aliases or values, CFG010 something of YAML that configuration does not use.
    """
    reader = _Reader(text, source)
    tree = reader.read()
    reader.findings.raise_if_any()
    return tree


def scalar_of(text: str) -> Scalar:
    """The value of a plain scalar by the core rules of YAML 1.2; full-width digits count as digits. Raises LeadingZeroError."""
    word = text if text.isascii() else unicodedata.normalize("NFKC", text)
    if word in _NULL:
        return None
    if word in _BOOL:
        return _BOOL[word]
    if len(word) > _MAX_DIGITS:
        return text
    if _LEADING_ZERO.fullmatch(word):
        raise LeadingZeroError(word)
    if _INT.fullmatch(word):
        return int(word)
    if _BASED.fullmatch(word):
        return int(word, 0)
    if _FLOAT.fullmatch(word):
        return float(word)
    if _SPECIAL.fullmatch(word):
        return float(word.lower().replace(".", ""))
    return text


class _Reader:
    """Builds one tree from the parser's events."""

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self._source = source
        self._anchors: dict[str, tuple[Located, int]] = {}
        self._aliases = 0
        self._values = 0
        self.findings = Findings()

    def read(self) -> Located:
        try:
            events = self._events()
            first = next(events)
            if isinstance(first, ev.StreamEndEvent):
                return Located({}, Mark(self._source, 1, 1))
            tree = self._node(first, events, 0)
            if not isinstance(last := next(events), ev.StreamEndEvent):
                self._refuse(
                    "CFG002", last, "A second document begins here.", "keep one document in a file: remove the line `---`."
                )
        except yaml.MarkedYAMLError as error:
            raise ProblemError(_syntax_problem(error, self._source)) from error
        except yaml.reader.ReaderError as error:
            what = f"The character U+{error.character:04X} may not stand in YAML."
            raise ProblemError(Problem("CFG002", self._source, what, "remove it.")) from error
        return tree

    def _events(self) -> Iterator[ev.Event]:
        parser = yaml.CSafeLoader(self._text)
        while True:
            event = parser.get_event()
            if event is None:
                return
            if not isinstance(event, ev.StreamStartEvent | ev.DocumentStartEvent | ev.DocumentEndEvent):
                yield event
            if isinstance(event, ev.StreamEndEvent):
                return

    def _mark(self, event: ev.Event) -> Mark:
        start = event.start_mark
        return Mark(self._source, start.line + 1, start.column + 1) if start is not None else Mark(self._source)

    def _refuse(self, code: str, event: ev.Event, what: str, do: str) -> None:
        self.findings.add(code, self._mark(event), what, do)

    def _stop(self, event: ev.Event, what: str, do: str) -> ProblemError:
        self._refuse("CFG005", event, what, do)
        return ProblemError(self.findings.problems)

    def _node(self, event: ev.Event, events: Iterator[ev.Event], depth: int) -> Located:
        if depth > MAX_DEPTH:
            raise self._stop(event, f"Values are nested deeper than {MAX_DEPTH} levels.", "write them flatter.")
        if isinstance(event, ev.AliasEvent):
            return self._alias(event)
        before = self._values
        self._values += 1
        if isinstance(event, ev.ScalarEvent):
            node = Located(self._scalar(event), self._mark(event))
        elif isinstance(event, ev.SequenceStartEvent):
            node = self._list(event, events, depth)
        else:
            node = self._mapping(event, events, depth)
        if self._values > MAX_VALUES:
            raise self._stop(event, f"The file holds more than {MAX_VALUES} values.", "split it.")
        if isinstance(event, ev.NodeEvent) and event.anchor:
            self._anchors[event.anchor] = (node, self._values - before)
        return node

    def _alias(self, event: ev.AliasEvent) -> Located:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise self._stop(event, f"The file uses more than {MAX_ALIASES} aliases.", "write the values out.")
        if event.anchor not in self._anchors:
            what = f"The alias `*{event.anchor}` has no anchor `&{event.anchor}` before it."
            self._refuse(
                "CFG002", event, what, "write the value out, or set the anchor first; a text that begins with * needs quotes."
            )
            return Located(None, self._mark(event))
        node, values = self._anchors[event.anchor]
        self._values += values
        if self._values > MAX_VALUES:
            raise self._stop(event, f"With its aliases the file holds more than {MAX_VALUES} values.", "use fewer aliases.")
        return node

    def _list(self, event: ev.Event, events: Iterator[ev.Event], depth: int) -> Located:
        self._check_tag(event, ("!", _TAG + "seq"))
        items = []
        while not isinstance(item := next(events), ev.SequenceEndEvent):
            items.append(self._node(item, events, depth + 1))
        return Located(items, self._mark(event))

    def _mapping(self, event: ev.Event, events: Iterator[ev.Event], depth: int) -> Located:
        self._check_tag(event, ("!", _TAG + "map"))
        children: dict[str, Located] = {}
        keys: dict[str, Mark] = {}
        while not isinstance(at := next(events), ev.MappingEndEvent):
            key = self._key(at, events, depth)
            child = self._node(next(events), events, depth + 1)
            if key is None:
                continue
            if key in children:
                what = f"The key `{key}` stands here a second time (first in line {keys[key].line})."
                self._refuse("CFG004", at, what, "keep one of them.")
            children[key], keys[key] = child, self._mark(at)
        return Located(children, self._mark(event), keys)

    def _key(self, event: ev.Event, events: Iterator[ev.Event], depth: int) -> str | None:
        if not isinstance(event, ev.ScalarEvent):
            self._node(event, events, depth + 1)
            self._refuse(
                "CFG010", event, "A key must be a plain text.", "write `key: value`; a text that begins with { [ or * needs quotes."
            )
            return None
        if event.value == "<<" and event.implicit[0]:
            self._refuse("CFG010", event, "Merge keys (`<<`) are not part of YAML 1.2.", "write the keys out.")
            return None
        return unicodedata.normalize("NFKC", event.value)

    def _check_tag(self, event: ev.Event, known: tuple[str, ...]) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in known:
            what = f"The tag `{tag.replace(_TAG, '!!')}` is not used in configuration."
            self._refuse("CFG010", event, what, "write the value without it; a text that begins with ! needs quotes.")

    def _scalar(self, event: ev.ScalarEvent) -> Scalar:
        self._check_tag(event, ("!", _TAG + "str"))
        if event.tag is not None or not event.implicit[0]:
            return str(event.value)
        try:
            return scalar_of(event.value)
        except LeadingZeroError as error:
            number = str(error)
            what = f"The number {number} begins with a zero; some programs read it as octal."
            bare = re.sub(r"^([-+]?)0+(?=[0-9])", r"\1", number)
            self._refuse("CFG003", event, what, f'write {bare}; as a text "{number}"; octal as 0o{bare.lstrip("+-")}.')
            return None


def _syntax_problem(error: yaml.MarkedYAMLError, source: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = Mark(source, mark.line + 1, mark.column + 1) if mark is not None else Mark(source)
    words = error.problem or "something cannot be read"
    if "character" in words and "token" in words:
        do = "indent with spaces instead of tabs; put texts that begin with @ ` % or a tab in quotes."
    elif "mapping values" in words:
        do = "check the indentation of this line and of the one above; a text with `: ` in it needs quotes."
    else:
        do = "check indentation, quotes and brackets here and in the line above."
    return Problem("CFG002", str(where), f"This is not YAML: {words}.", do)
