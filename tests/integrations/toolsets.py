"""Toolsets for the tests of PydanticAI, and agents that use them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import ToolReturnPart
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from codex_sdk import ThreadOptions
from codex_sdk.integrations.pydantic_ai import CodexToolset
from codex_sdk.testing import ModelServer

from ..real_cli.conftest import MakeCodex

ASKING = {"approval_policy": "untrusted", "sandbox_mode": "danger-full-access"}
"""Options of threads that ask for an approval of what changes anything.

There is no sandbox, since 0.169 may run what was approved in it all the same: the command's failure then
comes too early to be taken for the sandbox's."""

MakeToolset = Callable[..., CodexToolset]


@pytest.fixture
def make_toolset(make_codex: MakeCodex, workspace: Path, legacy: bool) -> MakeToolset:
    """Return the function that makes a toolset with the CLI under test, on a model server."""
    if legacy:
        pytest.skip("this CLI cannot be given tools")

    def make(server: ModelServer, **changes: Any) -> CodexToolset:
        options: dict[str, Any] = {
            "model": "gpt-5-codex",
            "working_directory": workspace,
            "sandbox_mode": "danger-full-access",
            **changes.pop("options", {}),
        }
        return CodexToolset(
            codex_options=make_codex(server).options,
            thread_options=ThreadOptions(**options),
            **changes,
        )

    return make


def delegating(*prompts: str) -> FunctionModel:
    """Return a model that hands *prompts* over, all at once, and then says what came back."""

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        parts = messages[-1].parts
        if any(isinstance(part, ToolReturnPart) for part in parts):
            return ModelResponse([TextPart("Reported.")])
        return ModelResponse([ToolCallPart("codex", {"prompt": prompt}) for prompt in prompts])

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        for part in answer(messages, info).parts:
            if isinstance(part, ToolCallPart):
                yield {0: DeltaToolCall(part.tool_name, part.args_as_json_str())}
            else:
                yield "Reported."

    return FunctionModel(answer, stream_function=stream)
