"""Which tools the model may call in a request, and whether it has to."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic_ai.exceptions import UserError
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings, ToolOrOutput
from pydantic_ai.tools import ToolDefinition

__all__ = ["ToolChoice", "choose_tools"]


@dataclass(frozen=True)
class ToolChoice:
    """The tools of one request.

    Attributes:
        tools: those that the model may call.
        required: whether it has to call one of them.
        forced: whether that is the user's wish, and not only because a text would be of no use.
        parallel: whether it may call several at once.
    """

    tools: tuple[ToolDefinition, ...]
    required: bool
    forced: bool
    parallel: bool


def choose_tools(settings: ModelSettings | None, parameters: ModelRequestParameters) -> ToolChoice:
    """Return the tools of a request, by its parameters and the settings ``tool_choice`` and so on.

    Raises:
        UserError: the choice cannot be met.
    """
    wishes = cast("Mapping[str, Any]", settings or {})
    choice = wishes.get("tool_choice")
    functions, outputs = parameters.declared_function_tools, parameters.output_tools
    required, forced = not parameters.allow_text_output, False
    if choice is None or choice == "auto":
        tools = [*functions, *outputs]
    elif choice == "none" or choice == []:
        tools = list(outputs)
    elif choice == "required":
        tools, required, forced = functions, True, True
    elif isinstance(choice, ToolOrOutput):
        _check_names(choice.function_tools, parameters.function_tools)
        tools = [*_named(functions, choice.function_tools), *outputs]
    else:
        _check_names(choice, [*parameters.function_tools, *outputs])
        tools, required, forced = _named([*functions, *outputs], choice), True, True
    if required and not tools:
        raise UserError(f"tool_choice={choice!r} asks for a tool call, and there is no such tool")
    parallel = wishes.get("parallel_tool_calls") is not False
    return ToolChoice(tuple(tools), required and bool(tools), forced, parallel)


def _check_names(names: Collection[str], tools: Sequence[ToolDefinition]) -> None:
    """Warn of names that no tool has, which may have gone since; at least one must be there."""
    unknown = sorted({*names} - {tool.name for tool in tools})
    if unknown and len(unknown) == len({*names}):
        raise UserError(f"tool_choice names {', '.join(unknown)}, and there is no such tool")
    if unknown:
        warnings.warn(
            f"tool_choice names tools that are not there: {', '.join(unknown)}", stacklevel=2
        )


def _named(tools: Sequence[ToolDefinition], names: Collection[str]) -> list[ToolDefinition]:
    return [tool for tool in tools if tool.name in names]
