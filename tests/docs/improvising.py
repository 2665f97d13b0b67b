"""A model that has something to say to every prompt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from codex_sdk.testing import ModelRequest, RunCommand


def improvise(request: ModelRequest) -> str | RunCommand:
    """Answer as the schema wants it, if there is one; else look around first, and then report."""
    if request.output_schema is not None:
        return json.dumps(example_of(request.output_schema, request.output_schema))
    if request.items()[-1].get("role") == "user":
        return RunCommand("ls")
    return "There are two files."


def example_of(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    """Return a value that satisfies *schema*, a part of *document*, of the kinds that the pages use."""
    if "$ref" in schema:
        return example_of(document["$defs"][schema["$ref"].removeprefix("#/$defs/")], document)
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], document)
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: example_of(part, document) for name, part in schema["properties"].items()}
    if schema["type"] == "array":
        return [example_of(schema["items"], document)]
    return {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}[
        schema["type"]
    ]
