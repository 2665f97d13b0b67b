"""A request by the app-server: tools are Codex's own, and a turn waits for what they return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import anyio
import attrs
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    ERROR_OUTCOMES,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolReturnPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from ...options import ThreadOptions
from .history import Item, content_parts, history_items, instructions_text
from .images import with_images
from .native_server import NativeServer, NativeServers
from .native_threads import KeptThread, RunTurns, current_run, digest
from .native_turn import OpenTurn
from .settings import options_for
from .tool_names import codex_names
from .tools import ToolChoice, choose_tools

__all__ = ["NativeMode", "NativeRequest", "dynamic_tool", "result_part"]


_STOP_BOUND = 30.0
"""Seconds that stopping a turn may hold up who has failed. Measured: at most some tenths."""


@attrs.define(eq=False)
class NativeRequest:
    """One request of PydanticAI's, from the notifications of a turn.

    Attributes:
        turn: the turn.
        server: where it runs.
        prior: the items of the conversation up to this request.
        setting: as in :class:`KeptThread`.
        choice: the tools.
        output_tools: the names of those whose call ends a run.
        run: the run of PydanticAI that it belongs to.
        names: the tools' own names, by those that they have for Codex.
    """

    turn: OpenTurn
    server: NativeServer
    prior: list[Item]
    setting: str
    choice: ToolChoice
    output_tools: frozenset[str]
    run: RunTurns | None
    names: Mapping[str, str]

    def __attrs_post_init__(self) -> None:
        if self.run is not None:
            self.run.open_turns.add(self.turn)

    async def finish(self, response: ModelResponse) -> None:
        """Keep the thread, to be gone on with, or give it up."""
        self._close()
        names = {call.tool_name for call in response.tool_calls}
        if self.turn.pending and names <= self.output_tools:
            # That ends the run; should the output not be valid after all, the conversation is replayed.
            await self.turn.stop()
            await self.turn.read_to_the_end()
            await self.server.forget(self.turn.thread_id)
            return
        history = digest([*self.prior, *history_items([response])])
        kept = KeptThread(
            self.turn.thread_id,
            history,
            self.setting,
            self.turn if self.turn.pending else None,
            self.run,
            deferred=any(tool.defer for tool in self.choice.tools if tool.name in names),
        )
        if self.run is not None and self.run.ended:
            await self.server.discard([kept])
        else:
            await self.server.keep(kept)

    async def abandon(self) -> None:
        """Stop the turn: nobody reads it any more. May be called again, and from any task."""
        self._close()
        await self.turn.stop()
        await self.turn.read_to_the_end()
        await self.server.forget(self.turn.thread_id)

    def _close(self) -> None:
        if self.run is not None:
            self.run.open_turns.discard(self.turn)


class NativeMode:
    """Asks Codex for an answer, on a thread that knows what was said before.

    That thread is found by the content of the conversation, so that histories which were edited, forked,
    stored elsewhere or made by another model are as good as any: for these, a new thread is given the
    conversation.
    """

    def __init__(self, servers: NativeServers, options: ThreadOptions) -> None:
        self._servers = servers
        self._options = options

    async def begin(
        self,
        messages: Sequence[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
    ) -> NativeRequest:
        """Have Codex work on the answer to prepared *messages*.

        Raises:
            CodexError: Codex could not be asked.
            UserError: something in the request cannot be done.
        """
        choice = _checked(choose_tools(settings, parameters))
        server = self._servers.here()
        await server.connect()
        instructions = instructions_text(messages, parameters.instruction_parts)
        options = options_for(self._options, settings, parameters.thinking)
        names = codex_names(tool.name for tool in choice.tools)
        tools = [dynamic_tool(tool, names[tool.name]) for tool in choice.tools]
        setting = digest([tools, instructions, repr(options)])
        start = {
            "ephemeral": True,
            "dynamicTools": tools,
            "developerInstructions": instructions or None,
        }
        *before, last = messages
        [last] = await with_images([last])
        work = _Work(server, before, last, setting, names)
        turn = await work.turn(options, start, _turn_params(parameters))
        return NativeRequest(
            turn,
            server,
            history_items(messages),
            setting,
            choice,
            frozenset(tool.name for tool in parameters.output_tools),
            current_run(self._servers),
            {codex: name for name, codex in names.items()},
        )


def _checked(choice: ToolChoice) -> ToolChoice:
    if choice.forced:
        raise UserError(
            "Codex cannot be forced to call a tool: use tool_choice='auto', or "
            "CodexModel(tool_mode='envelope')"
        )
    return choice


def dynamic_tool(tool: ToolDefinition, name: str) -> dict[str, Any]:
    """Return how the app-server is told of a tool, by the name that it has there."""
    return {
        "type": "function",
        "name": name,
        "description": tool.description or "",
        "inputSchema": tool.parameters_json_schema,
    }


def _turn_params(parameters: ModelRequestParameters) -> dict[str, Any]:
    if parameters.output_mode == "native" and parameters.output_object is not None:
        return {"outputSchema": parameters.output_object.json_schema}
    return {}


class _Work:
    """The way from a conversation to a turn that goes on with it."""

    def __init__(
        self,
        server: NativeServer,
        before: Sequence[ModelMessage],
        last: ModelMessage,
        setting: str,
        names: Mapping[str, str],
    ) -> None:
        self._server = server
        self._names = names
        self._before = before
        self._last = last
        self._results = {
            part.tool_call_id: part for part in last.parts if isinstance(part, ToolReturnPart)
        }
        self._thread: KeptThread | None = None
        self._thread_id: str | None = None
        self._turn: OpenTurn | None = None
        if before:
            self._thread = server.threads.take(digest(history_items(before)), setting)

    async def turn(
        self, options: ThreadOptions, start: Mapping[str, Any], params: Mapping[str, Any]
    ) -> OpenTurn:
        """Return a turn that works on the last message: the one that waits for it, or a new one.

        If that fails, the thread is given up.
        """
        try:
            resumed = await self._resumed(params.get("outputSchema"))
            return resumed or await self._started(options, start, params)
        except BaseException:
            with anyio.move_on_after(_STOP_BOUND, shield=True):
                await self._give_up()
            raise

    async def _give_up(self) -> None:
        if (
            self._turn is not None
        ):  # its start was cancelled, and perhaps again while it was being undone
            await self._turn.stop()
        if self._thread is not None:
            await self._server.discard([self._thread])
        elif self._thread_id is not None:
            await self._server.forget(self._thread_id)

    async def _resumed(self, output_schema: Any) -> OpenTurn | None:
        """Return the turn that waits for the results in the last message, having given it these."""
        kept = self._thread
        if kept is None or kept.turn is None:
            # The call was made in a history that has been changed since.
            await self._server.discard(self._server.threads.waiting_for(self._results.keys()))
            return None
        turn = kept.turn
        if not self._can_resume(turn) or turn.output_schema != output_schema:
            await self._server.discard([kept])
            self._thread = None
            return None
        await self._resume(turn)
        return turn

    def _can_resume(self, turn: OpenTurn) -> bool:
        """Whether *turn* waits for these results, and can be told what else there is to tell."""
        if turn.is_over or not turn.pending <= self._results.keys():
            return False
        return all(map(_is_input, _other_items(self._last)))

    async def _resume(self, turn: OpenTurn) -> None:
        if content := [*_input(_other_items(self._last))]:
            await turn.steer(content)
        for call_id in list(turn.pending):
            part = self._results[call_id]
            content = [result_part(item) for item in content_parts(part.content_items(mode="str"))]
            turn.give_result(call_id, content, ok=part.outcome not in ERROR_OUTCOMES)

    async def _started(
        self, options: ThreadOptions, start: Mapping[str, Any], params: Mapping[str, Any]
    ) -> OpenTurn:
        """Start a turn with the last message, on the thread that holds the others, or on a new one."""
        new = history_items([self._last])
        told = [item for item in new if not _is_input(item)]
        if self._thread is not None:
            thread_id = self._thread.thread_id
        else:
            told = [*history_items(await with_images(self._before)), *told]
            thread_id = self._thread_id = await self._server.start_thread(options, **start)
        await self._server.inject(thread_id, self._renamed(told))
        self._turn = OpenTurn(thread_id)
        await self._turn.start(await self._server.connect(), {**params, "input": [*_input(new)]})
        return self._turn

    def _renamed(self, items: Sequence[Item]) -> list[Item]:
        """Return *items* with the names that tools have for Codex."""
        return [
            {**item, "name": self._names.get(item["name"], item["name"])}
            if "name" in item
            else item
            for item in items
        ]


def _other_items(message: ModelMessage) -> list[Item]:
    """Return what a message holds besides the results of tools."""
    others: list[Any] = [part for part in message.parts if not isinstance(part, ToolReturnPart)]
    return history_items([ModelRequest(parts=others)])


def _is_input(item: Item) -> bool:
    return item.get("role") == "user"


def _input(items: Sequence[Item]) -> Iterator[dict[str, Any]]:
    """Yield what the user says, as the input of a turn."""
    for item in items:
        if _is_input(item):
            for part in item["content"]:
                if part["type"] == "input_image":
                    yield {"type": "image", "url": part["image_url"]}
                else:
                    yield {"type": "text", "text": part["text"]}


def result_part(part: Item) -> dict[str, Any]:
    """Return a part of what a tool gave back, as the app-server takes it."""
    if part["type"] == "input_image":
        return {"type": "inputImage", "imageUrl": part["image_url"]}
    return {"type": "inputText", "text": part["text"]}
