"""Codex as a tool of a PydanticAI agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from pydantic_ai import Agent, ToolReturnPart
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from codex_sdk import (
    AgentMessageItem,
    Codex,
    CodexError,
    CodexOptions,
    CollabToolCallItem,
    CommandExecutionItem,
    ErrorItem,
    FileChangeItem,
    FileUpdateChange,
    McpToolCallItem,
    ReasoningItem,
    ThreadItem,
    ThreadOptions,
    TodoItem,
    TodoListItem,
    UnknownItem,
    Usage,
    WebSearchItem,
)
from codex_sdk.integrations._item_summaries import summarize_items
from codex_sdk.integrations.pydantic_ai import CodexHandoff, codex_handoff_tool
from codex_sdk.testing import Delay, Gate, Message, ModelServer, Reply, RunCommand

from ..tracing import Tracing
from .conftest import MakeCodex, asyncio_only

Result = dict[str, Any]


def delegating(*prompts: str) -> FunctionModel:
    """Return a model that hands *prompts* over, all at once, and then says what came back."""

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        returned = [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
        if returned:
            return ModelResponse([TextPart(str([part.content for part in returned]))])
        [tool] = info.function_tools
        return ModelResponse([ToolCallPart(tool.name, {"prompt": prompt}) for prompt in prompts])

    return FunctionModel(answer)


def returned(messages: list[ModelMessage]) -> list[Any]:
    parts = [part for message in messages for part in message.parts]
    return [part.content for part in parts if isinstance(part, ToolReturnPart)]


@asyncio_only
async def test_an_agent_hands_a_job_over_and_gets_the_result(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    script = [RunCommand("echo hello"), Reply("Done.", usage=Usage(20, 4, 6))]
    async with ModelServer(script) as server:
        tool = codex_handoff_tool(
            codex=make_codex(server), thread_options=options, include_items=True
        )
        result = await Agent(delegating("Say hello"), tools=[tool]).run("Go")
        assert server.requests[0].prompt == "Say hello"
    [content] = returned(result.all_messages())
    command, message = [item for item in content["items"] if item["type"] != "error"]
    assert command["command"].endswith("'echo hello'") or "echo hello" in command["command"]
    assert (command["status"], command["exit_code"]) == ("completed", 0)
    assert message == {"type": "agent_message", "text": "Done."}
    assert content["final_response"] == "Done."
    assert content["usage"]["input_tokens"] == 30
    assert content["usage"]["output_tokens"] == 11
    assert content["thread_id"]


@asyncio_only
async def test_the_example_of_the_documentation_runs(
    codex_cli: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with ModelServer(["Rename it."]) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CODEX_PATH", codex_cli)
        monkeypatch.chdir(tmp_path)
        tool = codex_handoff_tool(
            thread_options=ThreadOptions(
                sandbox_mode="workspace-write", skip_git_repo_check=True, working_directory="."
            ),
            include_items=True,
            items_limit=20,
        )
        agent = Agent(
            delegating("Suggest one"), tools=[tool], system_prompt="Delegate to codex_handoff."
        )
        result = await agent.run("Use the codex_handoff tool to suggest one improvement.")
    [content] = returned(result.all_messages())
    assert content["final_response"] == "Rename it."
    assert content["items"][-1] == {"type": "agent_message", "text": "Rename it."}


async def test_the_tool_says_what_it_is_and_takes_a_prompt() -> None:
    tool = codex_handoff_tool(name="coder", description="Writes code.")
    definition = tool.tool_def
    assert (definition.name, definition.description) == ("coder", "Writes code.")
    assert not tool.takes_ctx
    assert list(definition.parameters_json_schema["properties"]) == ["prompt"]
    assert "Codex" in (codex_handoff_tool().tool_def.description or "")


async def test_a_persistent_thread_remembers(make_codex: MakeCodex, options: ThreadOptions) -> None:
    async with ModelServer(["One.", "Two."]) as server:
        handoff = CodexHandoff(codex=make_codex(server), thread_options=options)
        first = await handoff.run("Count")
        second = await handoff.run("Go on")
        assert server.requests[1].assistant_texts() == ("One.",)
    assert first["thread_id"] == second["thread_id"]
    assert second["usage"]["input_tokens"] == 10  # of this turn, not of the thread


async def test_without_persistence_each_call_starts_anew(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    async with ModelServer(["One.", "Two."]) as server:
        handoff = CodexHandoff(
            codex=make_codex(server),
            thread_options=options,
            persist_thread=False,
            include_usage=False,
        )
        first = await handoff.run("Count")
        second = await handoff.run("Count")
        assert server.requests[1].assistant_texts() == ()
    assert first["thread_id"] != second["thread_id"]
    assert sorted(second) == ["final_response", "thread_id"]


@asyncio_only
async def test_calls_of_one_thread_wait_for_each_other(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    async with ModelServer(["One.", "Two."]) as server:
        tool = codex_handoff_tool(codex=make_codex(server), thread_options=options)
        result = await Agent(delegating("First", "Second"), tools=[tool]).run("Go")
    contents = returned(result.all_messages())
    assert sorted(content["final_response"] for content in contents) == ["One.", "Two."]
    assert len({content["thread_id"] for content in contents}) == 1


async def test_the_thread_is_usable_from_one_event_loop_after_another(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    async with ModelServer(["One.", "Two."]) as server:
        handoff = CodexHandoff(codex=make_codex(server), thread_options=options)

        def run_elsewhere() -> Result:
            return anyio.run(handoff.run, "Count", backend="asyncio")

        first = await anyio.to_thread.run_sync(run_elsewhere)
        second = await handoff.run("Go on")
    assert first["thread_id"] == second["thread_id"]
    assert second["final_response"] == "Two."


async def test_the_time_limit_counts_from_the_beginning_of_the_turn(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    async with ModelServer([Message(Delay(2.0), "One."), Delay(300)]) as server:
        handoff = CodexHandoff(
            codex=make_codex(server), thread_options=options, timeout_seconds=40.0
        )
        result = await handoff.run("Count")
        assert result["final_response"] == "One."
        handoff.timeout_seconds = 2.0
        with pytest.raises(TimeoutError, match="within 2 seconds"):
            await handoff.run("Go on")


async def test_a_call_that_is_cancelled_stops_its_turn_and_the_thread_goes_on(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    async with ModelServer([Gate(), "Two."]) as server:
        handoff = CodexHandoff(codex=make_codex(server), thread_options=options)
        async with anyio.create_task_group() as group:
            group.start_soon(handoff.run, "Count")
            await server.wait_for_request()
            group.cancel_scope.cancel()
        result = await handoff.run("Go on")
        assert "Count" in server.requests[-1].user_texts()
    assert result["final_response"] == "Two."
    assert result["usage"] is None  # the first turn's is not known, nor therefore is this one's


async def test_a_handoff_is_a_span_around_the_turns(
    make_codex: MakeCodex, options: ThreadOptions, tracing: Tracing
) -> None:
    async with ModelServer([Reply("Done.", usage=Usage(50, 20, 9))]) as server:
        handoff = CodexHandoff(codex=make_codex(server), thread_options=options)
        result = await handoff.run("Go")
    handed_over, turn = (
        tracing.the("codex_sdk.pydantic_ai.handoff"),
        tracing.the("codex_sdk.thread.turn"),
    )
    assert handed_over.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "codex",
        "gen_ai.provider.name": "codex",
        "gen_ai.request.model": options.model,
        "gen_ai.conversation.id": result["thread_id"],
        "gen_ai.usage.input_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 20,
        "gen_ai.usage.output_tokens": 9,
        "thread_id": result["thread_id"],
        "model": options.model,
        "sandbox_mode": options.sandbox_mode,
        "tool": "codex_handoff",
        "persist_thread": True,
    }
    assert not any("usage" in name for name in turn.attributes or {})  # told in one place
    assert turn.parent is not None
    assert turn.parent.span_id == (handed_over.context and handed_over.context.span_id)


def test_two_ways_of_naming_the_client_are_refused() -> None:
    with pytest.raises(CodexError, match="not both"):
        codex_handoff_tool(codex=Codex(), codex_options=CodexOptions())


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(CodexError, match="items_limit"):
        codex_handoff_tool(items_limit=-1)


ITEMS: list[tuple[ThreadItem, Result]] = [
    (AgentMessageItem("i", "Hi"), {"type": "agent_message", "text": "Hi"}),
    (ReasoningItem("i", "Hm"), {"type": "reasoning", "text": "Hm"}),
    (
        CommandExecutionItem("i", "ls", "a lot", 1, "failed"),
        {"type": "command_execution", "command": "ls", "status": "failed", "exit_code": 1},
    ),
    (
        FileChangeItem("i", (FileUpdateChange("a.txt", "add"),), "completed"),
        {
            "type": "file_change",
            "status": "completed",
            "changes": [{"path": "a.txt", "kind": "add"}],
        },
    ),
    (
        McpToolCallItem("i", "docs", "find", "completed"),
        {"type": "mcp_tool_call", "server": "docs", "tool": "find", "status": "completed"},
    ),
    (WebSearchItem("i", "why"), {"type": "web_search", "query": "why"}),
    (
        TodoListItem("i", (TodoItem("sleep", completed=False),)),
        {"type": "todo_list", "items": [{"text": "sleep", "completed": False}]},
    ),
    (ErrorItem("i", "careful"), {"type": "error", "message": "careful"}),
    (
        UnknownItem("i", "dream", {"type": "dream", "id": "i"}),
        {"type": "dream", "raw": {"type": "dream", "id": "i"}},
    ),
]


@pytest.mark.parametrize(("item", "summary"), ITEMS)
def test_a_summary_tells_what_an_item_was(item: ThreadItem, summary: Result) -> None:
    assert summarize_items([item], 1) == [summary]


def test_a_summary_of_a_sub_agent_holds_all() -> None:
    item = CollabToolCallItem("i", "wait", "a", ("b",), None, {}, "completed")
    assert summarize_items([item], 1) == [{"type": "collab_tool_call", "raw": item.to_dict()}]


@pytest.mark.parametrize(("limit", "texts"), [(0, []), (2, ["2", "3"]), (9, ["1", "2", "3"])])
def test_the_last_items_are_shown(limit: int, texts: list[str]) -> None:
    items = [AgentMessageItem("i", text) for text in ("1", "2", "3")]
    assert [summary["text"] for summary in summarize_items(items, limit)] == texts


def test_a_handoff_keeps_what_it_was_made_with() -> None:
    handoff = CodexHandoff(persist_thread=False, timeout_seconds=3)
    assert attrs.evolve(handoff, items_limit=2) == CodexHandoff(
        persist_thread=False, timeout_seconds=3, items_limit=2
    )
