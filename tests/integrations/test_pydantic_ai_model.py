"""Codex as a PydanticAI model, by envelopes over ``codex exec``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelAPIError,
    ModelRetry,
    NativeOutput,
    PromptedOutput,
    Tool,
    ToolOutput,
    UserError,
    direct,
)
from pydantic_ai.exceptions import (
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelServerError,
    ModelUnavailableError,
)
from pydantic_ai.messages import (
    ModelMessagesTypeAdapter,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    TextPart,
    ThinkingPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.messages import (
    ModelRequest as Request,
)
from pydantic_ai.models import ModelRequestParameters, override_allow_model_requests
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.tools import ToolDefinition

from codex_sdk import Codex, CodexError, CodexOptions, ThreadOptions, Usage
from codex_sdk.integrations._pydantic_ai import images
from codex_sdk.integrations.pydantic_ai_model import CodexModel, CodexModelSettings
from codex_sdk.testing import (
    Cut,
    Failed,
    Gate,
    HttpReply,
    ModelServer,
    Reasoning,
    Reply,
    RunCommand,
)

from ..real_cli.test_turns import PNG
from .conftest import MakeCodex, asyncio_only

MakeModel = Callable[..., CodexModel]


@pytest.fixture
def make_model(make_codex: MakeCodex, workspace: Path) -> MakeModel:
    """Return the function that makes a model of the CLI under test, on a model server."""

    def make(server: ModelServer, **changes: Any) -> CodexModel:
        options = changes.pop(
            "thread_options", ThreadOptions(model="gpt-5-codex", working_directory=workspace)
        )
        changes.setdefault("tool_mode", "envelope")
        return CodexModel(codex=make_codex(server), thread_options=options, **changes)

    return make


def calls(*named: tuple[str, dict[str, Any]]) -> str:
    """Return an envelope with tool calls, whose ids are the same in every answer."""
    return json.dumps(
        {
            "tool_calls": [
                {"id": f"call_{number}", "name": name, "arguments": json.dumps(arguments)}
                for number, (name, arguments) in enumerate(named)
            ],
            "final": "",
        }
    )


def final(content: Any) -> str:
    return json.dumps({"tool_calls": [], "final": content})


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class City(BaseModel):
    name: str
    inhabitants: int = 0


PARIS = {"name": "Paris", "inhabitants": 2_000_000}


def tool_returns(messages: list[Any]) -> list[ToolReturnPart]:
    parts = [part for message in messages for part in message.parts]
    return [part for part in parts if isinstance(part, ToolReturnPart)]


@asyncio_only
async def test_tools_are_called_and_what_they_return_is_told(make_model: MakeModel) -> None:
    script = [
        calls(("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4})),
        calls(("add", {"a": 3, "b": 7})),
        final("10"),
    ]
    async with ModelServer(script) as server:
        agent = Agent(make_model(server), tools=[add], instructions="Be exact.")
        result = await agent.run("What is 1 + 2 + 3 + 4?")
    assert result.output == "10"
    assert [part.content for part in tool_returns(result.all_messages())] == [3, 7, 10]
    assert len({part.tool_call_id for part in tool_returns(result.all_messages())}) == 3
    first, _, third = server.requests
    assert "[instructions]\nBe exact." in first.prompt
    assert "Add two numbers." in first.prompt
    assert "[user]\nWhat is 1 + 2 + 3 + 4?" in third.prompt
    for part, outcome in zip(tool_returns(result.all_messages()), ("3", "7", "10"), strict=True):
        assert f"[tool call add {part.tool_call_id}]" in third.prompt
        assert f"[tool result add {part.tool_call_id}]\n{outcome}" in third.prompt
    assert first.output_schema["properties"]["tool_calls"]["items"]["properties"]["name"] == {
        "type": "string",
        "enum": ["add"],
    }


@asyncio_only
async def test_without_tools_codex_is_asked_as_it_stands(make_model: MakeModel) -> None:
    async with ModelServer(["Hello!", "Bye!"]) as server:
        agent = Agent(make_model(server))
        result = await agent.run("Hi")
        assert result.output == "Hello!"
        again = await agent.run("Go", message_history=result.all_messages())
    assert again.output == "Bye!"
    assert server.requests[0].prompt == "Hi"
    assert server.requests[0].output_schema is None
    assert server.requests[1].prompt == "[user]\nHi\n\n[assistant]\nHello!\n\n[user]\nGo"


@asyncio_only
async def test_a_tool_that_wants_another_try_gets_it(make_model: MakeModel) -> None:
    def half(number: int) -> int:
        if number % 2:
            raise ModelRetry("an even number, please")
        return number // 2

    script = [
        calls(("half", {"number": 3})),
        calls(("half", {"number": "four"})),
        calls(("half", {"number": 4})),
        final("2"),
    ]
    async with ModelServer(script) as server:
        result = await Agent(make_model(server), tools=[Tool(half, max_retries=3)]).run("Go")
    assert result.output == "2"
    assert "an even number, please" in server.requests[1].prompt
    assert "valid integer" in server.requests[2].prompt


@asyncio_only
async def test_an_output_validator_that_asks_again_is_answered(make_model: MakeModel) -> None:
    async with ModelServer(["no", "yes"]) as server:
        agent = Agent(make_model(server))

        @agent.output_validator
        def check(output: str) -> str:
            if output == "no":
                raise ModelRetry("say yes")
            return output

        result = await agent.run("Well?")
    assert result.output == "yes"
    assert "say yes" in server.requests[1].prompt


@asyncio_only
@pytest.mark.parametrize("with_tools", [False, True])
async def test_native_output_is_held_to_its_schema(make_model: MakeModel, with_tools: bool) -> None:
    answer = final(PARIS) if with_tools else json.dumps(PARIS)
    async with ModelServer([answer]) as server:
        tools = [add] if with_tools else []
        agent = Agent(make_model(server), tools=tools, output_type=NativeOutput(City))
        result = await agent.run("Which city?")
    assert result.output == City(**PARIS)
    schema = server.requests[0].output_schema
    if with_tools:
        final_schema = schema["properties"]["final"]
        assert final_schema == {"anyOf": [{"$ref": "#/$defs/final_answer"}, {"type": "null"}]}
        schema = schema["$defs"]["final_answer"]
    assert schema["required"] == ["name", "inhabitants"]  # strict, for all its default
    assert schema["additionalProperties"] is False


class Node(BaseModel):
    name: str
    children: list[Node] = []


@asyncio_only
async def test_native_output_may_be_recursive(make_model: MakeModel) -> None:
    tree = {"name": "a", "children": [{"name": "b", "children": []}]}
    async with ModelServer([final(tree)]) as server:
        agent = Agent(make_model(server), tools=[add], output_type=NativeOutput(Node))
        result = await agent.run("Go")
    assert result.output == Node(name="a", children=[Node(name="b")])


@asyncio_only
async def test_output_by_a_tool_must_be_a_call(make_model: MakeModel) -> None:
    async with ModelServer([calls(("final_result", PARIS))]) as server:
        agent = Agent(make_model(server), output_type=ToolOutput(City))
        result = await agent.run("Which city?")
    assert result.output == City(**PARIS)
    assert server.requests[0].output_schema["properties"]["tool_calls"]["minItems"] == 1


@asyncio_only
async def test_prompted_output_is_in_the_prompt(make_model: MakeModel) -> None:
    async with ModelServer([json.dumps(PARIS)]) as server:
        agent = Agent(make_model(server), output_type=PromptedOutput(City))
        result = await agent.run("Which city?")
    assert result.output == City(**PARIS)
    assert server.requests[0].prompt.count('"inhabitants"') == 1
    assert server.requests[0].output_schema is None


class Census(BaseModel):
    inhabitants: dict[str, int]


class Route(BaseModel):
    legs: list[tuple[str, int]]


class Note(BaseModel):
    value: Any


@asyncio_only
@pytest.mark.parametrize(
    ("output_type", "value", "place"),
    [
        (Census, {"inhabitants": {"Paris": 2}}, r"\$\.inhabitants"),
        (Route, {"legs": [("Paris", 2)]}, r"\$\.legs\.items"),
        (Note, {"value": [1, "a"]}, r"\$\.value"),
    ],
)
async def test_what_strict_mode_cannot_express_is_asked_for_by_a_tool(
    make_model: MakeModel, output_type: type[BaseModel], value: dict[str, Any], place: str
) -> None:
    async with ModelServer([calls(("final_result", value))]) as server:
        model = make_model(server)
        result = await Agent(model, output_type=output_type).run("Go")
        assert result.output == output_type(**value)
        with pytest.raises(UserError, match=place):
            await Agent(model, output_type=NativeOutput(output_type)).run("Go")
    assert len(server.requests) == 1


class Shape(BaseModel):
    kind: Literal["dot", "line"]
    ends: list[Shape] | None = None


@asyncio_only
async def test_what_strict_mode_can_express_is_not(make_model: MakeModel) -> None:
    async with ModelServer([json.dumps({"kind": "dot", "ends": None})]) as server:
        result = await Agent(make_model(server), output_type=Shape).run("Go")
    assert result.output == Shape(kind="dot")
    assert server.requests[0].output_schema is not None


@asyncio_only
async def test_images_are_shown(make_model: MakeModel) -> None:
    image = BinaryContent(data=PNG, media_type="image/png")
    async with ModelServer(["A dot.", "Two dots."]) as server:
        agent = Agent(make_model(server))
        first = await agent.run(["What is this?", image])
        await agent.run(["And now?", image], message_history=first.all_messages())
    assert [image.data for image in server.requests[0].images()] == [PNG]
    assert [image.data for image in server.requests[1].images()] == [PNG, PNG]
    assert any("What is this?\n\n(image 1)" in text for text in server.requests[1].user_texts())


@asyncio_only
async def test_images_may_be_links(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    async def download(item: ImageUrl, **_: Any) -> dict[str, Any]:
        return {"data": PNG, "data_type": item.media_type}

    monkeypatch.setattr(images, "download_item", download)
    link = ImageUrl("https://example.org/dot.png")

    def photograph() -> ImageUrl:
        return link

    async with ModelServer([calls(("photograph", {})), final("Two dots.")]) as server:
        await Agent(make_model(server), tools=[photograph]).run(["What is this?", link])
    assert [image.data for image in server.requests[0].images()] == [PNG]
    assert [image.data for image in server.requests[1].images()] == [PNG, PNG]


async def test_what_is_no_image_is_refused(make_model: MakeModel) -> None:
    async with ModelServer() as server:
        prompt = UserPromptPart([DocumentUrl("https://example.org/a.pdf")])
        with pytest.raises(UserError, match="DocumentUrl"):
            await direct.model_request(make_model(server), [Request([prompt])])


async def test_a_request_works_on_any_event_loop(make_model: MakeModel) -> None:
    script = [Reply(Reasoning("Easy."), "Two.", usage=Usage(50, 20, 9, 4))]
    async with ModelServer(script) as server:
        response = await direct.model_request(make_model(server), [Request.user_text_prompt("1+1")])
    thinking, text = response.parts
    assert isinstance(thinking, ThinkingPart)
    assert (thinking.content, thinking.provider_name) == ("Easy.", "codex")
    assert isinstance(text, TextPart)
    assert text.content == "Two."
    assert response.finish_reason == "stop"
    assert response.provider_name == "codex"
    assert response.model_name == "gpt-5-codex"
    assert response.provider_details
    assert response.provider_details["thread_id"]
    usage = response.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (50, 20, 9)


async def test_a_stream_gives_what_a_request_gives(make_model: MakeModel) -> None:
    parameters = ModelRequestParameters(
        function_tools=[ToolDefinition(name="add")], allow_text_output=True
    )
    async with ModelServer([calls(("add", {"a": 1}))]) as server:
        async with direct.model_request_stream(
            make_model(server),
            [Request.user_text_prompt("1+1")],
            model_request_parameters=parameters,
        ) as stream:
            events = [event async for event in stream]
            response = stream.get()
    assert events
    [call] = response.tool_calls
    assert (call.tool_name, call.args_as_dict()) == ("add", {"a": 1})
    assert response.finish_reason == "tool_call"
    assert response.state == "complete"


@asyncio_only
async def test_agents_can_stream(make_model: MakeModel) -> None:
    async with ModelServer([calls(("add", {"a": 1, "b": 1})), final("Two.")]) as server:
        async with Agent(make_model(server), tools=[add]).run_stream("1 + 1?") as result:
            texts = [text async for text in result.stream_text(debounce_by=None)]
    assert texts[-1] == "Two."


async def test_what_codex_did_by_itself_is_in_the_response(make_model: MakeModel) -> None:
    script = ["Let me look.", RunCommand("echo hello"), "It says hello."]
    async with ModelServer([Reply(*script[:2]), script[2]]) as server:
        model = make_model(server)
        response = await direct.model_request(model, [Request.user_text_prompt("Look")])
        history = [Request.user_text_prompt("Look"), response]
        json_history = ModelMessagesTypeAdapter.dump_json(history)
        assert ModelMessagesTypeAdapter.validate_json(json_history) == history
        server.will_reply("Bye.")
        await direct.model_request(model, [*history, Request.user_text_prompt("Thanks")])
    thought, call, result, answer = response.parts
    assert isinstance(thought, ThinkingPart)
    assert thought.content == "Let me look."
    assert isinstance(call, NativeToolCallPart)
    assert "echo hello" in call.args_as_dict()["command"]
    assert isinstance(result, NativeToolReturnPart)
    assert result.tool_call_id == call.tool_call_id
    assert result.content["aggregated_output"] == "hello\n"
    assert isinstance(answer, TextPart)
    assert answer.content == "It says hello."
    assert "hello\\n" in server.requests[-1].prompt


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
    make_codex: MakeCodex, workspace: Path
) -> None:
    async with ModelServer([RunCommand("touch made; echo $?"), "Done."]) as server:
        config = server.codex_home / "config.toml"
        config.write_text(f"{HOSTILE_KEYS}\n{config.read_text()}\n{HOSTILE_TABLES}")
        model = CodexModel(
            codex=make_codex(server),
            thread_options=ThreadOptions(working_directory=workspace),
            tool_mode="envelope",
        )
        response = await direct.model_request(model, [Request.user_text_prompt("Touch")])
    assert not (workspace / "made").exists()
    [result] = [part for part in response.parts if isinstance(part, NativeToolReturnPart)]
    assert "cannot touch" in result.content["aggregated_output"]
    assert not any("web_search" in name for name in server.requests[0].tool_names())


async def test_thinking_and_other_settings_reach_codex(make_model: MakeModel) -> None:
    async with ModelServer(["1", "2", "3"]) as server:
        model = make_model(server)
        prompt = [Request.user_text_prompt("Go")]
        for settings in (
            CodexModelSettings(thinking="low"),
            CodexModelSettings(thinking="low", codex_reasoning_effort="high"),
            CodexModelSettings(codex_config_overrides={"developer_instructions": "In French."}),
        ):
            await direct.model_request(model, prompt, model_settings=settings)
    efforts = [request.json["reasoning"]["effort"] for request in server.requests[:2]]
    assert efforts == ["low", "high"]
    assert "In French." in "\n".join(server.requests[2].developer_texts())


async def test_an_answer_that_is_no_envelope_is_an_error_of_the_model(
    make_model: MakeModel,
) -> None:
    parameters = ModelRequestParameters(function_tools=[ToolDefinition(name="add")])
    async with ModelServer(["Just so."]) as server:
        with pytest.raises(ModelAPIError, match="no envelope") as caught:
            await direct.model_request(
                make_model(server),
                [Request.user_text_prompt("Go")],
                model_request_parameters=parameters,
            )
    assert caught.value.body == "Just so."


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (HttpReply(401), ModelAuthenticationError),
        (HttpReply(404), ModelNotFoundError),
        (HttpReply(429), ModelRateLimitError),
        (HttpReply(500), ModelServerError),
        (HttpReply(503), ModelUnavailableError),
        (Failed("context_length_exceeded", "too long"), ModelContextWindowExceededError),
        (Failed("insufficient_quota", "no money"), ModelQuotaExceededError),
        (Cut(), ModelConnectionError),
    ],
)
@asyncio_only
async def test_errors_are_pydantic_ais_own(
    make_model: MakeModel, reply: Any, expected: type[Exception]
) -> None:
    async with ModelServer([reply]) as server:
        with pytest.raises(expected) as caught:
            await Agent(make_model(server)).run("Go")
    assert isinstance(caught.value, ModelAPIError)
    assert isinstance(caught.value.__cause__, CodexError)


async def test_a_cli_that_cannot_be_run_is_an_error_of_the_model() -> None:
    model = CodexModel(codex_options=CodexOptions(codex_path_override="/nowhere/codex"))
    with pytest.raises(ModelAPIError, match="/nowhere/codex"):
        await direct.model_request(model, [Request.user_text_prompt("Go")])


@asyncio_only
async def test_another_model_takes_over(make_model: MakeModel) -> None:
    other = FunctionModel(lambda messages, info: ModelResponse([TextPart("me instead")]))
    async with ModelServer([HttpReply(429)]) as server:
        result = await Agent(FallbackModel(make_model(server), other)).run("Go")
    assert result.output == "me instead"


async def test_requests_can_be_forbidden() -> None:
    with override_allow_model_requests(False), pytest.raises(RuntimeError, match="not allowed"):
        await direct.model_request(CodexModel(), [Request.user_text_prompt("Go")])
    with override_allow_model_requests(False), pytest.raises(RuntimeError, match="not allowed"):
        async with direct.model_request_stream(CodexModel(), [Request.user_text_prompt("Go")]):
            pass


async def test_a_request_that_is_cancelled_leaves_no_process(make_model: MakeModel) -> None:
    async with ModelServer([Gate()]) as server:
        async with anyio.create_task_group() as group:
            model, prompt = make_model(server), [Request.user_text_prompt("Go")]
            group.start_soon(direct.model_request, model, prompt)
            await server.wait_for_request()
            group.cancel_scope.cancel()


def test_the_model_says_what_it_is() -> None:
    model = CodexModel(thread_options=ThreadOptions(model="gpt-5.5"), profile={"context_window": 9})
    assert model.model_id == "codex:gpt-5.5"
    assert CodexModel().model_name == "codex"
    assert model.profile.get("context_window") == 9
    assert model.profile.get("supports_json_schema_output")
    assert not model.profile.get("supports_document_input")


def test_the_given_options_stay_as_they_are() -> None:
    options = ThreadOptions(sandbox_mode="workspace-write", web_search_enabled=True)
    model = CodexModel(thread_options=options)
    assert model.thread_options.sandbox_mode == "workspace-write"
    assert model.thread_options.web_search_mode is None
    assert options == ThreadOptions(sandbox_mode="workspace-write", web_search_enabled=True)
    safe = CodexModel().thread_options
    assert (safe.sandbox_mode, safe.approval_policy, safe.web_search_mode) == (
        "read-only",
        "never",
        "disabled",
    )
    assert (safe.skip_git_repo_check, safe.network_access_enabled) == (True, False)


def test_two_ways_of_naming_the_client_are_refused() -> None:
    with pytest.raises(CodexError, match="not both"):
        CodexModel(codex=Codex(), codex_options=CodexOptions())
