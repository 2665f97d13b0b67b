"""The threads that an app-server has loaded, on one connection, and what they were loaded with."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import attrs

from .._core.jsonrpc import Notification
from .._core.thread_params import ThreadParams, check_echo, thread_params, working_directory
from .._core.versions import PINNED
from .._io.repository import is_in_git_repository
from ..exceptions import CodexAppServerError, CodexError, CodexWarning, ThreadMismatchError
from ..options import CodexOptions, ThreadOptions
from ..tools import ToolSet
from .app_server_connection import AppServerConnection
from .app_server_turn import RunningTurn
from .exec_turn import same_thread
from .tool_calls import check_tools_can_be_used

__all__ = ["LoadedThreads", "explained"]

_TOO_LARGE = "input_too_large"

_REMEDIES = {
    "already has an active writer": "another process has loaded this thread; wait until it ends",
    "no rollout found for thread id": "there is no thread of that id under the server's CODEX_HOME",
}


@attrs.frozen
class _Wish:
    """What a thread was loaded with: loaded with the same, it need not be loaded again."""

    options: ThreadOptions
    tools: ToolSet | None
    directory: str


class LoadedThreads:
    """A connection, and which threads the server has loaded on it.

    Attributes:
        connection: the connection.
        names: the threads' names, as far as the server has told them.
    """

    def __init__(self, codex: CodexOptions, connection: AppServerConnection) -> None:
        self.connection = connection
        self.names: dict[str, str | None] = {}
        self._codex = codex
        self._loaded: dict[str, _Wish] = {}
        self._turns: dict[str, RunningTurn] = {}
        self._loading: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._warnings: defaultdict[str, list[Notification]] = defaultdict(list)

    async def serve(self) -> None:
        """Take what the server tells of threads and of no turn, up to the connection's end."""
        try:
            while True:
                for notification in await self.connection.peer.notifications.receive_batch():
                    self._take(notification)
        except (anyio.EndOfStream, CodexError):
            return

    def _take(self, notification: Notification) -> None:
        thread_id = notification.params.get("threadId")
        if not isinstance(thread_id, str):
            return
        if notification.method == "warning":
            self._warnings[thread_id].append(notification)
        elif notification.method == "thread/closed":
            self._loaded.pop(thread_id, None)
        elif notification.method == "thread/name/updated":
            name = notification.params.get("threadName")
            self.names[thread_id] = name if isinstance(name, str) else None

    def take_warnings(self, thread_id: str) -> list[Notification]:
        """Return the warnings about a thread that have not been returned yet."""
        return self._warnings.pop(thread_id, [])

    @contextmanager
    def running(self, turn: RunningTurn) -> Generator[None, None, None]:
        """Let :meth:`running_turn` find a turn during the block."""
        self._turns[turn.thread_id] = turn
        try:
            yield
        finally:
            del self._turns[turn.thread_id]

    def running_turn(self, thread_id: str) -> RunningTurn:
        """Return the turn that runs on a thread.

        Raises:
            CodexError: none does.
        """
        turn = self._turns.get(thread_id)
        if turn is None or turn.is_over:
            raise CodexError(
                f"thread {thread_id!r} runs no turn here that could be steered or interrupted"
            )
        return turn

    def take_note(self, method: str, params: Mapping[str, Any]) -> None:
        """Take note of a request that the server has carried out."""
        if method == "thread/archive":
            self._loaded.pop(params["threadId"], None)
        elif method == "thread/name/set":
            self.names[params["threadId"]] = params["name"]

    async def load(
        self, thread_id: str | None, options: ThreadOptions, tools: ToolSet | None
    ) -> str:
        """Have the server load a thread with *options*; returns its id.

        Raises:
            CodexError: the options are refused, or the server refuses, or does less than was asked of it.
        """
        wish = self._wish(options, tools)
        if thread_id is None:
            return await self._load(None, wish, "thread/start")
        async with self._loading[thread_id]:
            if self._loaded.get(thread_id) == wish:
                return thread_id
            await self._unload(thread_id)
            return await self._load(thread_id, wish, "thread/resume")

    async def fork(self, thread_id: str, options: ThreadOptions, tools: ToolSet | None) -> str:
        """Copy a thread; returns the copy's id.

        Raises:
            CodexError: as :meth:`load` does.
        """
        return await self._load(thread_id, self._wish(options, tools), "thread/fork")

    def _wish(self, options: ThreadOptions, tools: ToolSet | None) -> _Wish:
        directory = working_directory(options, _current_directory())
        if not Path(directory).is_dir():
            raise CodexError(
                f"the working directory {directory!r} is not there, or is no directory"
            )
        if not options.skip_git_repo_check and not is_in_git_repository(
            directory, strictly=not self.connection.legacy
        ):
            raise CodexError(
                f"the working directory {directory!r} is in no Git repository; "
                "ThreadOptions(skip_git_repo_check=True) allows that"
            )
        if tools:
            check_tools_can_be_used(experimental=True, version=self.connection.version)
        return _Wish(options, tools, directory)

    async def _unload(self, thread_id: str) -> None:
        """Have a thread forgotten that runs with other options: newer servers would keep to them."""
        if self._loaded.pop(thread_id, None) is None or self.connection.legacy:
            return
        if self.connection.peer.running_turn(thread_id) is not None:
            raise CodexError(
                f"thread {thread_id!r} runs a turn with other options: wait for it, or use another thread"
            )
        await self.connection.request("thread/unsubscribe", {"threadId": thread_id})

    async def _load(self, thread_id: str | None, wish: _Wish, method: str) -> str:
        asked = await self._asked(thread_id, wish)
        params = dict(asked.params)
        if wish.tools and method == "thread/start":
            params["dynamicTools"] = wish.tools.to_list()
        try:
            told = await self.connection.request(method, params)
        except CodexAppServerError as error:
            raise explained(error) from error
        actual = self.connection.part_of(told, method, "thread", "id", of=str)
        if method == "thread/resume" and not same_thread(thread_id or "", actual):
            raise ThreadMismatchError(thread_id or "", actual)
        await self._check(asked, told, actual)
        self._loaded[actual] = wish
        self.names[actual] = told["thread"].get("name")
        self.connection.tools.register(actual, wish.tools)
        return actual

    async def _asked(self, thread_id: str | None, wish: _Wish) -> ThreadParams:
        read = await self.connection.request("config/read", {"cwd": wish.directory})
        config = cast("Any", self.connection.part_of(read, "config/read", "config", of=dict))
        asked = thread_params(
            self._codex,
            wish.options,
            version=self.connection.version or PINNED,
            thread_id=thread_id,
            cwd=_current_directory(),
            config=config,
        )
        _warn(asked.warnings)
        return asked

    async def _check(self, asked: ThreadParams, told: Mapping[str, Any], thread_id: str) -> None:
        refusal: CodexError | None = None
        try:
            _warn(check_echo(asked, told))
        except CodexError as error:
            refusal = error
        if refusal is not None:
            if not self.connection.legacy:
                await self.connection.request("thread/unsubscribe", {"threadId": thread_id})
            raise refusal


def explained(error: CodexAppServerError) -> CodexError:
    """Return the refusal of a thread or of a turn with what to do about it, where that is known."""
    told: object = error.data
    data = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    if data.get("input_error_code") == _TOO_LARGE:
        return CodexError(
            f"the prompt is too long: {data.get('actual_chars')} characters, and the CLI takes "
            f"{data.get('max_chars')} at most; put the rest into a file that the agent can read"
        )
    for sign, remedy in _REMEDIES.items():
        if sign in error.message:
            error.detail = remedy
    return error


def _warn(texts: Sequence[str]) -> None:
    for text in texts:
        warnings.warn(text, CodexWarning, stacklevel=2)


def _current_directory() -> str:
    try:
        return str(Path.cwd())
    except OSError as error:
        raise CodexError(f"the working directory of this process is gone: {error}") from error
