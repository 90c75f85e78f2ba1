"""Pure. Checks a located tree against a pydantic model: every error becomes one Problem at its line, with the mend.

Codes: CFG006 a key is missing, CFG007 unknown key, CFG008 another kind of value is needed, CFG009 the value is not allowed.
A validator that raises `Refused` chooses code, words and mend itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge_agent.common.located import Findings, Key, Located, Mark, Path

Model = TypeVar("Model", bound=BaseModel)

_KIND_OF_ERROR = {
    "int_type": "a whole number", "int_parsing": "a whole number", "int_from_float": "a whole number",
    "float_type": "a number", "float_parsing": "a number", "finite_number": "a finite number", "string_type": "a text",
    "bool_type": "true or false", "bool_parsing": "true or false", "list_type": "a list", "dict_type": "a mapping (`key: value`)",
    "model_type": "a mapping (`key: value`)", "model_attributes_type": "a mapping (`key: value`)",
}  # fmt: skip
_NOUN_OF_LIST = {"buses": "bus", "people": "person", "entries": "entry"}
_SHOWN = 40


class Refused(ValueError):
    """What a validator raises to choose the Problem's code, words and mend. key: the part of the value that is wrong."""

    def __init__(self, code: str, what: str, do: str, *key: Key) -> None:
        self.code, self.what, self.do, self.key = code, what, do, key
        super().__init__(what)


def validate(located: Located, model: type[Model]) -> Model:
    """The model of a tree. Raises ProblemError with every error at once."""
    findings = Findings()
    made = check(located, model, findings)
    findings.raise_if_any()
    assert made is not None  # noqa: S101 - None only comes with a finding
    return made


def check(located: Located, model: type[Model], findings: Findings, context: str = "") -> Model | None:
    """The model of a tree, or None after adding every error to `findings`. context: words before those of the path."""
    try:
        return model.model_validate(located.plain())
    except ValidationError as error:
        seen: set[Path] = set()
        for detail in error.errors(include_url=False):
            path = _path(located, detail)
            if path not in seen:
                seen.add(path)
                _add(findings, located, path, detail, model, context)
        return None


def context_of(located: Located, path: Path, before: str = "") -> str:
    """The words of where a path is in the plant: `bus "rs485-1" / device "pump-2"`."""
    words = [before] if before else []
    node: Located | None = located
    for number, key in enumerate(path):
        after = path[number + 1] if number + 1 < len(path) else None
        node = node.child(key) if node is not None else None
        if isinstance(key, str) and isinstance(after, int) and node is not None:
            item = node.child(after)
            name = item.mapping["id"].text if item is not None and "id" in item.mapping else ""
            words.append(f'{_NOUN_OF_LIST.get(key, key.removesuffix("s"))} "{name}"' if name else f"{key}[{after}]")
    return " / ".join(words)


def place_of(located: Located, path: Path) -> Mark:
    """Where the value at a path stands; where there is none, its key, else the nearest thing above it."""
    mark, node = located.mark, located
    for key in path:
        child = node.child(key)
        if child is None:
            return mark
        node, mark = child, child.mark
    return mark


def closest(word: str, words: Sequence[str]) -> str:
    """The word that was probably meant; empty if none is near."""
    return next(iter(difflib.get_close_matches(word, words, 1, 0.6)), "")


def choices(words: Sequence[str], most: int = 12) -> str:
    """Words as a list for people, cut where it grows long."""
    shown = ", ".join(f"`{word}`" if word else "(empty)" for word in words[:most])
    return shown + (f" and {len(words) - most} more" if len(words) > most else "")


def _path(located: Located, detail: ErrorDetails) -> Path:
    """The path of an error in the data: pydantic also names union branches, which are no keys."""
    path: list[Key] = []
    node: Located | None = located
    for number, key in enumerate(detail["loc"]):
        last = number == len(detail["loc"]) - 1
        child = node.child(key) if node is not None else None
        if child is not None or (last and detail["type"] == "missing"):
            path.append(key)
            node = child
    return tuple(path)


