"""What PydanticAI has to know of Codex."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    if (place := next(_open_objects(output.json_schema, "$"), None)) is None:
        return replace(parameters, output_object=replace(output, strict=True))
    if parameters.output_mode == "native":
        raise UserError(
            f"NativeOutput cannot express an object of any keys, as at {place} of the output's schema: "
            "use ToolOutput or PromptedOutput"
        )
    return parameters.with_default_output_mode("tool")


def _open_objects(schema: Any, path: str) -> Iterator[str]:
    """Yield where *schema* has objects whose keys it does not list."""
    if isinstance(schema, dict) and _is_open(cast("dict[str, Any]", schema)):
        yield path
    for key, part in _parts(schema):
        yield from _open_objects(part, f"{path}.{key}")


def _parts(schema: Any) -> Iterable[tuple[object, Any]]:
    if isinstance(schema, dict):
        return cast("dict[str, Any]", schema).items()
    return enumerate(cast("Iterable[Any]", schema)) if isinstance(schema, list) else ()


def _is_open(schema: dict[str, Any]) -> bool:
    if schema.get("type") != "object":
        return False
    return schema.get("additionalProperties") not in (None, False) or not schema.get("properties")
