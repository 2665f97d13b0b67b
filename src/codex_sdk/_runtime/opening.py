"""Threads are opened: how an app-server is asked for one, and whether it does what it was asked.

A server that has loaded a thread answers ``thread/resume`` with what the thread runs with, and lets go of the
options that it was asked for (0.80.0 does not). So a thread is let go of before it is resumed, and what the
server tells meanwhile shows whether the options are in force.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio

from .._core.thread_ids import same_thread
from .._core.thread_params import ThreadParams, check_echo, thread_params, working_directory
from .._core.toml import merge_config_overrides
from .._core.versions import PINNED
from .._io.repository import is_in_git_repository
from ..exceptions import CodexAppServerError, CodexError, CodexWarning, ThreadMismatchError
from ..options import AppServerOptions, CodexOptions, ThreadOptions
from .app_server_connection import AppServerConnection
from .server_threads import Unloading

__all__ = [
    "checked_directory",
    "explained",
    "let_go",
    "open_thread",
    "server_options",
]

_UNLOAD_AT_ONCE = {"thread_unload_delay_secs": 0}
"""The configuration of a server that serves one client. Threads that nobody is subscribed to leave memory,
where each takes some megabytes; they stay for half an hour otherwise (0.163.0; 0.169.0: a minute), and those
whose last turn has failed cannot be loaded with other options. CLIs that do not know the entry ignore it."""

_UNLOAD_BOUND = 5.0
"""Seconds for a thread to be unloaded, before that is given up. Measured: some hundredths."""

_UNLOAD_PATIENCE = 1.0
"""Seconds for that before the thread is asked for at first. None, where the configuration has a delay:
``thread/resume`` itself unloads a thread then, unless its last turn has failed."""

_LOADED = ("unsubscribed", "notSubscribed")
"""What the server answers ``thread/unsubscribe`` of a thread that it has loaded."""

_CLOSING = ("is closing", "failed to enqueue running thread resume")
"""What the server says of a thread that it is just unloading."""

_CLOSING_PAUSE = 0.05
"""Seconds before it is asked again: about what the unloading takes."""

_TOO_LARGE = "input_too_large"

_REMEDIES = {
    "already has an active writer": "another process has loaded this thread; wait until it ends",
    "no rollout found for thread id": "there is no thread of that id under the server's CODEX_HOME",
}


def server_options(codex: CodexOptions) -> AppServerOptions:
    """Return how the app-server of one client is started, whose threads are opened here."""
    return AppServerOptions(
        codex_path_override=codex.codex_path_override,
        base_url=codex.base_url,
        api_key=codex.api_key,
        env=codex.env,
        config_overrides=merge_config_overrides(_UNLOAD_AT_ONCE, codex.config_overrides),
        max_line_bytes=codex.max_line_bytes,
        experimental_api_enabled=True,  # for tools, and to add to a thread's history
    )


async def open_thread(
    connection: AppServerConnection,
    codex: CodexOptions,
    options: ThreadOptions,
    *,
    directory: str,
    thread_id: str | None = None,
    fork: bool = False,
    **more: Any,
) -> str:
    """Start a thread, or load the stored one of *thread_id*, or a copy of it, with *options* in force.

    Args:
        codex: the client's options, which the server runs with.
        directory: where the thread works, from :func:`checked_directory`.
        thread_id: in its canonical spelling; the thread must run no turn.
        more: further params of the request.

    Returns:
        The thread's id.

    Raises:
        CodexError: the options are refused, or the server refuses, or does less than was asked. Where it
            keeps to earlier options, the thread is loaded with these.
    """
    asked = await _asked(connection, codex, options, directory, thread_id)
    params = {**asked.params, **more}
    method = "thread/fork" if fork else asked.method
    try:
        if method == "thread/resume":
            told = await _resumed(connection, params, _patience(codex))
        else:
            told = await connection.request(method, params)
    except CodexAppServerError as error:
        raise explained(error) from None
    opened = connection.part_of(told, method, "thread", "id", of=str)
    async with _letting_go_if_refused(connection, opened):
        if method == "thread/resume" and not same_thread(thread_id or "", opened):
            raise ThreadMismatchError(thread_id or "", opened)
        _warn(check_echo(asked, told))
    return opened


async def _asked(
    connection: AppServerConnection,
    codex: CodexOptions,
    options: ThreadOptions,
    directory: str,
    thread_id: str | None,
) -> ThreadParams:
    read = await connection.request("config/read", {"cwd": directory})
    config = cast("Any", connection.part_of(read, "config/read", "config", of=dict))
    asked = thread_params(
        codex,
        options,
        version=connection.version or PINNED,
        thread_id=thread_id,
        cwd=_current_directory(),
        config=config,
    )
    _warn(asked.warnings)
    return asked


async def _resumed(
    connection: AppServerConnection, params: Mapping[str, Any], patience: Sequence[float]
) -> Any:
    """Return the server's answer to ``thread/resume``, of a thread that is loaded with *params*.

    A server that is asked in mid-unloading may answer for the thread that it gives up; so that is waited for.
    """
    if connection.legacy:
        return await connection.request("thread/resume", params)
    thread_id: str = params["threadId"]
    with connection.threads.noticing_unloading(thread_id) as unloading:
        for seconds in patience:
            was_loaded = await _is_unsubscribed(connection, thread_id, unloading)
            if was_loaded:
                with anyio.move_on_after(seconds):
                    await unloading.wait()
            told = await _ask_when_closed(connection, params)
            if unloading.is_told or not was_loaded:
                return told
    raise CodexError(
        f"the app-server keeps thread {thread_id!r} loaded with the options that it had before: another "
        "client uses it, or the configuration has a thread_unload_delay_secs; a new server can resume it"
    )


async def _is_unsubscribed(
    connection: AppServerConnection, thread_id: str, unloading: Unloading
) -> bool:
    """Hear no more of a thread; returns whether the server has loaded it, as far as it tells that."""
    connection.threads.leave(thread_id)
    params = {"threadId": thread_id}
    try:
        told: Any = await connection.request(
            "thread/unsubscribe", params, on_result=unloading.begin
        )
    except CodexAppServerError:
        return False
    return isinstance(told, dict) and cast("Any", told).get("status") in _LOADED


def _patience(codex: CodexOptions) -> tuple[float, float]:
    delay = (codex.config_overrides or {}).get("thread_unload_delay_secs", 0)
    return (_UNLOAD_PATIENCE if delay == 0 else 0.0, _UNLOAD_BOUND)


async def _ask_when_closed(connection: AppServerConnection, params: Mapping[str, Any]) -> Any:
    """Ask for a thread; for one that the server is just unloading, again when that is done."""
    give_up = anyio.current_time() + _UNLOAD_BOUND
    while True:
        try:
            return await connection.request("thread/resume", params)
        except CodexAppServerError as error:
            closing = any(sign in error.message for sign in _CLOSING)
            if not closing or anyio.current_time() > give_up:
                raise
        await anyio.sleep(_CLOSING_PAUSE)


@asynccontextmanager
async def _letting_go_if_refused(
    connection: AppServerConnection, thread_id: str
) -> AsyncGenerator[None, None]:
    """Let go of a thread that the block refuses to use."""
    refusal: CodexError | CodexWarning | None = None
    try:
        yield
    except (CodexError, CodexWarning) as error:
        refusal = error
    if refusal is not None:
        await let_go(connection, thread_id)
        raise refusal


async def let_go(connection: AppServerConnection, thread_id: str) -> None:
    """Let the server unload a thread; one that cannot be unloaded stays, and is in nobody's way."""
    if connection.legacy or connection.peer.failure is not None:
        return
    connection.threads.leave(thread_id)
    params = {"threadId": thread_id}
    try:
        await connection.request("thread/unsubscribe", params, timeout=_UNLOAD_BOUND)
    except CodexError:
        pass  # it stays loaded; or the connection has ended, which the next request tells


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
