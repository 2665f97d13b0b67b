"""PydanticAI's tools as Codex's own: how they are called, and what they are called."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai import Agent, ModelRetry, RunContext, Tool
from pydantic_ai.exceptions import UserError
from pydantic_ai.tools import ToolDefinition

from codex_sdk.integrations._pydantic_ai.tool_names import codex_names
from codex_sdk.testing import FunctionCall, ModelRequest, ModelServer, Reply

from .conftest import asyncio_only
from .models import MakeModel, add, suspended, thread_ids, tool_returns


@asyncio_only
async def test_a_tool_is_called_and_the_turn_goes_on(make_model: MakeModel) -> None:
    script = [FunctionCall("add", {"a": 19, "b": 23}), "42"]
    async with ModelServer(script) as server, make_model(server) as model:
        result = await Agent(model, tools=[add], instructions="Be exact.").run("19 + 23?")
        assert result.output == "42"
        first, second = server.requests
    assert first.prompt == "19 + 23?"
    assert "Be exact." in "\n".join(first.developer_texts())
    [output] = second.function_outputs()
    assert output.text == "42"
    assert second.items()[: len(first.items())] == first.items()  # one turn, one thread
    details = [m.provider_details for m in result.all_messages() if m.kind == "response"]
    assert details[0] == details[1]


@asyncio_only
async def test_calls_that_are_made_together_are_all_answered(make_model: MakeModel) -> None:
    calls = [FunctionCall("add", {"a": n, "b": n}) for n in (1, 2, 3)]
    async with ModelServer([Reply(*calls), "Done."]) as server, make_model(server) as model:
        result = await Agent(model, tools=[add]).run("Go")
        assert suspended(model) == 0
    assert result.output == "Done."
    assert sorted(output.text for output in server.requests[1].function_outputs()) == list("246")
    assert len(set(thread_ids(result.all_messages()))) == 1


@asyncio_only
async def test_a_call_may_have_the_id_of_an_earlier_one(make_model: MakeModel) -> None:
    calls = [FunctionCall("add", {"a": n, "b": n}, call_id="call_0") for n in (1, 2, 3)]
    async with ModelServer([*calls, "Done."]) as server, make_model(server) as model:
        result = await Agent(model, tools=[add]).run("Go")
    assert [part.content for part in tool_returns(result.all_messages())] == [2, 4, 6]
    told = [request.function_outputs()[-1].text for request in server.requests[1:]]
    assert told == ["2", "4", "6"]


@asyncio_only
async def test_a_tool_may_ask_for_another_try(make_model: MakeModel) -> None:
    def half(number: int) -> int:
        if number % 2:
            raise ModelRetry("an even number, please")
        return number // 2

    script = [
        FunctionCall("half", {"number": 3}),
        FunctionCall("half", {"number": "four"}),
        FunctionCall("half", {"number": 4}),
        "2",
    ]
    async with ModelServer(script) as server, make_model(server) as model:
        result = await Agent(model, tools=[Tool(half, max_retries=3)]).run("Go")
    assert result.output == "2"
    texts = [output.text for output in server.requests[-1].function_outputs()]
    assert "an even number, please" in texts[0]
    assert "valid integer" in texts[1]
    assert len(set(thread_ids(result.all_messages()))) == 1


@asyncio_only
async def test_tools_that_change_are_told(make_model: MakeModel) -> None:
    async def later(ctx: RunContext[None], definition: ToolDefinition) -> ToolDefinition | None:
        return definition if ctx.run_step > 1 else None

    def multiply(a: int, b: int) -> int:
        return a * b

    script = [
        FunctionCall("add", {"a": 1, "b": 1}),
        FunctionCall("multiply", {"a": 2, "b": 3}),
        "6",
    ]
    async with ModelServer(script) as server, make_model(server) as model:
        agent = Agent(model, tools=[add, Tool(multiply, prepare=later)])
        assert (await agent.run("Go")).output == "6"
        assert suspended(model) == 0
    assert "multiply" not in server.requests[0].tool_names()
    assert "multiply" in server.requests[1].tool_names()
    assert [output.text for output in server.requests[2].function_outputs()] == ["2", "6"]


@asyncio_only
@pytest.mark.parametrize("name", ["exec_command", "view_image", "mcp__a__b", "a.b", "x" * 70])
async def test_a_tool_may_have_the_name_of_one_of_codexs_own(
    make_model: MakeModel, name: str
) -> None:
    def mine() -> str:
        return "mine"

    def reply(request: ModelRequest) -> Any:
        if request.function_outputs():
            return "Done."
        [tool] = [tool for _, tool in request.tools() if tool.get("description") == "It is mine."]
        return FunctionCall(str(tool["name"]))

    async with ModelServer(reply) as server, make_model(server) as model:
        tool = Tool(mine, name=name, description="It is mine.")
        result = await Agent(model, tools=[tool]).run("Go")
    [part] = tool_returns(result.all_messages())
    assert (part.tool_name, part.content) == (name, "mine")
    assert [output.text for output in server.requests[1].function_outputs()] == ["mine"]


@given(
    st.lists(
        st.text(alphabet="abm_.x", max_size=3)
        | st.sampled_from(["shell", "wait", "wait_1", "mcp__a"])
    )
)
def test_names_of_tools_stay_apart(names: list[str]) -> None:
    for_codex = codex_names(dict.fromkeys(names))
    assert list(for_codex) == list(dict.fromkeys(names))
    assert len(set(for_codex.values())) == len(for_codex)
    assert not {"shell", "wait"} & set(for_codex.values())
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]*", name) for name in for_codex.values())


@asyncio_only
async def test_a_tool_that_fails_ends_the_turn(make_model: MakeModel) -> None:
    def fail() -> str:
        raise LookupError("no such thing")

    async with ModelServer([FunctionCall("fail")]) as server, make_model(server) as model:
        with pytest.raises(LookupError, match="no such thing"):
            await Agent(model, tools=[fail]).run("Go")
        assert suspended(model) == 0


@asyncio_only
@pytest.mark.parametrize("tool_mode", ["native", "envelope"])
async def test_what_cannot_be_encoded_is_refused_before_codex_is_told(
    make_model: MakeModel, tool_mode: str
) -> None:
    """Codex would only learn that the call has failed."""

    def names() -> list[str]:
        return ["a", "\udcff"]

    call = '{"tool_calls": [{"id": "1", "name": "names", "arguments": "{}"}], "final": ""}'
    first = call if tool_mode == "envelope" else FunctionCall("names")
    async with ModelServer([first, "Done."]) as server:
        async with make_model(server, tool_mode=tool_mode) as model:
            with pytest.raises(UserError, match="lone surrogate"):
                await Agent(model, tools=[names]).run("Go")
            with pytest.raises(UserError, match="lone surrogate at position 3"):
                await Agent(model).run("Go \udcff")
            with pytest.raises(UserError, match="lone surrogate at position 0"):
                await Agent(model, instructions="\udcff").run("Go")
            assert len(server.requests) == 1
            assert suspended(model) == 0
