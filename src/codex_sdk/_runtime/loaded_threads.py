"""The threads that an app-server has loaded, on one connection, and what they were loaded with."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import attrs

from .._core.jsonrpc import Notification
from .._core.recent import Recent
from .._core.routing import unloads
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

__all__ = ["LoadedThreads", "ask_for_thread", "checked_directory", "explained"]

_TOO_LARGE = "input_too_large"

_REMEDIES = {
    "already has an active writer": "another process has loaded this thread; wait until it ends",
    "no rollout found for thread id": "there is no thread of that id under the server's CODEX_HOME",
}


_KEPT_LOADED = 256
"""Threads that stay loaded while they run no turn; each takes the server a megabyte. To load one again takes
some hundredths of a second."""

_UNLOAD_BOUND = 5.0
"""Seconds for the answer to ``thread/unsubscribe``. Measured: some milliseconds."""

_CLOSING = ("is closing", "failed to enqueue running thread resume")
"""What the server says of a thread that it is just unloading."""

_CLOSING_BOUND = 5.0
"""Seconds for the server to unload a thread. Measured: some hundredths."""

_CLOSING_PAUSE = 0.05

_KEPT_WARNINGS = 100
"""Warnings about a thread that wait for its next turn."""


@attrs.frozen
class _Wish:
    """What a thread was loaded with: loaded with the same, it need not be loaded again."""

    options: ThreadOptions
    tools: ToolSet | None
    directory: str


@attrs.define
class _Loaded:
    """What a thread was loaded with, and whether the server has surely stored it: it can be resumed then."""

    wish: _Wish
    stored: bool


class _Use:
    """That tasks load a thread, or run a turn on it."""

    def __init__(self) -> None:
        self.count = 0
        self.loading = anyio.Lock()


async def ask_for_thread(
    connection: AppServerConnection, method: str, params: Mapping[str, Any]
) -> Any:
    """Ask for a thread; for one that the server is just unloading, again when that is done.

    Raises:
        CodexError: the server refuses, or is gone.
    """
    give_up = anyio.current_time() + _CLOSING_BOUND
    while True:
        try:
            return await connection.request(method, params)
        except CodexAppServerError as error:
            closing = any(sign in error.message for sign in _CLOSING)
            if not closing or anyio.current_time() > give_up:
                raise
        await anyio.sleep(_CLOSING_PAUSE)


class LoadedThreads:
    """A connection, and which threads the server has loaded on it.

    Where there are many, those that run no turn and were not used for longest are unsubscribed from, so that
    the server unloads them: 0.163.0 after half an hour, 0.169.0 after a minute.

    Attributes:
        connection: the connection.
        names: the threads' names, as far as the server has told them; of the last some thousands.
    """

    def __init__(self, codex: CodexOptions, connection: AppServerConnection) -> None:
        self.connection = connection
        self.names: Recent[str] = Recent()
        self._codex = codex
        self._loaded: Recent[_Loaded] = Recent()
        self._turns: dict[str, RunningTurn] = {}
        self._used: dict[str, _Use] = {}
        self._warnings: Recent[deque[Notification]] = Recent()

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
            told = self._warnings.get(thread_id) or deque(maxlen=_KEPT_WARNINGS)
            told.append(notification)
            self._warnings.put(thread_id, told)
        elif unloads(notification.method, notification.params):
            self._loaded.drop(thread_id)
            self._warnings.drop(thread_id)
            if notification.method == "thread/deleted":
                self.names.drop(thread_id)
        elif notification.method == "thread/name/updated":
            self._name(thread_id, notification.params.get("threadName"))

    def _name(self, thread_id: str, name: object) -> None:
        if isinstance(name, str):
            self.names.put(thread_id, name)
        else:
            self.names.drop(thread_id)

    def take_warnings(self, thread_id: str) -> list[Notification]:
        """Return the warnings about a thread that have not been returned yet."""
        return list(self._warnings.drop(thread_id) or ())

    @contextmanager
    def running(self, turn: RunningTurn) -> Generator[None, None, None]:
        """Let :meth:`running_turn` find a turn during the block."""
        self._turns[turn.thread_id] = turn
        try:
            yield
        finally:
            del self._turns[turn.thread_id]
            known = self._loaded.get(turn.thread_id)
            if known is not None and turn.ended_by_itself:
                known.stored = True

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
            self._loaded.drop(params["threadId"])
        elif method == "thread/name/set":
            self._name(params["threadId"], params["name"])

    @asynccontextmanager
    async def loaded(
        self, thread_id: str | None, options: ThreadOptions, tools: ToolSet | None
    ) -> AsyncGenerator[str, None]:
        """Have the server load a thread with *options*, and keep it loaded during the block; yields its id.

        Raises:
            CodexError: the options are refused, or the server refuses, or does less than was asked of it.
        """
        wish = self._wish(options, tools)
        if thread_id is None:
            thread_id = await self._load(None, wish, "thread/start")
            with self._using(thread_id):
                await self._unload_others()
                yield thread_id
            return
        with self._using(thread_id) as use:
            async with use.loading:
                known = self._loaded.get(thread_id)
                if known is None or known.wish != wish:
                    await self._unload(thread_id)
                    thread_id = await self._load(thread_id, wish, "thread/resume")
            await self._unload_others()
            yield thread_id

    @contextmanager
    def _using(self, thread_id: str) -> Generator[_Use, None, None]:
        use = self._used.setdefault(thread_id, _Use())
        use.count += 1
        try:
            yield use
        finally:
            use.count -= 1
            if not use.count:
                del self._used[thread_id]

    async def _unload_others(self) -> None:
        """Let the server unload threads that run no turn, where too many are loaded."""
        surplus = len(self._loaded) - _KEPT_LOADED
        if surplus <= 0:
            return
        for thread_id in self._idle()[:surplus]:
            self._loaded.drop(thread_id)
            if not self.connection.legacy:
                await self._unsubscribe(thread_id)

    def _idle(self) -> list[str]:
        loaded = self._loaded.oldest_first()
        return [each for each, known in loaded if known.stored and each not in self._used]

    async def _unsubscribe(self, thread_id: str) -> None:
        params = {"threadId": thread_id}
        with self._using(thread_id) as use:
            async with use.loading:  # whoever wants it again meanwhile is to come after that
                if thread_id in self._loaded:
                    return
                try:
                    await self.connection.request(
                        "thread/unsubscribe", params, timeout=_UNLOAD_BOUND
                    )
                except CodexError:
                    pass  # then it stays loaded; or the connection has ended, which the next request tells

    async def fork(self, thread_id: str, options: ThreadOptions, tools: ToolSet | None) -> str:
        """Copy a thread; returns the copy's id.

        Raises:
            CodexError: as :meth:`load` does.
        """
        return await self._load(thread_id, self._wish(options, tools), "thread/fork")

    def _wish(self, options: ThreadOptions, tools: ToolSet | None) -> _Wish:
        directory = checked_directory(self.connection, options)
        if tools:
            check_tools_can_be_used(experimental=True, version=self.connection.version)
        return _Wish(options, tools, directory)

    async def _unload(self, thread_id: str) -> None:
        """Have a thread forgotten that runs with other options: newer servers would keep to them."""
        if self._loaded.drop(thread_id) is None or self.connection.legacy:
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
            told = await ask_for_thread(self.connection, method, params)
        except CodexAppServerError as error:
            raise explained(error) from error
        actual = self.connection.part_of(told, method, "thread", "id", of=str)
        if method == "thread/resume" and not same_thread(thread_id or "", actual):
            raise ThreadMismatchError(thread_id or "", actual)
        await self._check(asked, told, actual)
        self._loaded.put(actual, _Loaded(wish, stored=method == "thread/resume"))
        self._name(actual, told["thread"].get("name"))
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


def checked_directory(connection: AppServerConnection, options: ThreadOptions) -> str:
    """Return where a thread with *options* works, as ``codex exec`` would check it: the server does not.

    Raises:
        CodexError: it is no directory, or in no Git repository, where it has to be.
    """
    directory = working_directory(options, _current_directory())
    if not Path(directory).is_dir():
        raise CodexError(f"the working directory {directory!r} is not there, or is no directory")
    if not options.skip_git_repo_check and not is_in_git_repository(
        directory, strictly=not connection.legacy
    ):
        raise CodexError(
            f"the working directory {directory!r} is in no Git repository; "
            "ThreadOptions(skip_git_repo_check=True) allows that"
        )
    return directory


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
