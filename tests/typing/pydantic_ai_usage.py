"""What type checkers make of programs with PydanticAI. Checked by mypy and pyright; never run."""

from __future__ import annotations

from pydantic_ai import Agent, direct
from pydantic_ai.messages import ModelRequest, ModelResponse
from pydantic_ai.run import AgentRunResult
from pydantic_ai.settings import ModelSettings
from typing_extensions import assert_type

from codex_sdk import ThreadOptions
from codex_sdk.integrations.pydantic_ai_model import CodexModel, CodexModelSettings

settings = CodexModelSettings(
    thinking="max",
    parallel_tool_calls=False,
    codex_reasoning_effort="xhigh",
    codex_personality="pragmatic",
    codex_config_overrides={"model_verbosity": "low", "tools": {"view_image": False}},
)


async def settings_of_a_model_an_agent_and_a_run() -> None:
    model = CodexModel(thread_options=ThreadOptions(model="gpt-5.5"), settings=settings)
    agent = Agent(model, model_settings=settings)
    assert_type(await agent.run("hi", model_settings=settings), AgentRunResult[str])
    async with agent.run_stream("hi", model_settings=settings) as result:
        assert_type(await result.get_output(), str)
    prompt = [ModelRequest.user_text_prompt("hi")]
    answer = await direct.model_request(model, prompt, model_settings=settings)
    assert_type(answer, ModelResponse)


def settings_that_there_are_not() -> None:
    generic: ModelSettings = settings
    CodexModelSettings(codex_reasoning_effort="much")  # type: ignore[typeddict-item] # pyright: ignore[reportArgumentType]
    CodexModelSettings(reasoning_effort="low")  # type: ignore[typeddict-unknown-key] # pyright: ignore[reportCallIssue]
    CodexModel(settings=generic, tool_mode="other")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
