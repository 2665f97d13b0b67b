"""However a run of an agent ends, no turn of Codex's is left that nobody will go on with."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    DeferredToolRequests,
    DeferredToolResults,
    RunContext,
    ToolOutput,
    direct,
)
from pydantic_ai.exceptions import ApprovalRequired
from pydantic_ai.messages import ModelRequest as Request
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import ExternalToolset

from codex_sdk.integrations.pydantic_ai_model import CodexModel, CodexRunCleanup
from codex_sdk.testing import FunctionCall, Gate, Message, ModelServer, Reply

from .conftest import asyncio_only
from .models import MakeModel, add, approved, approving, runs_turns, suspended, thread_ids, until

ADD = FunctionCall("add", {"a": 1, "b": 1})


async def leave(agent: Agent[None, Any], *capabilities: CodexRunCleanup) -> None:
    """Run *agent* up to its first answer."""
    async with agent.iter("Go", capabilities=capabilities) as run:
        async for node in run:
            if Agent.is_call_tools_node(node):
                break


@asyncio_only
async def test_a_run_that_is_left_in_the_middle_ends_its_turn(make_model: MakeModel) -> None:
    async with ModelServer([ADD]) as server, make_model(server) as model:
        await leave(Agent(model, tools=[add]))
        assert len(server.requests) == 1
        assert not runs_turns(model)


@asyncio_only
async def test_a_stream_whose_first_text_is_the_output_ends_its_turn(make_model: MakeModel) -> None:
    async with ModelServer([Reply("I have it.", ADD)]) as server, make_model(server) as model:
        async with Agent(model, tools=[add]).run_stream("Go") as result:
            assert await result.get_output() == "I have it."
        assert len(server.requests) == 1
        assert not runs_turns(model)


class City(BaseModel):
    name: str


@asyncio_only
@pytest.mark.parametrize("strategy", ["early", "graceful", "exhaustive"])
async def test_an_output_that_comes_beside_a_call_ends_the_turn(
    make_model: MakeModel, strategy: Any
) -> None:
    reply = Reply(ADD, FunctionCall("final_result", {"name": "Paris"}))
    second = FunctionCall("final_result", {"name": "Paris"})  # 0.163.0 has one call wait at a time
    async with ModelServer([reply, second]) as server, make_model(server) as model:
        agent = Agent(model, tools=[add], output_type=ToolOutput(City), end_strategy=strategy)
        assert (await agent.run("Which?")).output == City(name="Paris")
        assert not runs_turns(model)


@asyncio_only
async def test_a_result_from_elsewhere_is_waited_for(make_model: MakeModel) -> None:
    elsewhere = ExternalToolset[None]([ToolDefinition(name="ask")])
    async with ModelServer([FunctionCall("ask"), "Done."]) as server, make_model(server) as model:
        agent = Agent(model, toolsets=[elsewhere], output_type=[str, DeferredToolRequests])
        first = await agent.run("Go")
        assert suspended(model) == 1
        assert isinstance(first.output, DeferredToolRequests)
        [call] = first.output.calls
        results = DeferredToolResults(calls={call.tool_call_id: "yes"})
        second = await agent.run(
            message_history=first.all_messages(), deferred_tool_results=results
        )
        assert not runs_turns(model)
    assert second.output == "Done."
    assert len(set(thread_ids(second.all_messages()))) == 1


def deciding(model: CodexModel) -> Agent[None, str | DeferredToolRequests]:
    """Return an agent with a tool that decides by itself whether it needs an approval."""
    agent = Agent(model, output_type=[str, DeferredToolRequests])

    @agent.tool
    def delete(ctx: RunContext[None], path: str) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        return f"{path} is gone"

    return agent


@asyncio_only
@pytest.mark.parametrize(("cleanup", "threads"), [(True, 1), (False, 2)])
async def test_a_tool_may_decide_to_be_approved(
    make_model: MakeModel, *, cleanup: bool, threads: int
) -> None:
    def reply(request: Any) -> Any:
        return "Deleted." if request.function_outputs() else FunctionCall("delete", {"path": "a"})

    async with ModelServer(reply) as server, make_model(server) as model:
        agent = deciding(model)
        capabilities = [CodexRunCleanup(model)] if cleanup else []
        first = await agent.run("Delete a", capabilities=capabilities)
        assert suspended(model) == cleanup
        second = await agent.run(
            message_history=first.all_messages(), deferred_tool_results=approved(first.output)
        )
        assert not runs_turns(model)
    assert second.output == "Deleted."
    assert [output.text for output in server.requests[1].function_outputs()] == ["a is gone"]
    assert len(set(thread_ids(second.all_messages()))) == threads


@asyncio_only
async def test_cleaning_up_leaves_a_turn_that_waits_for_an_approval(make_model: MakeModel) -> None:
    script = [FunctionCall("delete", {"path": "a"}), "Deleted."]
    async with ModelServer(script) as server, make_model(server) as model:
        agent = approving(model)
        first = await agent.run("Delete a", capabilities=[CodexRunCleanup(model)])
        assert suspended(model) == 1
        second = await agent.run(
            message_history=first.all_messages(), deferred_tool_results=approved(first.output)
        )
    assert second.output == "Deleted."
    assert len(set(thread_ids(second.all_messages()))) == 1


@asyncio_only
async def test_cleaning_up_ends_the_turn_of_a_run_that_was_left_before_an_approval(
    make_model: MakeModel,
) -> None:
    async with (
        ModelServer([FunctionCall("delete", {"path": "a"})]) as server,
        make_model(server) as model,
    ):
        await leave(approving(model), CodexRunCleanup(model))
        assert not runs_turns(model)


@asyncio_only
async def test_each_model_of_a_run_ends_its_own_turns(make_model: MakeModel) -> None:
    def fail() -> str:
        raise LookupError("no such thing")

    async with (
        ModelServer([FunctionCall("fail")]) as server,
        make_model(server) as first,
        make_model(server) as second,
    ):
        with pytest.raises(LookupError):
            await Agent(FallbackModel(first, second), tools=[fail]).run("Go")
        assert not runs_turns(first)


async def test_a_run_that_fails_ends_the_turn_of_a_stream_that_nobody_closes(
    make_model: MakeModel,
) -> None:
    async with ModelServer([Message("Two", Gate(), " and two")]) as server:
        async with make_model(server) as model:
            stream = direct.model_request_stream(model, [Request.user_text_prompt("Go")])

            async def fail() -> None:
                async with model.run_turns():
                    await stream.__aenter__()
                    assert runs_turns(model)
                    raise LookupError

            with pytest.raises(LookupError):
                await fail()
            assert not runs_turns(model)
            await stream.__aexit__(None, None, None)


@asyncio_only
@pytest.mark.parametrize("later", [0.0, 0.001, 0.003, 0.006, 0.01])
async def test_a_start_that_is_cancelled_twice_leaves_no_turn(
    make_model: MakeModel, later: float
) -> None:
    async with ModelServer(lambda _: Message("Two", Gate(), " and two")) as server:
        async with make_model(server) as model:
            await model._servers.here().connect()
            for number in range(5):
                asking = direct.model_request(model, [Request.user_text_prompt("Go")])
                task = asyncio.ensure_future(asking)
                await asyncio.sleep(0.004 * number)
                task.cancel()
                await asyncio.sleep(later)
                task.cancel()
                await asyncio.wait([task])
            await until(lambda: not runs_turns(model))
