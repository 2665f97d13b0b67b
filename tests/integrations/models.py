"""Models for the tests of PydanticAI, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolReturnPart

from codex_sdk import ThreadOptions
from codex_sdk.integrations.pydantic_ai_model import CodexModel
from codex_sdk.testing import ModelServer

from ..real_cli.conftest import MakeCodex

MakeModel = Callable[..., CodexModel]


@pytest.fixture
def make_model(make_codex: MakeCodex, workspace: Path, legacy: bool) -> MakeModel:
    """Return the function that makes a model of the CLI under test, on a model server."""

    def make(server: ModelServer, **changes: Any) -> CodexModel:
        options = changes.pop(
            "thread_options", ThreadOptions(model="gpt-5-codex", working_directory=workspace)
        )
        changes.setdefault("tool_mode", "native")
        if legacy and changes["tool_mode"] == "native":
            pytest.skip("this CLI cannot be given tools")
        return CodexModel(codex=make_codex(server), thread_options=options, **changes)

    return make


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def approving(model: CodexModel) -> Agent[None, str | DeferredToolRequests]:
    """Return an agent with a tool that needs an approval."""
    agent = Agent(model, output_type=[str, DeferredToolRequests])

    @agent.tool_plain(requires_approval=True)
    def delete(path: str) -> str:
        return f"{path} is gone"

    return agent


def approved(requests: Any) -> DeferredToolResults:
    """Approve all that a run has asked for."""
    assert isinstance(requests, DeferredToolRequests)
    return requests.build_results(approve_all=True)


def tool_returns(messages: list[ModelMessage]) -> list[ToolReturnPart]:
    """Return what tools have returned."""
    parts = [part for message in messages for part in message.parts]
    return [part for part in parts if isinstance(part, ToolReturnPart)]


def thread_ids(messages: list[ModelMessage]) -> list[str]:
    """Return the thread of each response."""
    details = [m.provider_details for m in messages if isinstance(m, ModelResponse)]
    return [each["thread_id"] for each in details if each]


def suspended(model: CodexModel) -> int:
    """Return how many turns wait for the results of tools."""
    return model._servers.here().threads.suspended()


def runs_turns(model: CodexModel) -> bool:
    """Whether the app-server runs any turn, by what it has told."""
    connection = model._servers.here()._connection
    return connection is not None and connection.peer.runs_turns


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what happens in tasks that nobody waits for."""
    with anyio.fail_after(20):  # an interruption that goes wrong may take 15
        while not holds():  # noqa: ASYNC110
            await anyio.sleep(0.01)
