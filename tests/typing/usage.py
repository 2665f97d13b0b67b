"""What type checkers make of programs that use the package. Checked by mypy and pyright; never run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

from pydantic import BaseModel
from typing_extensions import assert_never, assert_type

import codex_sdk
from codex_sdk import (
    AbortController,
    AbortSignal,
    AgentMessageItem,
    Codex,
    CodexBinary,
    CodexOptions,
    CommandExecutionItem,
    ItemCompletedEvent,
    ParsedTurn,
    Thread,
    ThreadEvent,
    ThreadHooks,
    ThreadItem,
    ThreadOptions,
    Turn,
    TurnFailedError,
    TurnOptions,
    Usage,
    UserInput,
    find_codex,
)
from codex_sdk.testing import BlockingModelServer, ModelServer


@dataclass
class Status:
    summary: str


class Model(BaseModel):
    summary: str


def narrowing_by_type(event: ThreadEvent) -> None:
    if event.type == "thread.started":
        assert_type(event.thread_id, str)
    elif event.type == "turn.completed":
        assert_type(event.usage, Usage)
    elif event.type == "turn.failed":
        assert_type(event.error.message, str)
    elif event.type == "item.completed":
        assert_type(event, ItemCompletedEvent)
        if event.item.type == "command_execution":
            assert_type(event.item, CommandExecutionItem)
            assert_type(event.item.exit_code, Union[int, None])
    elif event.type == "item.started" or event.type == "item.updated":
        assert_type(event.item, ThreadItem)
    elif event.type == "error":
        assert_type(event.message, str)
    elif event.type == "turn.started" or event.type == "unknown":
        pass
    else:
        assert_never(event)


def narrowing_by_class(item: ThreadItem) -> str:
    if isinstance(item, AgentMessageItem):
        return item.text
    return item.type


async def running(codex: Codex) -> None:
    thread = codex.start_thread(ThreadOptions(model="m", sandbox_mode="read-only"))
    assert_type(thread, Thread)
    assert_type(thread.id, Union[str, None])
    turn = await thread.run("hi", TurnOptions(timeout=1.5))
    assert_type(turn, Turn)
    assert_type(turn.commands(), list[CommandExecutionItem])
    thread.run_sync("hi")
    thread.start()  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    await thread.run(1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    ThreadOptions(sandbox_mode="none")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    ThreadOptions("m")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


async def inputs(thread: Thread) -> None:
    await thread.run([{"type": "text", "text": "a"}, {"type": "local_image", "path": "b.png"}])
    items: Sequence[UserInput] = ({"type": "text", "text": "a"},)
    await thread.run(items)
    await thread.run([{"type": "sound"}])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]


async def streaming(thread: Thread) -> None:
    async with thread.stream("hi") as stream:
        assert_type(stream.thread_id, Union[str, None])
        async for event in stream:
            assert_type(event, ThreadEvent)
        assert_type(await stream.turn(), Turn)
    streamed = await thread.run_streamed("hi")
    async for event in streamed.events:
        assert_type(event, ThreadEvent)
    async for event in thread.run_streamed_events("hi"):
        assert_type(event, ThreadEvent)


async def structured(thread: Thread) -> None:
    assert_type(await thread.run_typed("hi", output_type=Status), ParsedTurn[Status])
    assert_type((await thread.run_typed("hi", output_type=list[int])).output, list[int])
    assert_type(await thread.run_pydantic("hi", output_model=Model), ParsedTurn[Model])
    assert_type(thread.run_pydantic_sync("hi", output_model=Model).output, Model)
    assert_type(await thread.run_json("hi", output_schema={"type": "object"}), ParsedTurn[Any])


async def hooks(thread: Thread) -> None:
    async def on_item(item: ThreadItem) -> None: ...

    def on_completed(event: ItemCompletedEvent) -> int:
        return len(event.item.id)

    hooks = ThreadHooks(on_item=on_item, on_item_completed=on_completed)
    assert_type(await thread.run_with_hooks("hi", hooks=hooks), Turn)
    ThreadHooks(on_turn_started=on_completed)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def client(controller: AbortController, error: TurnFailedError) -> None:
    async with Codex(CodexOptions(api_key="k", config_overrides={"a.b": [1, "x"]})) as codex:
        assert_type(codex, Codex)
        assert_type(codex.resume_last_thread(codex_home="x"), Thread)
    assert_type(controller.signal, AbortSignal)
    assert_type(AbortSignal.any(controller.signal, AbortSignal.timeout(3)), AbortSignal)
    assert_type(find_codex(), CodexBinary)
    assert_type(codex_sdk.__version__, str)
    codex_sdk.Codx  # type: ignore[attr-defined] # noqa: B018 # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def testing() -> None:
    async with ModelServer(["Hello"]) as server:
        assert_type(server, ModelServer)
        assert_type(server.codex_options(), CodexOptions)
        assert_type(server.environment(), dict[str, str])
    with BlockingModelServer("Hello") as blocking:
        assert_type(blocking, BlockingModelServer)
        assert_type(blocking.requests[0].prompt, str)
