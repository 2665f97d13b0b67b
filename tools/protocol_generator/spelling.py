"""Keys that the JSON Schema spells otherwise than the CLI does.

Where Rust says ``rename_all_fields``, what makes the JSON Schema does not hear it: the schema has
``turn_id``, the CLI ``turnId``. What makes the CLI's TypeScript types does hear it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .names import default_wire_name


def typescript_words(folder: Path) -> dict[str, set[str]]:
    """Return the words in each of the files that the CLI writes, one for each type."""
    words: dict[str, set[str]] = {}
    for path in folder.rglob("*.ts"):
        found = re.findall(r"\w+", path.read_text(encoding="utf-8"))
        words.setdefault(path.stem, set()).update(found)
    return words


def corrected(definitions: Mapping[str, Any], words: Mapping[str, set[str]]) -> dict[str, Any]:
    """Return the definitions with those keys as the TypeScript types spell them."""
    return {
        name: _corrected(definition, words.get(name, set()))
        for name, definition in definitions.items()
    }


def _corrected(schema: Any, words: set[str]) -> Any:
    if isinstance(schema, list):
        return [_corrected(inner, words) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        key: inner if key == "properties" else _corrected(inner, words)
        for key, inner in schema.items()
    }
    if "properties" in schema:
        result["properties"] = {
            _key(key, words): _corrected(inner, words)
            for key, inner in schema["properties"].items()
        }
    if "required" in schema:
        result["required"] = [_key(key, words) for key in schema["required"]]
    return result


def _key(key: str, words: set[str]) -> str:
    other = default_wire_name(key)
    return other if key not in words and other in words else key
