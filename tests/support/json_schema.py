"""Pure. A judge of JSON Schemas (draft 7) that knows the words the product's own schemas use, and refuses any other.

`refusal` gives what is wrong with a value. Where the package `jsonschema` is there, `judges` has its judgement beside.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

Schema = dict[str, Any]
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,),
    "null": (type(None),),
}  # fmt: skip
_ANNOTATIONS = {"$schema", "title", "description", "default", "definitions"}


def refusal(value: Any, schema: Schema, root: Schema | None = None, at: str = "") -> str:
    """The first thing that the schema refuses, with its place; empty: nothing. KeyError for a word that is not known here."""
    root = schema if root is None else root
    for word, said in schema.items():
        if word in _ANNOTATIONS or word in ("then", "else"):
            continue
        wrong = _WORDS[word](value, said, schema, root, at)
        if wrong:
            return wrong
    return ""


def judges() -> list[Callable[[Any, Schema], str]]:
    """Everyone who can judge here."""
    if find_spec("jsonschema") is None:
        return [refusal]

    def library(value: Any, schema: Schema) -> str:
        from jsonschema import Draft7Validator

        Draft7Validator.check_schema(schema)
        return "; ".join(f"{list(error.path)}: {error.message}" for error in Draft7Validator(schema).iter_errors(value))

    return [refusal, library]


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _type(value: Any, said: Any, schema: Schema, root: Schema, at: str) -> str:
    if said == "integer" and isinstance(value, float) and value.is_integer():
        return ""
    return "" if _is(value, said) else f"{at}: no {said}"


def _ref(value: Any, said: str, schema: Schema, root: Schema, at: str) -> str:
    assert said.startswith("#/definitions/")
    return refusal(value, root["definitions"][said.rpartition("/")[2]], root, at)


def _properties(value: Any, said: Schema, schema: Schema, root: Schema, at: str) -> str:
    if not isinstance(value, dict):
        return ""
    return next((w for key in value if key in said if (w := refusal(value[key], said[key], root, f"{at}.{key}"))), "")


def _additional(value: Any, said: Any, schema: Schema, root: Schema, at: str) -> str:
    if not isinstance(value, dict):
        return ""
    more = [key for key in value if key not in schema.get("properties", {})]
    if said is False:
        return f"{at}: key {more[0]}" if more else ""
    return next((w for key in more if (w := refusal(value[key], {} if said is True else said, root, f"{at}.{key}"))), "")


def _items(value: Any, said: Schema, schema: Schema, root: Schema, at: str) -> str:
    if not isinstance(value, list):
        return ""
    return next((w for n, item in enumerate(value) if (w := refusal(item, said, root, f"{at}[{n}]"))), "")


def _any_of(value: Any, said: list[Schema], schema: Schema, root: Schema, at: str) -> str:
    wrong = [refusal(value, one, root, at) for one in said]
    return " and ".join(wrong) if all(wrong) else ""


def _if(value: Any, said: Schema, schema: Schema, root: Schema, at: str) -> str:
    return refusal(value, schema.get("else" if refusal(value, said, root, at) else "then", {}), root, at)


def _compared(kind: str, holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any, Schema, Schema, str], str]:
    def word(value: Any, said: Any, schema: Schema, root: Schema, at: str) -> str:
        return "" if not _is(value, kind) or holds(value, said) else f"{at}: {value!r:.60} against {said!r:.60}"

    return word


def _same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


_WORDS: dict[str, Callable[[Any, Any, Schema, Schema, str], str]] = {
    "type": _type,
    "$ref": _ref,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "anyOf": _any_of,
    "if": _if,
    "not": lambda value, said, schema, root, at: "" if refusal(value, said, root, at) else f"{at}: not",
    "enum": lambda value, said, schema, root, at: "" if any(_same(value, one) for one in said) else f"{at}: {value!r:.60}",
    "const": lambda value, said, schema, root, at: "" if _same(value, said) else f"{at}: {value!r:.60}",
    "required": _compared("object", lambda value, said: all(key in value for key in said)),
    "maxProperties": _compared("object", lambda value, said: len(value) <= said),
    "pattern": _compared("string", lambda value, said: re.search(said, value) is not None),
    "minLength": _compared("string", lambda value, said: len(value) >= said),
    "maxLength": _compared("string", lambda value, said: len(value) <= said),
    "minItems": _compared("array", lambda value, said: len(value) >= said),
    "maxItems": _compared("array", lambda value, said: len(value) <= said),
    "minimum": _compared("number", lambda value, said: value >= said),
    "maximum": _compared("number", lambda value, said: value <= said),
    "exclusiveMinimum": _compared("number", lambda value, said: value > said),
}
