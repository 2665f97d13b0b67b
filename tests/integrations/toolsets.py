"""Toolsets for the tests of PydanticAI, and agents that use them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_ai import Agent, DeferredToolRequests, ModelMessagesTypeAdapter, ToolReturnPart
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
            "skip_git_repo_check": True,
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


RequestsAdapter = TypeAdapter(DeferredToolRequests)

Stored = tuple[list[ModelMessage], DeferredToolRequests]


def deferring(toolset: CodexToolset, *prompts: str) -> Agent[None, str | DeferredToolRequests]:
    """Return an agent whose runs may end for somebody's decision."""
    return Agent(
        delegating(*(prompts or ("Go",))),
        toolsets=[toolset],
        output_type=[str, DeferredToolRequests],
    )


def stored(result: Any) -> Stored:
    """Return the history and the requests of a run, as they come out of a store."""
    assert isinstance(result.output, DeferredToolRequests), result.output
    history = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
    return history, RequestsAdapter.validate_json(RequestsAdapter.dump_json(result.output))


async def go_on(agent: Agent[None, Any], state: Stored, **results: Any) -> Any:
    """Go on with a run that has ended for a decision."""
    history, requests = state
    decided = requests.build_results(**(results or {"approve_all": True}))
    return await agent.run(message_history=history, deferred_tool_results=decided)


def approvals(state: Stored) -> list[dict[str, Any]]:
    """Return what a run has asked to be approved."""
    [metadata] = state[1].metadata.values()
    return list(metadata["approvals"])


def denying(state: Stored) -> dict[str, Any]:
    return {"approvals": {call.tool_call_id: False for call in state[1].approvals}}


def assert_handed_over(server: ModelServer, times: int = 1) -> None:
    """Check that the job was handed over so many times on one thread."""
    assert server.requests[-1].user_texts().count("Go") == times


def suspended(toolset: CodexToolset) -> int:
    """Return how many jobs of a toolset wait for a decision."""
    return len(toolset._workshop._jobs())
