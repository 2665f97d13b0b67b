"""The threads of a toolset's conversations, on the server and where Codex stores them."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from pydantic_ai import Agent, FunctionToolset

from codex_sdk import CodexWarning
from codex_sdk.integrations._pydantic_ai import workshop
from codex_sdk.integrations.pydantic_ai import CodexToolset
from codex_sdk.testing import FunctionCall, ModelRequest, ModelServer

from .conftest import asyncio_only
from .models import tool_returns
from .toolsets import MakeToolset, delegating


async def loaded(toolset: CodexToolset) -> int:
    """Return how many threads the server has in its memory."""
    client = toolset._workshop._servers.here()._client
    answer: Any = await client.request("thread/loaded/list", {})
    return len(answer["data"])


@asyncio_only
async def test_of_many_conversations_the_latest_are_in_the_servers_memory(
    make_toolset: MakeToolset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "_KEPT_LOADED", 2)
    tools: FunctionToolset[None] = FunctionToolset(id="of-the-program")
    tools.tool_plain(name="look_up")(lambda: "value")

    def reply(request: ModelRequest) -> Any:
        jobs = request.user_texts().count("Go")
        return "Done." if len(request.function_outputs()) == jobs else FunctionCall("look_up")

    async with ModelServer(reply) as server:
        toolset = make_toolset(server, tools=tools)
        agent = Agent(delegating("Go"), toolsets=[toolset])
        async with agent:
            runs = [await agent.run("Go") for _ in range(4)]
            with anyio.fail_after(20):
                while await loaded(toolset) != 2:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
            first = runs[0].all_messages()
            again = await agent.run("Go on", message_history=first)
    one, two = (part.metadata["thread_id"] for part in tool_returns(again.all_messages()))
    assert one == two
    assert [output.text for output in server.requests[-1].function_outputs()] == ["value", "value"]


@asyncio_only
async def test_a_conversation_whose_thread_is_not_stored_goes_on_with_a_new_one(
    make_toolset: MakeToolset,
) -> None:
    async with ModelServer(["Done."]) as server:
        toolset = make_toolset(server)
        toolset._workshop.place("it").thread_id = "01a20667-0d99-74a1-8cf9-1d03fd222e49"
        with pytest.warns(CodexWarning, match="goes on with a new one"):
            result = await Agent(delegating("Go"), toolsets=[toolset]).run(
                "Go", conversation_id="it"
            )
    [part] = tool_returns(result.all_messages())
    assert part.content == "Done."
