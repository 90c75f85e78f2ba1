"""Pure. JSON Schemas of the profile and of the site file: with them an editor completes keys and names, and marks mistakes.

They are made of the models that judge the files, and accept whatever those accept. What they cannot say (a name that another
key must have, values that do not fit each other) is told by `edge-agent profile test` and `edge-agent check`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from edge_agent.config.device_parts import WakeFile
from edge_agent.config.profile_file import PointFile, ProfileFile
from edge_agent.config.site_file import SiteFile

Schema = dict[str, Any]
Meanings = Mapping[str, Mapping[str, str]]
"""By name of the model, by key: what the key means."""

_DRAFT = "http://json-schema.org/draft-07/schema#"  # the name of the dialect that editors know; nothing is fetched


def profile_schema(meanings: Meanings) -> Schema:
    """The schema of a profile. One that extends another gives only what differs from it."""
    made = _schema(ProfileFile, meanings)
    needed_alone = {
        "points": {"items": {"required": _partial(made, PointFile)}},
        "wake": {"required": _partial(made, WakeFile)},
    }
    return {
        **made,
        "required": [key for key in made["required"] if key not in ("protocol", "points")],
        "if": {"not": {"required": ["extends"]}},
        "then": {"required": ["protocol", "points"], "properties": needed_alone},
    }


def site_schema(meanings: Meanings) -> Schema:
    """The schema of a site file. An entry of a device's `points` lays over that of its profile, or is whole."""
    made = _schema(SiteFile, meanings, PointFile)
    _partial(made, PointFile)
    made["definitions"]["DeviceFile"]["properties"]["points"]["items"] = {"$ref": _place(PointFile)}
    return made


def schema_text(schema: Schema) -> str:
    """As it is written into a file."""
    return json.dumps(schema, ensure_ascii=False, indent=1) + "\n"


def _place(model: type[BaseModel]) -> str:
    return f"#/definitions/{model.__name__}"


def _schema(model: type[BaseModel], meanings: Meanings, *more: type[BaseModel]) -> Schema:
    models = [(each, "validation") for each in (model, *more)]
    parts = models_json_schema(models, ref_template="#/definitions/{model}")[1]["$defs"]  # type: ignore[arg-type]
    for name, part in parts.items():
        for key, value in part["properties"].items():
            value.pop("title", None)
            value.pop("default", None)  # as the program holds it; the meaning says it as people write it
            if meaning := meanings.get(name, {}).get(key):
                value["description"] = meaning
    own = parts.pop(model.__name__)
    return {"$schema": _DRAFT, **own, "definitions": parts}


def _partial(schema: Schema, model: type[BaseModel]) -> list[str]:
    """Of what lays over another one only the id is needed. Gives the keys that are needed where it does not."""
    part = schema["definitions"][model.__name__]
    needed: list[str] = part["required"]
    part["required"] = [key for key in needed if key == "id"]
    return needed
