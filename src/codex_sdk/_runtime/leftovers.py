"""What turns leave behind on this host, where the app-server was started here: commands, empty folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from os import PathLike, fspath
from typing import Any, cast

from .._core.recent import Recent
from .._core.routing import opens
from .._io.commands import TurnCommands
from .._io.sandbox_litter import removing_sandbox_litter

__all__ = ["Leftovers"]

_PLACE = {
    "cwd": "cwd",
    "sandbox": "sandboxPolicy",
    "runtimeWorkspaceRoots": "runtimeWorkspaceRoots",
}
"""What tells where a thread works, when it is loaded, and in the params of a turn."""


class Leftovers:
    """Removes what turns on one connection have left behind.

    Args:
        environment: that of the server; ``None``: it runs elsewhere, and nothing of it is here.
        server: the number of its process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, server: int = 0) -> None:
        self._environment = environment
        self._commands = None if environment is None else TurnCommands(environment, server)
        self._places: Recent[dict[str, Any]] = Recent()
        self._postponed: float | None = None

    @property
    def all_seen(self) -> bool:
        """Whether no command can be overlooked here."""
        return self._commands is not None and self._commands.certain

    def now(self) -> float:
        """Return the time that :meth:`end_commands` understands."""
        return 0.0 if self._commands is None else self._commands.now()

    def learn(self, method: str, result: object) -> None:
        """Take note of where a thread works, if the result of a request tells that."""
        if self._environment is not None and opens(method) and isinstance(result, dict):
            opened = cast("dict[str, Any]", result)
            thread = opened.get("thread")
            if isinstance(thread, dict):
                thread_id = cast("dict[str, Any]", thread).get("id")
                self._places.put(str(thread_id), {key: opened.get(key) for key in _PLACE})

    def forget(self, thread_id: str) -> None:
        """Forget a thread that the server has unloaded: who loads it again is told where it works."""
        self._places.drop(thread_id)

    def removing_litter(
        self, thread_id: str, params: Mapping[str, Any]
    ) -> AbstractContextManager[None]:
        """After the block, remove the empty folders that sandboxes have added to a thread's workspace.

        *params* are those of the turn, which may change where this and later turns work.
        """
        if self._environment is None:
            return nullcontext()
        place = self._places.get(thread_id) or {}
        changes = {key: params.get(name) for key, name in _PLACE.items()}
        place.update((key, value) for key, value in changes.items() if value is not None)
        self._places.put(thread_id, place)
        return removing_sandbox_litter(_roots(place), self._environment)

    async def end_commands(self, since: float, thread_id: str | None, *, alone: bool) -> None:
        """End the commands that were started after *since*.

        Args:
            thread_id: whose; ``None``, where it cannot be told whose a command is.
            alone: whether no turn runs now. Commands that cannot be told apart are ended when none does.
        """
        if self._commands is None:
            return
        if thread_id is not None:
            await self._commands.end(since, thread_id)
        else:
            self._postponed = since if self._postponed is None else min(since, self._postponed)
            await self.end_postponed(alone=alone)

    async def end_postponed(self, *, alone: bool) -> None:
        """End the commands that were left because other turns ran."""
        if alone and self._commands is not None and self._postponed is not None:
            since, self._postponed = self._postponed, None
            await self._commands.end(since, None)


def _roots(place: Mapping[str, Any]) -> Iterator[str]:
    """Yield the folders that the sandbox of a thread lets its commands write to, if it has one."""
    sandbox = place.get("sandbox")
    if not isinstance(sandbox, dict):
        return
    policy = cast("dict[str, Any]", sandbox)
    if policy.get("type") in ("dangerFullAccess", "externalSandbox"):
        return
    further = (place.get("runtimeWorkspaceRoots"), policy.get("writableRoots"))
    for root in chain(
        [place.get("cwd")], *(cast("list[object]", roots or []) for roots in further)
    ):
        if isinstance(root, (str, PathLike)):
            yield fspath(cast("str | PathLike[str]", root))
