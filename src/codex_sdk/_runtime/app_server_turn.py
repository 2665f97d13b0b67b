"""One turn on a connection to an app-server, which runs as long as a block, and no longer.

Leaving the block of a turn that has not ended interrupts it, waits for its end, and ends what it has left
running. So does the end of a turn that was interrupted otherwise: the CLI itself ends no command.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio

from .._core.jsonrpc import Notification, Request
from .._io.task_groups import open_task_group
from ..exceptions import AppServerTimeoutError, CodexAppServerError, CodexError
from .app_server_connection import AppServerConnection
from .subscriptions import TurnSubscription

__all__ = ["RunningTurn", "running_turn"]

_ANSWER_GRACE = 5.0
"""Seconds for the answer to a ``turn/start`` that nobody waits for any more: without it, the turn that may
run now could not be interrupted. It takes some hundredths of a second."""

_INTERRUPT_GRACE = 5.0
"""Seconds for the server to interrupt a turn, and for the turn to end then. Measured: at most 0.1."""

_ENDED_BY_ITSELF = ("completed", "failed")
"""How turns end whose commands may run on, if the model meant them to."""

_KNOWN_GRACE = 1.0
"""Seconds for the server to know a turn that it has answered to have started. Measured: 0.01."""

_NOT_KNOWN = "no active turn"
"""What the server says of a turn that it does not know yet, or any more."""

_LATE_GRACE = 1.0
"""Seconds after the time limit of ``turn/start`` in which a server that is slow may still start the turn."""

_INTERRUPT_PAUSE = 0.01
"""Seconds until a server is asked again to interrupt a turn that it does not know yet."""

_CLEAN_GRACE = 2.0
"""Seconds for the server to end commands. Measured: 0.005."""

_LEAVE_BOUND = 3 * _INTERRUPT_GRACE
"""Seconds after which leaving is over in any case."""


class RunningTurn:
    """A turn that was started; made by :func:`running_turn`.

    Attributes:
        thread_id: the thread.
        initial: the turn, as the server answered that it has started it.
    """

    def __init__(self, connection: AppServerConnection, subscription: TurnSubscription) -> None:
        self.thread_id = subscription.thread_id
        self.initial: dict[str, Any] = {}
        self._connection = connection
        self._subscription = subscription
        self._since = connection.leftovers.now()

    @property
    def turn_id(self) -> str:
        """The turn's id; with CLIs of the generation of 0.80 a number that repeats in each thread.

        Raises:
            CodexError: the server has not told it.
        """
        if self._subscription.turn_id is None:
            raise CodexError(f"the app-server has started no turn on thread {self.thread_id!r}")
        return self._subscription.turn_id

    @property
    def is_over(self) -> bool:
        """Whether the turn has ended."""
        return self._subscription.completed is not None

    @property
    def final(self) -> dict[str, Any] | None:
        """The turn, as the server told that it has ended; ``None`` before."""
        completed = self._subscription.completed
        if completed is None:
            return None
        turn = completed.params.get("turn")
        return cast("dict[str, Any]", turn) if isinstance(turn, dict) else {}

    @property
    def ended_by_itself(self) -> bool:
        """Whether the turn has ended, and was not interrupted."""
        return (self.final or {}).get("status") in _ENDED_BY_ITSELF

    def item(self, item_id: object) -> dict[str, Any] | None:
        """Return an item that has begun and not ended, as the server told when it began."""
        return self._subscription.items.get(str(item_id))

    async def receive(self) -> Notification:
        """Return the turn's next notification; the last one is ``turn/completed``.

        Raises:
            anyio.EndOfStream: that one was returned already.
            AppServerClosedError: the connection ended before the turn did.
        """
        return await self._subscription.receive()

    async def receive_batch(self) -> Sequence[Notification]:
        """Return all notifications that have come, waiting for the first; none, at the end.

        Raises:
            AppServerClosedError: the connection ended before the turn did.
        """
        try:
            return await self._subscription.receive_batch()
        except anyio.EndOfStream:
            return ()

    async def wait_over(self) -> None:
        """Wait until the turn has ended, whoever reads its notifications, or the connection."""
        await self._subscription.wait_over()

    async def steer(self, input: Sequence[Mapping[str, Any]], **params: Any) -> dict[str, Any]:
        """Add to the turn's input, in the protocol's form.

        Raises:
            CodexAppServerError: the turn has ended, or the CLI cannot do that (0.80.0).
        """
        given = {"threadId": self.thread_id, "input": list(input), **params}
        given["expectedTurnId"] = self.turn_id
        result: dict[str, Any] = await self._connection.request("turn/steer", given)
        return result

    async def interrupt(self) -> None:
        """Have the turn ended; its last notification comes soon. One that has ended stays as it is.

        Raises:
            CodexError: as ``AppServerConnection.interrupt`` does.
        """
        give_up = anyio.current_time() + _KNOWN_GRACE
        while not self.is_over:
            try:
                await self._connection.interrupt(self.thread_id, self.turn_id)
            except CodexError as error:
                unknown = _NOT_KNOWN in str(error) and anyio.current_time() < give_up
                if not (unknown or self.is_over):
                    raise
                await anyio.sleep(_INTERRUPT_PAUSE)
            else:
                return

    async def start(self, params: Mapping[str, Any]) -> None:
        """Send ``turn/start``, and return when it is answered.

        A cancelled call waits for the answer, for a while, so that the turn can be interrupted.
        """
        asking = anyio.CancelScope(shield=True)
        answered = anyio.Event()

        async def ask() -> None:
            with asking:
                try:
                    result = await self._connection.request(
                        "turn/start", params, on_result=self._bind
                    )
                except AppServerTimeoutError:
                    await self._bind_late()  # noqa: ASYNC120 - then nobody wants the error
                    raise
                self._connection.part_of(result, "turn/start", "turn", "id", of=str)
                self.initial = _turn_of(result)
            answered.set()

        async with open_task_group() as task_group:
            task_group.start_soon(ask)
            try:
                await answered.wait()
            except anyio.get_cancelled_exc_class():
                asking.deadline = anyio.current_time() + _ANSWER_GRACE
                raise

    def _bind(self, result: Any) -> None:
        turn_id = _turn_of(result).get("id")
        if isinstance(turn_id, str):
            self._connection.peer.bind(self._subscription, turn_id)

    async def _bind_late(self) -> None:
        """Learn of a turn that the server has started without answering in time: it is to be interrupted."""
        peer = self._connection.peer
        with anyio.move_on_after(_LATE_GRACE):
            while (turn_id := peer.running_turn(self.thread_id)) is None:  # noqa: ASYNC110 - announced to nobody
                await anyio.sleep(_INTERRUPT_PAUSE)
            peer.bind(self._subscription, turn_id)

    async def leave(self) -> None:
        """End the turn, if it has not ended, and the commands of one that has not ended by itself."""
        if self._subscription.turn_id is None:
            return
        if not self.is_over:
            await self._interrupt_and_wait()
        leftovers, peer = self._connection.leftovers, self._connection.peer
        if self.ended_by_itself:
            await leftovers.end_postponed(alone=not peer.runs_turns)
            return
        if not leftovers.all_seen:
            await self._clean()
        legacy = self._connection.legacy
        await leftovers.end_commands(
            self._since, None if legacy else self.thread_id, alone=not peer.runs_turns
        )

    async def _clean(self) -> None:
        """Have the server end the commands of the thread, where that is the only way."""
        if not self._connection.options.experimental_api_enabled:
            return
        try:
            await self._connection.request(
                "thread/backgroundTerminals/clean",
                {"threadId": self.thread_id},
                timeout=_CLEAN_GRACE,
            )
        except CodexError:
            pass  # the connection has ended, or the CLI does not have that

    async def _interrupt_and_wait(self) -> None:
        with anyio.move_on_after(_INTERRUPT_GRACE):
            while not await self._is_interrupted():  # noqa: ASYNC110 - nothing announces it
                await anyio.sleep(_INTERRUPT_PAUSE)
            await self._subscription.wait_over()

    async def _is_interrupted(self) -> bool:
        """Ask for the end of the turn; false: the server says that there is none, or not yet.

        Seen on 0.163.0: right after its answer to ``turn/start``, the turn is not known.
        """
        try:
            await self._connection.interrupt(self.thread_id, self.turn_id)
        except CodexAppServerError:
            return self.is_over or self._connection.peer.failure is not None
        except CodexError:
            pass  # the connection has ended, and wait_over() knows
        return True


def _turn_of(result: object) -> dict[str, Any]:
    turn = cast("dict[str, Any]", result).get("turn") if isinstance(result, dict) else None
    return cast("dict[str, Any]", turn) if isinstance(turn, dict) else {}


def _left() -> CodexError:
    return CodexError("the turn was left before the app-server told its end")


@asynccontextmanager
async def running_turn(
    connection: AppServerConnection,
    thread_id: str,
    params: Mapping[str, Any],
    *,
    on_request: Callable[[Request], Awaitable[Any]] | None = None,
) -> AsyncGenerator[RunningTurn, None]:
    """Start a turn, and yield it when the server has.

    However the block is left: soon afterwards the turn has ended. Of a turn that has not ended by itself no
    command runs any more, and no empty folder of a sandbox is left, where the server was started here. (Where
    it runs elsewhere, it is asked to end the thread's commands, if ``experimental_api_enabled`` lets it. With
    CLIs of the generation of 0.80, commands that were left are ended when no turn runs.) All this takes
    fractions of a second, and is bounded.

    Args:
        connection: where the thread was started or resumed.
        params: those of ``turn/start``, without ``threadId``.
        on_request: answers the requests of the server that belong to the turn, as :data:`OnRequest` does;
            ``None``: they are answered as those that belong to none.

    Raises:
        CodexError: the thread runs a turn already; the server refuses, or answers nothing of use.
        AppServerClosedError: the connection has ended.
    """
    with (
        connection.leftovers.removing_litter(thread_id, params),
        connection.peer.following(thread_id, on_request) as subscription,
    ):
        turn = RunningTurn(connection, subscription)
        try:
            await turn.start({**params, "threadId": thread_id})
            yield turn
        finally:
            with anyio.move_on_after(_LEAVE_BOUND, shield=True):
                await turn.leave()
            subscription.end(_left)
