"""The threads that an app-server finds under its ``CODEX_HOME``."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from msgspec import Struct, ValidationError, convert

from .._value import Value
from ..exceptions import CodexParseError

if TYPE_CHECKING:
    from .app_server_threads import AppServerThreads

__all__ = ["StoredThread", "StoredThreads"]

_SOURCES = (
    "cli vscode exec appServer subAgent subAgentReview subAgentCompact subAgentThreadSpawn "
    "subAgentOther unknown"
).split()
"""All of them: without being told, newer servers leave out those of ``codex exec``."""

_ORDER = "recency_at"
"""The one order of 0.163.0's in which the next page begins where the last one ended: others may leave out
threads of the same second."""

_PAGE = 100


@attrs.frozen
class StoredThread(Value):
    """A thread that can be resumed.

    Attributes:
        id: for :meth:`Codex.resume_thread`.
        preview: how its first prompt begins.
        name: its name, if it was given one.
        working_directory: where it worked.
        created_at: when it began.
        updated_at: when it was last used; when it began, for CLIs before 0.100, which do not tell.
        raw: the thread as the server told of it.
    """

    id: str
    preview: str
    name: str | None
    working_directory: str
    created_at: datetime
    updated_at: datetime
    raw: Mapping[str, Any] = attrs.field(repr=False)


class _Told(Struct, rename="camel"):
    id: str
    preview: str
    cwd: str
    created_at: float
    updated_at: float | None = None
    name: str | None = None


class _Page(Struct, rename="camel"):
    data: list[dict[str, Any]]
    next_cursor: str | None = None


class StoredThreads(AsyncIterator[StoredThread]):
    """Iterates over threads; made by :meth:`Codex.threads`."""

    def __init__(
        self,
        server: AppServerThreads,
        *,
        archived: bool,
        search: str | None,
        working_directory: str | os.PathLike[str] | None,
    ) -> None:
        self._server = server
        self._params: dict[str, Any] = {
            "limit": _PAGE,
            "sourceKinds": _SOURCES,
            "sortKey": _ORDER,
        }
        if archived:
            self._params["archived"] = True
        if search is not None:
            self._params["searchTerm"] = search
        if working_directory is not None:
            self._params["cwd"] = str(Path(working_directory).absolute())
        self._page: deque[StoredThread] = deque()
        self._is_last = False

    def __aiter__(self) -> StoredThreads:
        return self

    async def __anext__(self) -> StoredThread:
        while not self._page:
            if self._is_last:
                raise StopAsyncIteration
            await self._next_page()
        return self._page.popleft()

    async def _next_page(self) -> None:
        told = await self._server.list_threads(self._params)
        try:
            page = convert(told, _Page)
            self._page.extend(map(_stored_thread, page.data))
        except ValidationError as error:
            raise CodexParseError(
                f"the app-server told of a malformed list of threads: {error}"
            ) from error
        self._params["cursor"] = page.next_cursor
        self._is_last = page.next_cursor is None


def _stored_thread(raw: dict[str, Any]) -> StoredThread:
    told = convert(raw, _Told)
    return StoredThread(
        id=told.id,
        preview=told.preview,
        name=told.name,
        working_directory=told.cwd,
        created_at=datetime.fromtimestamp(told.created_at, timezone.utc),
        updated_at=datetime.fromtimestamp(told.updated_at or told.created_at, timezone.utc),
        raw=raw,
    )
