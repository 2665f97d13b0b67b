"""What PydanticAI has to know of Codex."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from pydantic_ai.exceptions import UserError
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.profiles import ModelProfile, ModelProfileSpec, merge_profile
from pydantic_ai.profiles.openai import OpenAIJsonSchemaTransformer

__all__ = ["codex_profile", "in_strict_mode"]

_CODEX = ModelProfile(
    supports_json_schema_output=True,
    default_structured_output_mode="native",
    json_schema_transformer=OpenAIJsonSchemaTransformer,
    supports_thinking=True,
    supports_inline_system_prompts=True,
)


def codex_profile(changes: ModelProfileSpec | None) -> ModelProfileSpec:
    """Return the profile of Codex, changed as the user of the model wishes."""

    def profile(default: ModelProfile) -> ModelProfile:
        codex = merge_profile(default, _CODEX)
        return changes(codex) if callable(changes) else merge_profile(codex, changes)

    return profile


def in_strict_mode(parameters: ModelRequestParameters) -> ModelRequestParameters:
    """Return *parameters* whose output schema is for strict mode, the only one that Codex knows.

    An output that strict mode cannot express is asked for by a tool instead, if the user left that open.

    Raises:
        UserError: the user did not.
    """
    output = parameters.output_object
    if output is None or parameters.output_mode not in ("auto", "native"):
        return parameters
    if (place := next(_inexpressible(output.json_schema, "$"), None)) is None:
        return replace(parameters, output_object=replace(output, strict=True))
    if parameters.output_mode == "native":
        raise UserError(
            f"NativeOutput cannot express what is at {place} of the output's schema, an object of any keys, "
            "a tuple or a value of any type: use ToolOutput or PromptedOutput"
        )
    return parameters.with_default_output_mode("tool")


def _inexpressible(schema: Any, path: str) -> Iterator[str]:
    """Yield where *schema* has what strict mode does not have: open objects, tuples, values of any type."""
    if not isinstance(schema, dict):
        return
    known = cast("dict[str, Any]", schema)
    if _is_open(known) or "prefixItems" in known or known.keys().isdisjoint(_TYPES):
        yield path
    for key, part in _subschemas(known):
        yield from _inexpressible(part, f"{path}.{key}")


_TYPES = frozenset({"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"})
"""Each of these says what values there may be."""


def _subschemas(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in ("properties", "$defs"):
        yield from schema.get(key, {}).items()
    for key in ("anyOf", "oneOf", "allOf"):
        yield from ((f"{key}[{index}]", part) for index, part in enumerate(schema.get(key, ())))
    yield "items", schema.get("items")


def _is_open(schema: dict[str, Any]) -> bool:
    if schema.get("type") != "object":
        return False
    return schema.get("additionalProperties") not in (None, False) or not schema.get("properties")
