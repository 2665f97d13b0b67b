"""Clients of the app-server of the real CLI under test, for turn sessions and their requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs

from codex_sdk import AppServerOptions
from codex_sdk.app_server import AppServerClient
from codex_sdk.testing import ModelServer

from .. import survivors

TIME_LIMIT = 50
"""Seconds for all that is done with one client: less than pytest gives a test, so that the CLI is ended."""


@attrs.frozen
class Cli:
    """The CLI under test.

    Attributes:
        path: the program.
        mark: what its processes are found by.
        legacy: whether it is of the generation of 0.80.
        workspace: where the agent works.
    """

    path: str
    mark: str
    legacy: bool
    workspace: Path

    @asynccontextmanager
    async def client(self, server: ModelServer, **options: Any) -> AsyncIterator[AppServerClient]:
        """Connect to an app-server that asks *server* for what the model says."""
        env = server.codex_options(env={survivors.NAME: self.mark}).env
        given = AppServerOptions(codex_path_override=self.path, env=env, **options)
        with anyio.fail_after(TIME_LIMIT):
            async with AppServerClient(given) as client:
                yield client

    async def thread(self, client: AppServerClient, **params: Any) -> str:
        """Start a thread; by default each command that is not known to be harmless needs an approval."""
        params = {
            "approval_policy": "untrusted",
            "sandbox": "danger-full-access",
            "cwd": self.workspace,
            "model": "gpt-5-codex",
            **params,
        }
        started = await client.thread_start(**params)
        thread_id: str = started["thread"]["id"]
        return thread_id

    @property
    def files(self) -> list[str]:
        """What is in the workspace."""
        return sorted(path.name for path in self.workspace.iterdir())

    def commands(self) -> list[str]:
        """Return the processes that the app-server has started, without itself."""
        found = survivors.carrying(self.mark)
        return [command for command in found if "app-server" not in command]
