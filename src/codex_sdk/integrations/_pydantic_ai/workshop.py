"""Where a toolset has its jobs done: an app-server, and a thread for each conversation."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
import attrs

from ..._host import Host, current_host
from ..._runtime.app_server_connection import AppServerConnection
from ...exceptions import CodexAppServerError, CodexError, CodexWarning
from ...options import CodexOptions, ThreadOptions
from .job import Job
from .native_server import NativeServer, NativeServers
from .native_threads import KeptThread, RunTurns

__all__ = ["Place", "Workshop"]

_CLOSE_BOUND = 30.0
"""Seconds that ending the server may hold up who leaves. Measured: some tenths."""

_KEPT_LOADED = 32
"""Threads that a server keeps loaded, some megabytes each. To load one again takes hundredths of a second."""

_LOST = {
    "no rollout found for thread id": "Codex has not stored",  # since no turn was begun in it
    "already has an active writer": "another server, of another event loop, works on",
}
"""What the server says of threads that it cannot load, and what that means."""


@attrs.define(eq=False)
class Place:
    """The thread of a conversation.

    Attributes:
        conversation: the conversation's id.
        thread_id: the thread, once there is one.
        loaded_by: the connection on which it is in use.
        host: the event loop that *turns* belongs to.
        turns: held by the job that is worked on: a thread does one at a time.
        call: the call of the tool that holds it.
        redeemed: the ids of the approvals that were made use of; each is for once.
    """

    conversation: str
    thread_id: str | None = None
    loaded_by: AppServerConnection | None = None
    host: Host | None = None
    turns: anyio.Lock = attrs.field(factory=anyio.Lock)
    call: object | None = None
    redeemed: set[str] = attrs.field(factory=set[str])

    def lock(self) -> anyio.Lock:
        """Return the lock of the running event loop."""
        if self.host != current_host():
            self.host, self.turns = current_host(), anyio.Lock()
        return self.turns


@attrs.define(eq=False)
class _SuspendedJob(KeptThread):
    """A job that waits for approvals; found by the id of the tool's call, and by the conversation."""

    job: Job = attrs.field(kw_only=True)


@attrs.define
class _Visits:
    """Who is in the workshop, in one event loop.

    Attributes:
        toolsets: toolsets that are entered.
        owners: those of them that belong to the program, not to a run.
        calls: calls of the tool that are being made.
    """

    toolsets: int = 0
    owners: int = 0
    calls: int = 0


