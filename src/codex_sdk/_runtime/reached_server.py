"""How an app-server is reached: it is started as a child process, or runs elsewhere."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from .._core.app_server_arguments import (
    API_KEY_VARIABLE,
    AppServerArguments,
    app_server_arguments,
    as_codex_options,
    needs_version,
)
from .._core.environment import checked_api_key, child_environment
from .._core.redaction import redact
from .._core.versions import PINNED, parse_cli_version
from .._io.locate import find_codex
from .._io.process import new_marker, owned_process
from .._io.transport import Transport, stdio_transport
from .._io.version import probe_cli_version
from ..exceptions import CodexError
from ..options import AppServerOptions
from ..telemetry import in_current_trace
from .leftovers import Leftovers

__all__ = ["Connect", "ReachedServer", "reached_server"]

Connect = Callable[[], AbstractAsyncContextManager[Transport]]
"""Opens another way to an app-server, for the time of a block."""


@attrs.frozen
class ReachedServer:
    """A server that is reached.

    Attributes:
        transport: the way to it.
        secrets: what it may know that no error is to repeat, by names of environment variables.
        login_key: the API key that it is to be given.
        stderr: returns the tail of what it has written there, as far as that can be read from here.
        hang_up: lets it know that nothing more will come, if there is a way to.
    """

    transport: Transport
    secrets: Mapping[str, str] = attrs.field(repr=False)
    login_key: str | None = attrs.field(default=None, repr=False)
    stderr: Callable[[], str] = str
    hang_up: Callable[[], Awaitable[None]] | None = None
    leftovers: Leftovers = attrs.field(factory=Leftovers, repr=False)

    def redact(self, text: str) -> str:
        return redact(text, self.secrets)


def reached_server(
    options: AppServerOptions, connect: Connect | None
) -> AbstractAsyncContextManager[ReachedServer]:
    """Return the block in which a server is there: by *connect*, at the url of *options*, or a new one.

    Leaving the block ends a server that was started here.

    Raises:
        CodexError: the options are refused; entering the block: the server cannot be started or reached.
    """
    if connect is not None:
        return _other_server(options, connect)
    if options.url is not None:
        return _distant_server(options, options.url)
    if options.token is not None:
        raise CodexError("AppServerOptions.token is for a server that runs elsewhere: give its url")
    return _started_server(options)


@asynccontextmanager
async def _other_server(
    options: AppServerOptions, connect: Connect
) -> AsyncGenerator[ReachedServer, None]:
    key = None if options.api_key is None else checked_api_key(options.api_key)
    async with connect() as transport:
        yield ReachedServer(transport, {} if key is None else {API_KEY_VARIABLE: key}, key)


@asynccontextmanager
async def _distant_server(
    options: AppServerOptions, url: str
) -> AsyncGenerator[ReachedServer, None]:
    from .._io.websocket import websocket_transport

    for name in _FOR_A_SERVER_OF_OURS:
        if getattr(options, name) is not None:
            raise CodexError(
                f"AppServerOptions.{name} is for a server that is started here; the one at url has "
                "its own, from whoever started it"
            )
    async with websocket_transport(
        url, options.token, max_message_bytes=options.max_line_bytes
    ) as transport:
        yield ReachedServer(transport, {"TOKEN": options.token} if options.token else {})


_FOR_A_SERVER_OF_OURS = ("api_key", "base_url", "config_overrides", "env", "codex_path_override")


@asynccontextmanager
async def _started_server(options: AppServerOptions) -> AsyncGenerator[ReachedServer, None]:
    binary = find_codex(options.codex_path_override)
    inherited = os.environ if options.env is None else options.env
    key = options.api_key or inherited.get(API_KEY_VARIABLE) or None
    marker = new_marker()
    environment = in_current_trace(
        child_environment(
            os.environ,
            as_codex_options(options, None),
            marker=marker,
            path_dirs=binary.path_dirs,
        )
    )
    secrets = dict(environment)
    if key is not None:
        secrets[API_KEY_VARIABLE] = checked_api_key(key)
    launch = await _launch(options, binary.path, environment, key, marker)
    if launch.key_by_environment:
        environment = secrets
    command = [binary.path, *launch.arguments]
    async with owned_process(command, env=environment) as process:
        login_key = key if launch.key_by_login else None
        yield ReachedServer(
            stdio_transport(process),
            secrets,
            login_key,
            lambda: process.stderr_tail,
            process.close_stdin,
            Leftovers(environment, process.pid),
        )


async def _launch(
    options: AppServerOptions,
    binary: str,
    environment: Mapping[str, str],
    key: str | None,
    marker: tuple[str, str],
) -> AppServerArguments:
    version = PINNED
    if needs_version(options, key):
        text = await probe_cli_version(binary, environment)
        version = parse_cli_version(text or "") or PINNED
    legacy_needs_more = key is not None and version.legacy
    return app_server_arguments(
        options,
        version=version,
        api_key=key,
        marker=marker,
        user_config=_user_config(environment) if legacy_needs_more else None,
        openai_url=environment.get("OPENAI_BASE_URL") or None,
    )


def _user_config(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what the CLI will read in its ``CODEX_HOME``, as far as it can be read."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    home = environment.get("CODEX_HOME") or Path(environment.get("HOME") or "~", ".codex")
    try:
        text = Path(home, "config.toml").expanduser().read_text(encoding="utf-8")
        return tomlkit.parse(text).unwrap()
    except (OSError, ValueError, RuntimeError, TOMLKitError):
        return {}  # if it is at fault, the CLI says so itself
