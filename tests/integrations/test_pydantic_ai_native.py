"""Codex as a PydanticAI model, with PydanticAI's tools as its own: turns that wait for their results."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    BinaryContent,
    DeferredToolRequests,
    ImageUrl,
    ModelRetry,
    NativeOutput,
    PromptedOutput,
    Tool,
    ToolOutput,
    direct,
)
from pydantic_ai.exceptions import ModelConnectionError, ModelRateLimitError, UsageLimitExceeded
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.messages import (
    ModelRequest as Request,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import UsageLimits

from codex_sdk import ThreadOptions, Usage
from codex_sdk.integrations._pydantic_ai import images
from codex_sdk.integrations.pydantic_ai_model import CodexModel
from codex_sdk.testing import (
    FunctionCall,
    Gate,
    HttpReply,
    Message,
    ModelRequest,
    ModelServer,
    OutputItem,
    Reasoning,
    Reply,
    RunCommand,
)

from ..real_cli.test_turns import PNG
from .conftest import asyncio_only
from .models import (
    MakeModel,
    add,
    approved,
    approving,
    runs_turns,
    suspended,
    thread_ids,
    tool_returns,
    until,
)


def add_or_envelope(request: ModelRequest) -> FunctionCall | str:
    """Do the sum by the tool, in whichever way the CLI lets it be called, and tell the result."""
    native = "add" in request.tool_names()
    if "42" in request.prompt or request.function_outputs():
        return "42" if native else json.dumps({"tool_calls": [], "final": "42"})
    arguments = {"a": 19, "b": 23}
    if native:
        return FunctionCall("add", arguments)
    call = {"id": "1", "name": "add", "arguments": json.dumps(arguments)}
    return json.dumps({"tool_calls": [call], "final": ""})


@pytest.fixture
def event_loop_of_run_sync() -> Iterator[None]:
    """Make the event loop that ``run_sync`` would make, and close it, which that does not."""
    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        yield
        asyncio.set_event_loop(None)


@pytest.mark.usefixtures("event_loop_of_run_sync")
def test_the_example_of_the_documentation_runs(
    codex_cli: str, monkeypatch: pytest.MonkeyPatch, blocking_model_server: Any, tmp_path: Path
) -> None:
    blocking_model_server.will_reply(add_or_envelope, add_or_envelope)
    for name, value in blocking_model_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CODEX_PATH", codex_cli)
    monkeypatch.chdir(tmp_path)
    model = CodexModel(
        thread_options=ThreadOptions(
            model="gpt-5-codex",
            sandbox_mode="read-only",
            skip_git_repo_check=True,
        )
    )
    agent = Agent(model, tools=[Tool(add)])

    result = agent.run_sync("What's 19 + 23? Use the add tool.")

    assert result.output == "42"
    assert [part.content for part in tool_returns(result.all_messages())] == [42]


@asyncio_only
async def test_an_output_validator_is_answered_on_the_same_thread(make_model: MakeModel) -> None:
    async with ModelServer(["no", "yes"]) as server, make_model(server) as model:
        agent = Agent(model)

        @agent.output_validator
        def check(output: str) -> str:
            if output == "no":
                raise ModelRetry("say yes")
            return output

        result = await agent.run("Well?")
    assert result.output == "yes"
    assert "say yes" in server.requests[1].prompt
    assert len(set(thread_ids(result.all_messages()))) == 1


class City(BaseModel):
    name: str
    inhabitants: int = 0


PARIS = {"name": "Paris", "inhabitants": 2_000_000}


@asyncio_only
@pytest.mark.parametrize("output_type", [NativeOutput(City), City])
async def test_native_output_is_held_to_its_schema(make_model: MakeModel, output_type: Any) -> None:
    script = [FunctionCall("add", {"a": 1, "b": 1}), json.dumps(PARIS)]
    async with ModelServer(script) as server, make_model(server) as model:
        result = await Agent(model, tools=[add], output_type=output_type).run("Which city?")
    assert result.output == City(**PARIS)
    assert server.requests[0].output_schema["required"] == ["name", "inhabitants"]


@asyncio_only
async def test_prompted_output_is_in_the_instructions(make_model: MakeModel) -> None:
    async with ModelServer([json.dumps(PARIS)]) as server, make_model(server) as model:
        result = await Agent(model, output_type=PromptedOutput(City)).run("Which city?")
    assert result.output == City(**PARIS)
    assert "\n".join(server.requests[0].developer_texts()).count('"inhabitants"') == 1


@asyncio_only
async def test_output_by_a_tool_leaves_no_turn_and_loses_no_tokens(make_model: MakeModel) -> None:
    reply = Reply(FunctionCall("final_result", PARIS), usage=Usage(50, 20, 9))
    async with ModelServer([reply]) as server, make_model(server) as model:
        result = await Agent(model, output_type=ToolOutput(City)).run("Which city?")
        assert suspended(model) == 0
        assert len(server.requests) == 1
    assert result.output == City(**PARIS)
    usage = result.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (50, 20, 9)


@asyncio_only
async def test_output_by_a_tool_can_be_asked_for_again(make_model: MakeModel) -> None:
    script = [FunctionCall("final_result", {"name": 1}), FunctionCall("final_result", PARIS)]
    async with ModelServer(script) as server, make_model(server) as model:
        result = await Agent(model, output_type=ToolOutput(City)).run("Which city?")
        assert suspended(model) == 0
    assert result.output == City(**PARIS)
    [output] = server.requests[1].function_outputs()
    assert "valid string" in output.text


@asyncio_only
async def test_an_approval_in_another_run_is_waited_for(make_model: MakeModel) -> None:
    script = [FunctionCall("delete", {"path": "a"}), "Deleted."]
    async with ModelServer(script) as server, make_model(server) as model:
        first = await approving(model).run("Delete a")
        assert suspended(model) == 1
        stored = ModelMessagesTypeAdapter.dump_json(first.all_messages())
        history = ModelMessagesTypeAdapter.validate_json(stored)
        second = await approving(model).run(
            message_history=history, deferred_tool_results=approved(first.output)
        )
        assert suspended(model) == 0
    assert second.output == "Deleted."
    assert len(set(thread_ids(second.all_messages()))) == 1
    assert [output.text for output in server.requests[1].function_outputs()] == ["a is gone"]


@asyncio_only
async def test_an_approval_is_of_use_after_the_program_has_restarted(make_model: MakeModel) -> None:
    script = [FunctionCall("delete", {"path": "a"}), "Deleted."]
    async with ModelServer(script) as server:
        async with make_model(server) as model:
            first = await approving(model).run("Delete a")
        async with make_model(server) as model:
            second = await approving(model).run(
                message_history=first.all_messages(), deferred_tool_results=approved(first.output)
            )
    assert second.output == "Deleted."
    assert len(set(thread_ids(second.all_messages()))) == 2
    assert [output.text for output in server.requests[1].function_outputs()] == ["a is gone"]
    assert "Delete a" in server.requests[1].user_texts()


@asyncio_only
async def test_a_conversation_goes_on_with_its_thread(make_model: MakeModel) -> None:
    async with ModelServer(["One.", "Two.", "Other two."]) as server, make_model(server) as model:
        agent = Agent(model)
        first = await agent.run("Count")
        second = await agent.run("Go on", message_history=first.all_messages())
        fork = await agent.run("Go on", message_history=first.all_messages())
    assert (second.output, fork.output) == ("Two.", "Other two.")
    ids = thread_ids(second.all_messages())
    assert ids[0] == ids[1]
    assert thread_ids(fork.all_messages())[1] != ids[1]
    for request in server.requests[1:]:
        assert request.assistant_texts() == ("One.",)
        assert request.user_texts()[-2:] == ("Count", "Go on")


@asyncio_only
async def test_a_history_that_was_edited_is_what_counts(make_model: MakeModel) -> None:
    async with ModelServer(["One.", "Two."]) as server, make_model(server) as model:
        agent = Agent(model)
        history = (await agent.run("Count")).all_messages()
        history[1].parts[0].content = "Ten."  # type: ignore[union-attr]
        await agent.run("Go on", message_history=history)
    assert server.requests[1].assistant_texts() == ("Ten.",)


@asyncio_only
async def test_an_edited_history_stops_the_turn_that_waits(make_model: MakeModel) -> None:
    script = [FunctionCall("delete", {"path": "a"}), "Deleted."]
    async with ModelServer(script) as server, make_model(server) as model:
        first = await approving(model).run("Delete a")
        history = first.all_messages()
        history[0].parts[0].content = "Delete b"  # type: ignore[union-attr]
        await approving(model).run(
            message_history=history, deferred_tool_results=approved(first.output)
        )
        assert suspended(model) == 0
    assert "Delete a" not in "".join(server.requests[1].user_texts())


@asyncio_only
async def test_the_history_of_another_model_is_told(make_model: MakeModel) -> None:
    def other(messages: list[ModelMessage], info: Any) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse([ToolCallPart("add", {"a": 1, "b": 2}, "call_x")])
        return ModelResponse([ThinkingPart("hm"), TextPart("Three.")])

    async with ModelServer(["As I said."]) as server, make_model(server) as model:
        agent = Agent(FunctionModel(other), tools=[add])
        first = await agent.run("1 + 2?")
        await agent.run("Sure?", model=model, message_history=first.all_messages())
    [request] = server.requests
    assert [output.text for output in request.function_outputs()] == ["3"]
    assert request.assistant_texts() == ("Three.",)


@asyncio_only
async def test_runs_at_the_same_time_do_not_mix(make_model: MakeModel) -> None:
    def reply(request: ModelRequest) -> Any:
        [number] = [text[4:] for text in request.user_texts() if text.startswith("Run ")]
        outputs = request.function_outputs()
        if len(outputs) < 2:
            return FunctionCall("add", {"a": int(number), "b": len(outputs)})
        return f"{number}: {[output.text for output in outputs]}"

    results: dict[int, str] = {}
    async with ModelServer(reply) as server, make_model(server) as model:
        agent = Agent(model, tools=[add])

        async def run(number: int) -> None:
            results[number] = (await agent.run(f"Run {number}")).output

        async with anyio.create_task_group() as group:
            for number in range(10, 18):
                group.start_soon(run, number)
        assert suspended(model) == 0
    assert results == {n: f"{n}: ['{n}', '{n + 1}']" for n in range(10, 18)}


@asyncio_only
async def test_a_run_inside_a_tool_has_a_turn_of_its_own(make_model: MakeModel) -> None:
    script = {
        "Outer": [FunctionCall("ask", {"question": "Inner"}), "Outer done."],
        "Inner": [FunctionCall("add", {"a": 1, "b": 2}), "Inner done."],
    }
    async with ModelServer(script) as server, make_model(server) as model:
        inner, outer = Agent(model, tools=[add]), Agent(model)

        @outer.tool_plain
        async def ask(question: str) -> str:
            return (await inner.run(question)).output

        result = await outer.run("Outer")
        assert suspended(model) == 0
    assert result.output == "Outer done."
    assert [part.content for part in tool_returns(result.all_messages())] == ["Inner done."]


@asyncio_only
async def test_a_limit_of_usage_ends_the_turn(make_model: MakeModel) -> None:
    async with (
        ModelServer([FunctionCall("add", {"a": 1, "b": 1})]) as server,
        make_model(server) as model,
    ):
        with pytest.raises(UsageLimitExceeded):
            await Agent(model, tools=[add]).run("Go", usage_limits=UsageLimits(request_limit=1))
        assert suspended(model) == 0


async def test_requests_work_on_any_event_loop(make_model: MakeModel) -> None:
    parameters = ModelRequestParameters(
        function_tools=[
            ToolDefinition(name="add", parameters_json_schema={"type": "object", "properties": {}})
        ],
        allow_text_output=True,
    )
    script = [Reply(Reasoning("Hm."), FunctionCall("add")), "Two."]
    async with ModelServer(script) as server, make_model(server) as model:
        prompt = Request.user_text_prompt("1 + 1?")
        ask = partial(direct.model_request, model, model_request_parameters=parameters)
        first = await ask([prompt])
        assert suspended(model) == 1
        [call] = first.tool_calls
        assert first.finish_reason == "tool_call"
        answer = Request([ToolReturnPart("add", "2", call.tool_call_id)])
        second = await ask([prompt, first, answer])
        assert suspended(model) == 0
    assert isinstance(first.parts[0], ThinkingPart)
    assert first.parts[0].content == "Hm."
    assert (second.text, second.finish_reason) == ("Two.", "stop")
    assert (first.usage.input_tokens, second.usage.input_tokens) == (0, 20)


@asyncio_only
@pytest.mark.parametrize("streamed", [False, True])
async def test_another_model_takes_over(make_model: MakeModel, streamed: bool) -> None:
    async def words(messages: Any, info: Any) -> Any:
        yield "me instead"

    other = FunctionModel(
        lambda messages, info: ModelResponse([TextPart("me instead")]), stream_function=words
    )
    async with ModelServer([HttpReply(429)]) as server, make_model(server) as model:
        agent = Agent(FallbackModel(model, other))
        if streamed:
            async with agent.run_stream("Go") as result:
                assert await result.get_output() == "me instead"
        else:
            assert (await agent.run("Go")).output == "me instead"


@asyncio_only
async def test_errors_are_pydantic_ais_own(make_model: MakeModel) -> None:
    async with ModelServer([HttpReply(429)]) as server, make_model(server) as model:
        with pytest.raises(ModelRateLimitError):
            await Agent(model).run("Go")


async def test_what_codex_does_by_itself_is_in_the_response(make_model: MakeModel) -> None:
    script = [Reply("Let me look.", RunCommand("echo hello")), "It says hello.", "Bye."]
    async with ModelServer(script) as server, make_model(server) as model:
        prompt = Request.user_text_prompt("Look")
        response = await direct.model_request(model, [prompt])
        history = ModelMessagesTypeAdapter.validate_json(
            ModelMessagesTypeAdapter.dump_json([prompt, response])
        )
        again = await direct.model_request(model, [*history, Request.user_text_prompt("Thanks")])
    [call] = [part for part in response.parts if isinstance(part, NativeToolCallPart)]
    [result] = [part for part in response.parts if isinstance(part, NativeToolReturnPart)]
    assert call.tool_name == result.tool_name == "command_execution"
    assert "echo hello" in call.args_as_dict()["command"]
    assert (result.content["aggregatedOutput"], result.content["exitCode"]) == ("hello\n", 0)
    assert thread_ids([response]) == thread_ids([again])  # a stored history finds its thread


LOOK = FunctionCall("view_image", {"path": "dot.png"})


@asyncio_only
@pytest.mark.parametrize("streamed", [False, True])
async def test_of_several_messages_the_last_is_the_answer(
    make_model: MakeModel, workspace: Path, streamed: bool
) -> None:
    (workspace / "dot.png").write_bytes(PNG)
    script = [Reply('{"name": "?"}', LOOK), '{"name": "Dot"}', '{"name": "Still"}']

    class Picture(BaseModel):
        name: str

    async with ModelServer(script) as server, make_model(server) as model:
        agent = Agent(model, output_type=Picture)
        if streamed:
            async with agent.run_stream("What is it?") as result:
                output, history = await result.get_output(), result.all_messages()
        else:
            run = await agent.run("What is it?")
            output, history = run.output, run.all_messages()
        again = await agent.run("Sure?", message_history=history)
    assert (output.name, again.output.name) == ("Dot", "Still")
    assert len(set(thread_ids(again.all_messages()))) == 1
    parts = history[1].parts
    assert [type(part) for part in parts] == [ThinkingPart, TextPart]


async def test_thoughts_need_not_be_streamed(make_model: MakeModel) -> None:
    summary = [{"type": "summary_text", "text": text} for text in ("Hm.", "Ah.")]
    thought = OutputItem({"type": "reasoning", "id": "rs_1", "summary": summary})
    async with ModelServer([Reply(thought, "Done.")]) as server, make_model(server) as model:
        response = await direct.model_request(model, [Request.user_text_prompt("Go")])
    thoughts = [part.content for part in response.parts if isinstance(part, ThinkingPart)]
    assert thoughts == ["Hm.", "Ah."]


@asyncio_only
async def test_images_are_shown(make_model: MakeModel) -> None:
    image = BinaryContent(data=PNG, media_type="image/png")

    def photograph() -> BinaryContent:
        return image

    async with (
        ModelServer([FunctionCall("photograph"), "Two dots."]) as server,
        make_model(server) as model,
    ):
        await Agent(model, tools=[photograph]).run(["What is this?", image])
    first, second = server.requests
    assert [image.data for image in first.images()] == [PNG]
    assert "data:image/png;base64" in json.dumps(second.items()[len(first.items()) :])


@pytest.mark.parametrize("replayed", [False, True])
@asyncio_only
async def test_images_may_be_links(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, *, replayed: bool
) -> None:
    async def download(item: ImageUrl, **_: Any) -> dict[str, Any]:
        return {"data": PNG, "data_type": item.media_type}

    monkeypatch.setattr(images, "download_item", download)
    link = ImageUrl("https://example.org/dot.png")

    def photograph() -> ImageUrl:
        return link

    script = [FunctionCall("photograph"), "Two dots.", "As I said."]
    async with ModelServer(script) as server, make_model(server) as model:
        agent = Agent(model, tools=[photograph])
        result = await agent.run(["What is this?", link])
        if replayed:
            await model.close()
        second = await agent.run("Sure?", message_history=result.all_messages())
    assert second.output == "As I said."
    assert [image.data for image in server.requests[0].images()] == [PNG]
    for request in server.requests[1:]:
        assert json.dumps(request.items()).count("data:image/png;base64") == 2
        assert "example.org" not in json.dumps(request.items())


@asyncio_only
async def test_a_turn_goes_on_only_with_the_same_output(make_model: MakeModel) -> None:
    def reply(request: ModelRequest) -> Any:
        if not request.function_outputs():
            return FunctionCall("delete", {"path": "a"})
        properties = request.output_schema["properties"]
        return json.dumps(dict.fromkeys(properties, "a"))

    class Deleted(BaseModel):
        path: str

    class Report(BaseModel):
        summary: str

    async with ModelServer(reply) as server, make_model(server) as model:
        agent = approving(model)
        first = await agent.run("Go", output_type=[NativeOutput(Deleted), DeferredToolRequests])
        second = await agent.run(
            message_history=first.all_messages(),
            deferred_tool_results=approved(first.output),
            output_type=[NativeOutput(Report), DeferredToolRequests],
        )
        assert suspended(model) == 0
        assert len(server.requests) == 2
    assert second.output == Report(summary="a")


async def test_instructions_that_come_with_results_are_told(make_model: MakeModel) -> None:
    script = [FunctionCall("add", {"a": 1, "b": 1}), "Deux."]
    parameters = ModelRequestParameters(
        function_tools=[ToolDefinition(name="add")], allow_text_output=True
    )
    async with ModelServer(script) as server, make_model(server) as model:

        async def ask(*messages: ModelMessage) -> ModelResponse:
            return await direct.model_request(model, messages, model_request_parameters=parameters)

        prompt = Request.user_text_prompt("Go")
        first = await ask(prompt)
        [call] = first.tool_calls
        result = ToolReturnPart("add", 2, call.tool_call_id)
        last = Request([result, SystemPromptPart("In French."), UserPromptPart("Go on")])
        assert (await ask(prompt, first, last)).text == "Deux."
        assert not runs_turns(model)
        request = server.requests[-1]
    assert "In French." in request.developer_texts()
    assert request.prompt == "Go on"
    assert [output.text for output in request.function_outputs()] == ["2"]


@asyncio_only
async def test_a_turn_that_nobody_goes_on_with_is_given_up(make_model: MakeModel) -> None:
    script = [FunctionCall("delete", {"path": "a"}), "Deleted."]
    async with ModelServer(script) as server, make_model(server, wait_timeout=0.2) as model:
        first = await approving(model).run("Delete a")
        await until(lambda: not runs_turns(model))
        assert len(model._servers.here().threads) == 0
        second = await approving(model).run(
            message_history=first.all_messages(), deferred_tool_results=approved(first.output)
        )
    assert second.output == "Deleted."


@asyncio_only
async def test_no_more_threads_are_kept_than_asked_for(make_model: MakeModel) -> None:
    script = [FunctionCall("delete", {"path": "a"})] * 3
    async with ModelServer(script) as server, make_model(server, kept_threads=2) as model:
        for _ in range(3):
            await approving(model).run("Delete a")
        assert suspended(model) == 2


@asyncio_only
async def test_a_server_that_dies_is_replaced(make_model: MakeModel, mark: str) -> None:
    import psutil

    async with ModelServer(["One.", "Two."]) as server, make_model(server) as model:
        agent = Agent(model)
        first = await agent.run("Count")
        for process in psutil.Process().children():
            process.kill()
        connection = model._servers.here()._connection
        assert connection is not None
        await connection.peer.wait_closed()
        second = await agent.run("Go on", message_history=first.all_messages())
    assert second.output == "Two."
    assert server.requests[1].assistant_texts() == ("One.",)


async def test_a_server_that_dies_at_work_is_a_lost_connection(make_model: MakeModel) -> None:
    import psutil

    gate = Gate()
    async with ModelServer([Message("Two", gate)]) as server, make_model(server) as model:

        async def kill() -> None:
            await gate.reached()
            for process in psutil.Process().children():
                process.kill()

        async with anyio.create_task_group() as group:
            group.start_soon(kill)
            with pytest.raises(ModelConnectionError):
                await direct.model_request(model, [Request.user_text_prompt("Go")])


def test_a_model_can_be_used_in_one_event_loop_after_another(
    make_model: MakeModel, blocking_model_server: Any
) -> None:
    blocking_model_server.will_reply("One.", "Two.")
    model = make_model(blocking_model_server)

    def ask(messages: list[ModelMessage]) -> ModelResponse:
        return asyncio.run(direct.model_request(model, messages))

    prompt = Request.user_text_prompt("Count")
    first = ask([prompt])
    second = ask([prompt, first, Request.user_text_prompt("Go on")])
    assert (first.text, second.text) == ("One.", "Two.")


HOSTILE_KEYS = """
sandbox_mode = "danger-full-access"
approval_policy = "on-request"
web_search = "live"
"""
HOSTILE_TABLES = """
[sandbox_workspace_write]
network_access = true
[tools]
web_search = true
"""


async def test_the_safe_defaults_win_over_the_users_configuration(
    make_model: MakeModel, workspace: Path
) -> None:
    async with ModelServer([RunCommand("touch made; echo $?"), "Done."]) as server:
        config = server.codex_home / "config.toml"
        config.write_text(f"{HOSTILE_KEYS}\n{config.read_text()}\n{HOSTILE_TABLES}")
        options = ThreadOptions(working_directory=workspace)
        async with make_model(server, thread_options=options) as model:
            response = await direct.model_request(model, [Request.user_text_prompt("Touch")])
    assert not (workspace / "made").exists()
    [result] = [part for part in response.parts if isinstance(part, NativeToolReturnPart)]
    assert "cannot touch" in result.content["aggregatedOutput"]
    assert not any("web_search" in name for name in server.requests[0].tool_names())


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.xfail(
    strict=True, raises=RuntimeError, reason="PydanticAI's agents need asyncio: its issue 7112"
)
async def test_an_agent_runs_on_trio(make_model: MakeModel) -> None:
    failure = ""
    async with ModelServer(["Hi."]) as server, make_model(server) as model:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the coroutines that it leaves behind
            try:
                await Agent(model).run("Go")
            except RuntimeError as error:
                failure = str(error)
            gc.collect()
    if failure:
        raise RuntimeError(failure)
