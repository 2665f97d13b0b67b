"""Where a toolset has its jobs done: an app-server, and a thread for each conversation."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import anyio
import attrs

from ..._host import Host, current_host
from ..._runtime.app_server_connection import AppServerConnection
from ...options import CodexOptions, ThreadOptions
from .native_server import NativeServer, NativeServers

__all__ = ["Place", "Workshop"]


@attrs.define(eq=False)
class Place:
    """The thread of a conversation.

    Attributes:
        thread_id: the thread, once there is one.
        loaded_by: the connection on which it is in use.
        host: the event loop that *turns* belongs to.
        turns: held by the job that runs: a thread does one at a time.
    """

    thread_id: str | None = None
    loaded_by: AppServerConnection | None = None
    host: Host | None = None
    turns: anyio.Lock = attrs.field(factory=anyio.Lock)

    def lock(self) -> anyio.Lock:
        """Return the lock of the running event loop."""
        if self.host != current_host():
            self.host, self.turns = current_host(), anyio.Lock()
        return self.turns


class Workshop:
    """An app-server for each event loop in which somebody is in the workshop, and the threads.

    Threads are stored by Codex: a conversation goes on with its own on another server too.
    """

    def __init__(self, codex: CodexOptions, options: ThreadOptions, *, conversations: int) -> None:
        self._options = options
        self._limit = conversations
        self._servers = NativeServers(codex, keep=0, wait=0.0)
        self._visitors: dict[Host, int] = {}
        self._places: OrderedDict[str, Place] = OrderedDict()

    def enter(self) -> None:
        """Come in; the server is started by the first job."""
        host = current_host()
        self._visitors[host] = self._visitors.get(host, 0) + 1

    async def leave(self) -> None:
        """Go; the last one ends the server, and the jobs that are still being done."""
        host = current_host()
        self._visitors[host] = self._visitors.get(host, 1) - 1
        if not self._visitors[host]:
            del self._visitors[host]
            await self._servers.close()

    def place(self, conversation: str) -> Place:
        """Return the place of a conversation; those of the oldest conversations are given up."""
        place = self._places.pop(conversation, None) or Place()
        self._places[conversation] = place
        while len(self._places) > self._limit:
            self._places.popitem(last=False)
        return place

    async def thread(
        self, place: Place, tools: list[dict[str, Any]]
    ) -> tuple[AppServerConnection, str]:
        """Return the connection, and the thread of *place*, which is in use there.

        Raises:
            CodexError: the server cannot be started, or refuses.
        """
        server: NativeServer = self._servers.here()
        connection = await server.connect()
        if place.thread_id is None or place.loaded_by is not connection:
            given = {"dynamicTools": tools} if tools and place.thread_id is None else {}
            place.thread_id = await server.start_thread(
                self._options, thread_id=place.thread_id, **given
            )
            place.loaded_by = connection
        return connection, place.thread_id