class Workshop:
    """An app-server for each event loop in which somebody is in the workshop, and the threads.

    Threads are stored by Codex: a conversation goes on with its own on another server too. A server whose
    visitors have gone goes on running while jobs are suspended on it.

    Attributes:
        options: where and how Codex works.

    Args:
        codex: how the servers are started.
        options: as above.
        conversations: how many conversations are remembered.
        keep: how many jobs can be suspended on a server.
        wait: seconds after which a suspended job is given up.
    """

    def __init__(
        self,
        codex: CodexOptions,
        options: ThreadOptions,
        *,
        conversations: int,
        keep: int,
        wait: float,
    ) -> None:
        self.options = options
        self._limit = conversations
        self._servers = NativeServers(
            partial(NativeServer, codex, keep=keep, wait=wait, on_idle=self._on_idle)
        )
        self._visits: dict[Host, _Visits] = {}
        self._places: OrderedDict[str, Place] = OrderedDict()

    # Its life

    def _here(self) -> _Visits:
        for host in [host for host in self._visits if host.closed]:
            del self._visits[host]
        return self._visits.setdefault(current_host(), _Visits())

    def enter(self, *, owner: bool) -> None:
        """Come in; the server is started by the first job."""
        visits = self._here()
        visits.toolsets += 1
        visits.owners += owner

    async def leave(self, *, owner: bool) -> None:
        """Go; the last one ends the server, unless jobs are suspended on it. None outlives the last owner."""
        visits = self._here()
        visits.toolsets -= 1
        visits.owners -= owner
        with anyio.move_on_after(_CLOSE_BOUND, shield=True):
            if not visits.toolsets and (owner or not self._jobs()):
                await self.close()
            elif owner and not visits.owners:
                await self._discard(self._jobs())

    @asynccontextmanager
    async def calling(self) -> AsyncGenerator[None, None]:
        """Make the block a call of the tool; one that comes out when the others have gone ends the server.

        When a run is cancelled, its toolset is left before the calls that are being made have ended.
        """
        visits = self._here()
        visits.calls += 1
        try:
            yield
        finally:
            visits.calls -= 1
            with anyio.move_on_after(_CLOSE_BOUND, shield=True):
                await self._close_if_idle()

    async def _close_if_idle(self) -> None:
        visits = self._here()
        if not (visits.toolsets or visits.calls or self._jobs()):
            await self.close()

    async def _on_idle(self) -> None:
        with suppress(CodexError):  # it would be nobody's
            await self._close_if_idle()

    async def close(self) -> None:
        """End the server, and all jobs on it."""
        await self._servers.close()

    # Its jobs

    def place(self, conversation: str) -> Place:
        """Return the place of a conversation; those of the oldest conversations are given up."""
        place = self._places.pop(conversation, None) or Place(conversation)
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
        server = self._servers.here()
        connection = await server.connect()
        thread_id, loaded = place.thread_id, place.loaded_by is connection
        if thread_id is None or not loaded or thread_id not in connection.threads:
            thread_id = place.thread_id = await self._loaded(server, thread_id, tools)
            place.loaded_by = connection
            await self._unload_others(server, place)
        return connection, thread_id

    async def _loaded(
        self, server: NativeServer, thread_id: str | None, tools: list[dict[str, Any]]
    ) -> str:
        """Load a thread, or start one: also in place of one that cannot be had."""
        if thread_id is not None:
            try:
                return await server.start_thread(self.options, thread_id=thread_id)
            except CodexAppServerError as error:
                reason = next((_LOST[sign] for sign in _LOST if sign in error.message), None)
                if reason is None:
                    raise
            warnings.warn(
                f"{reason} thread {thread_id}: the conversation goes on with a new one",
                CodexWarning,
                stacklevel=2,
            )
        given: dict[str, Any] = {"dynamicTools": tools} if tools else {}
        return await server.start_thread(self.options, **given)

    async def _unload_others(self, server: NativeServer, place: Place) -> None:
        """Have the server forget the threads that were not used for longest, if it has loaded many."""
        loaded = [each for each in self._places.values() if each.loaded_by is place.loaded_by]
        suspended = {job.thread_id for job in self._jobs()}
        for other in loaded[: -min(_KEPT_LOADED, self._limit)]:
            if other is place or other.thread_id is None or other.thread_id in suspended:
                continue
            with suppress(anyio.WouldBlock):  # it is being used
                other.lock().acquire_nowait()
                try:
                    other.loaded_by = None
                    await server.forget(other.thread_id)
                finally:
                    other.lock().release()

    def _jobs(self) -> list[_SuspendedJob]:
        server = self._servers.running()
        kept: Iterable[KeptThread] = () if server is None else server.threads
        return [each for each in kept if isinstance(each, _SuspendedJob)]

    @property
    def has_suspended(self) -> bool:
        """Whether any job is suspended on the server of the running event loop."""
        return bool(self._jobs())

    async def suspend(self, job: Job, place: Place, call_id: str, run: RunTurns) -> bool:
        """Keep *job* for the call that goes on with it; false: its run is over, and nobody will."""
        kept = _SuspendedJob(
            job.thread_id,
            call_id,
            place.conversation,
            job.turn,
            run,
            deferred=True,
            stored=True,
            job=job,
        )
        try:
            await self._servers.here().keep(kept)
        except BaseException:
            self._remove([kept])
            raise
        return not (run.ended and self._remove([kept]))

    async def resume(self, place: Place, call_id: str) -> Job | None:
        """Take the job back that was suspended by a call, if it has not been given up.

        Raises:
            CodexError: the server cannot be started.
        """
        server = self._servers.here()
        await server.connect()  # if that has to be made anew, its jobs have ended with the old one
        kept = server.threads.take(call_id, place.conversation)
        if not isinstance(kept, _SuspendedJob):
            return None
        place.thread_id = kept.thread_id  # the place may be a new one
        return kept.job

    def suspended_calls(self, thread_id: str | None) -> list[str]:
        """Return the calls whose jobs are suspended on a thread."""
        return [each.history for each in self._jobs() if each.thread_id == thread_id]

    async def give_up(self, conversation: str, call_ids: Collection[str]) -> list[Job]:
        """Stop the jobs that were suspended by calls which nobody will make again, and return them."""
        jobs = [each for each in self._jobs() if each.setting == conversation]
        jobs = [each for each in jobs if each.history in call_ids]
        await self._discard(jobs)
        return [each.job for each in jobs]

    async def give_up_run(self, run: RunTurns) -> None:
        """Stop the jobs that a run has suspended which will not be gone on with."""
        with anyio.move_on_after(_CLOSE_BOUND, shield=True):
            await self._discard([each for each in self._jobs() if each.run is run])

    def _remove(self, jobs: Collection[KeptThread]) -> list[KeptThread]:
        server = self._servers.running()
        return [] if server is None else server.threads.remove(lambda each: each in jobs)

    async def _discard(self, jobs: Collection[KeptThread]) -> None:
        server = self._servers.running()
        if server is not None and jobs:
            await server.discard(self._remove(jobs))
