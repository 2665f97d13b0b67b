"""The Python functions of a connection's threads, called when Codex calls them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from contextvars import copy_context
from functools import partial
from inspect import isawaitable
from os import PathLike, fspath
from typing import Any, cast
from weakref import WeakKeyDictionary

import anyio
import attrs
import msgspec
from anyio.lowlevel import checkpoint_if_cancelled

from .._core.jsonrpc import Request
from .._core.recent import Recent
from .._core.versions import CliVersion
from .._host import current_host
from .._io.threads import run_in_daemon_thread
from ..exceptions import CodexError, CodexParseError
from ..tools import Tool, ToolImage, ToolSet

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

__all__ = ["ToolRegistry", "check_tools_can_be_used"]

_TOOL_CALL = "item/tool/call"

_log = logging.getLogger("codex_sdk.tools")


def check_tools_can_be_used(*, experimental: bool, version: CliVersion | None) -> None:
    """Raise CodexError if a thread cannot have tools on a connection.

    Args:
        experimental: whether the connection asked for the experimental part of the protocol.
        version: that of the CLI that is connected, where it is known.
    """
    if version is not None and version.legacy:
        raise CodexError(
            f"the Codex CLI that is connected, {version}, cannot call functions of its client and would "
            "ignore the tools: use a newer one (0.163.0 is the one that this package is pinned to)"
        )
    if not experimental:
        raise CodexError(
            "tools belong to the experimental part of Codex's protocol: connect with "
            "AppServerOptions(experimental_api_enabled=True)"
        )


class ToolRegistry:
    """Which functions belong to which threads of one connection: those that were used last, some thousands.

    A thread that is unloaded keeps its functions, since it may be loaded again without being given them.
    """

    def __init__(self) -> None:
        self._sets: Recent[ToolSet] = Recent()
        self._limiters: WeakKeyDictionary[ToolSet, anyio.CapacityLimiter] = WeakKeyDictionary()

    def register(self, thread_id: str, tools: ToolSet | None) -> None:
        """Have the calls of a thread go to *tools*, and to no others; ``None``: to nobody here."""
        if tools is None:
            self._sets.drop(thread_id)
        else:
            self._sets.put(thread_id, tools)

    def tools_of(self, thread_id: str) -> ToolSet | None:
        """Return the tools of a thread; ``None``, where none were registered."""
        return self._sets.get(thread_id)

    async def answer(self, request: Request) -> dict[str, Any] | None:
        """Return the result of the function that *request* calls; ``None``, where that is none of these.

        What goes wrong is told the model, and logged; the turn goes on.
        """
        if request.method != _TOOL_CALL:
            return None
        tools = self._sets.get(str(request.params.get("threadId")))
        if tools is None:
            return None
        name, namespace = request.params.get("tool"), request.params.get("namespace")
        tool = tools.tools.get(str(name))
        if tool is None or namespace is not None:
            whole = name if namespace is None else f"{namespace}.{name}"
            return _failed(f"there is no tool {whole}; there are: {', '.join(tools.tools)}")
        return await _answer(_Call(tool, self._limiter(tools)), request.params.get("arguments"))

    def _limiter(self, tools: ToolSet) -> anyio.CapacityLimiter:
        limiter = self._limiters.get(tools)
        if limiter is None:
            limiter = self._limiters[tools] = anyio.CapacityLimiter(tools.max_concurrent_calls)
        return limiter


async def _answer(call: _Call, arguments: object) -> dict[str, Any]:
    name = call.tool.name
    try:
        values = call.tool.read_arguments(arguments)
    except CodexParseError as error:
        _log.info("Codex called the tool %s with %s", name, error)
        return _failed(str(error))
    try:
        return {"contentItems": _content(await call.run(values)), "success": True}
    except anyio.get_cancelled_exc_class() as error:  # noqa: ASYNC103 - see below
        await checkpoint_if_cancelled()  # noqa: ASYNC102 - raises if this task is cancelled
        # It is not: the function has awaited something that was cancelled.
        _log.exception("the tool %s failed", name)
        return _failed(_told(error))  # noqa: ASYNC104
    except Exception as error:  # noqa: BLE001 - the function may raise anything
        _log.exception("the tool %s failed", name)
        return _failed(_told(error))


@attrs.frozen(eq=False)
class _Call:
    """A call of a function, which waits until few enough others of the set run."""

    tool: Tool[..., Any]
    _limiter: anyio.CapacityLimiter

    async def run(self, values: Mapping[str, Any]) -> Any:
        """Return what the function returns, or raise what it raises."""
        await self._limiter.acquire_on_behalf_of(self)
        function = partial(self.tool.function, **values)
        return await (self._run_here(function) if self.tool.is_async else self._run_apart(function))

    async def _run_here(self, function: Callable[[], Any]) -> Any:
        try:
            return await function()
        finally:
            self._done()

    async def _run_apart(self, function: Callable[[], Any]) -> Any:
        """Run a function in a thread; it is not done before it returns, whoever still waits for that."""
        host = current_host()
        context = copy_context()

        def run() -> tuple[Any, BaseException | None]:
            try:
                return context.run(function), None
            except BaseException as error:  # noqa: ASYNC103, BLE001 - raised in the task that waits
                return None, error  # noqa: ASYNC104
            finally:
                host.call_soon(self._done)

        try:
            result, error = await run_in_daemon_thread(run, host)
        except CodexError:  # there was no thread to be had
            self._done()
            raise
        if error is not None:
            raise error
        return await result if isawaitable(result) else result

    def _done(self) -> None:
        self._limiter.release_on_behalf_of(self)


def _failed(message: str) -> dict[str, Any]:
    return {"contentItems": [_text(message)], "success": False}


def _told(error: BaseException) -> str:
    if isinstance(error, ExceptionGroup):
        return "; ".join(map(_told, cast("ExceptionGroup[Exception]", error).exceptions))
    return f"{type(error).__name__}: {error}"


def _content(result: Any) -> list[dict[str, Any]]:
    """Return what the model is shown of a result."""
    if isinstance(result, (list, tuple)):
        parts = cast("list[Any]", result)
        if any(isinstance(part, ToolImage) for part in parts):
            return [_item(part) for part in parts]
    return [_item(result)]


def _item(part: Any) -> dict[str, Any]:
    if isinstance(part, ToolImage):
        return {"type": "inputImage", "imageUrl": part.url}
    if part is None:
        return _text("")
    return _text(part if isinstance(part, str) else _json(part))


def _text(text: str) -> dict[str, Any]:
    # a half of a surrogate pair, which Python's strings may hold, would cost the whole answer
    return {"type": "inputText", "text": text.encode("utf-8", "replace").decode()}


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=_plain).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, PathLike):
        return fspath(cast("PathLike[str]", value))
    if hasattr(value, "__pydantic_serializer__"):
        from pydantic import TypeAdapter

        cls = cast("type[Any]", value.__class__)
        adapter: TypeAdapter[Any] = TypeAdapter(cls)
        return adapter.dump_python(value, mode="json")
    raise TypeError(f"the tool returned {value!r:.100}, which is neither a text nor JSON")