def _add(findings: Findings, located: Located, path: Path, detail: ErrorDetails, model: type[BaseModel], before: str) -> None:
    refused = detail.get("ctx", {}).get("error")
    if isinstance(refused, Refused):
        path = (*path, *refused.key)
    mark, context = place_of(located, path), context_of(located, path, before)
    node = located.get(*path)
    name = f"`{path[-1]}`" if path and isinstance(path[-1], str) else "The value"
    if isinstance(refused, Refused):
        findings.add(refused.code, mark, refused.what, refused.do, context)
    elif detail["type"] == "missing":
        findings.add("CFG006", mark, f"The key `{path[-1]}` is missing.", f"add `{path[-1]}: ...` here.", context)
    elif detail["type"] == "extra_forbidden":
        parent = located.get(*path[:-1])
        mark = parent.keys.get(str(path[-1]), mark) if parent is not None else mark
        known = sorted(set(_keys_at(model, path[:-1])))
        near = closest(str(path[-1]), known)
        do = f"write `{near}`." if near else f"remove it; known here: {choices(known, 30)}."
        findings.add("CFG007", mark, f"The key `{path[-1]}` is unknown here.", do, context)
    elif detail["type"] in _KIND_OF_ERROR:
        kind = _KIND_OF_ERROR[detail["type"]]
        findings.add("CFG008", mark, f"{name} must be {kind}; here stands {_shown(node)}.", _mend_kind(kind, node), context)
    else:
        what, do = _refusal(detail, name, node)
        findings.add("CFG009", mark, what, do, context)


def _mend_kind(kind: str, node: Located | None) -> str:
    value = node.scalar if node is not None else None
    if kind == "true or false" and isinstance(value, str) and value.lower() in ("on", "yes", "off", "no"):
        return f"write {'true' if value.lower() in ('on', 'yes') else 'false'}."
    if kind == "a text" and isinstance(value, int | float) and not isinstance(value, bool):
        return f'put it in quotes: "{value}".'
    if kind == "a list":
        return "write each entry on a line of its own that begins with `- `."
    if kind.startswith("a mapping") and isinstance(value, str) and "：" in value:
        return "write a half-width colon and a blank: `key: value`."
    return f"write {kind}."


def _refusal(detail: ErrorDetails, name: str, node: Located | None) -> tuple[str, str]:
    context, shown = detail.get("ctx", {}), _shown(node)
    kind = detail["type"]
    if kind in ("literal_error", "enum"):
        allowed = [word.strip("' ") for word in str(context.get("expected", "")).replace(" or ", ",").split(",")]
        near = closest(str(node.scalar), allowed) if node is not None else ""
        return f"{name} cannot be {shown}.", f"write `{near}`." if near else f"write one of {choices(allowed)}."
    bounds = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le"), "greater_than": ("more than", "gt"),
              "less_than": ("less than", "lt")}  # fmt: skip
    if kind in bounds:
        words, key = bounds[kind]
        return f"{name} is {shown}; it must be {words} {context.get(key)}.", f"write a number that is {words} {context.get(key)}."
    if kind in ("too_long", "string_too_long", "too_short", "string_too_short"):
        limit = context.get("max_length", context.get("min_length"))
        if limit == 1 and kind == "too_short":
            return f"{name} is empty.", "add an entry to it."
        words = "at most" if "long" in kind else "at least"
        noun = "characters" if kind.startswith("string") else "entries"
        return f"{name} must have {words} {limit} {noun}.", "shorten it." if "long" in kind else "add to it."
    if kind == "string_pattern_mismatch":
        return (
            f"{name} cannot be {shown}: it has characters, or a form, that may not stand there.",
            "see the key in the documentation.",
        )
    return f"{name} cannot be {shown}: {detail['msg']}.", "write another value."


def _shown(node: Located | None) -> str:
    if node is None or node.value is None:
        return "nothing"
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    if isinstance(node.value, bool):
        return "true" if node.value else "false"
    if isinstance(node.value, str):
        cut = node.value if len(node.value) <= _SHOWN else node.value[:_SHOWN] + "..."
        return f"the text `{cut}`"
    return f"{node.value}"


def _keys_at(annotation: Any, path: Path) -> Iterator[str]:
    """The keys that a model allows at a path."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _keys_at(get_args(annotation)[0], path)
    elif origin in (Union, UnionType):
        for branch in get_args(annotation):
            yield from _keys_at(branch, path)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        names = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        if not path:
            yield from names
        elif path[0] in names:
            yield from _keys_at(names[str(path[0])], path[1:])
    elif origin in (list, dict, tuple, Sequence) and path:
        yield from _keys_at(get_args(annotation)[-1], path[1:])
    elif annotation in (NoneType, Any) or origin is Literal:
        return
