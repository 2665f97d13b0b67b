"""What type checkers make of programs with tools. Checked by mypy and pyright; never run."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

from codex_sdk import AppServerOptions
from codex_sdk.app_server import AppServerClient
from codex_sdk.tools import Tool, ToolImage, ToolSet, tool


@tool
def plain(city: str, days: int = 3) -> str:
    return city * days


@tool(name="other", description="Something else.")
async def coroutine(city: str) -> ToolImage:
    return ToolImage(city)


class Catalogue:
    def look_up(self, term: str) -> list[str]:
        return [term]


def tools_are_called_like_their_functions() -> None:
    assert_type(plain("Oslo", days=1), str)
    assert_type(plain.name, str)
    plain(1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    plain("Oslo", hours=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    assert_type(tool(Catalogue().look_up)("x"), list[str])
    assert_type(tool(Catalogue().look_up, name="find")("x"), list[str])


async def tools_of_threads() -> None:
    assert_type(await coroutine("Oslo"), ToolImage)
    tools: list[Tool[..., Any]] = [plain, coroutine]
    async with AppServerClient(AppServerOptions(experimental_api_enabled=True)) as client:
        await client.thread_start(cwd=".", tools=tools)
        await client.thread_start(tools=[plain, coroutine, tool(Catalogue().look_up)])
        await client.thread_resume("t", tools=ToolSet([plain], max_concurrent_calls=2))
        await client.thread_fork("t", tools=[plain.function])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
