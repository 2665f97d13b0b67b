"""Turn sessions, against an app-server that does what the test says."""

from __future__ import annotations

import asyncio
import gc
import weakref
from traceback import walk_tb

import anyio
import pytest
from anyio.lowlevel import checkpoint

from codex_sdk import (
    AppServerClosedError,
    AppServerOptions,
    AppServerTimeoutError,
    CodexAppServerError,
    CodexError,
    CodexParseError,
)
from codex_sdk._runtime import app_server_turn
from codex_sdk.app_server import AppServerClient
from codex_sdk.app_server.approvals import ApprovalDecisions, RequestHandlers
from codex_sdk.testing import ErrorReply, FakeAppServer
from codex_sdk.testing.app_server_messages import ClientRequest

from .app_server_turns import OTHER, THREAD, turns

COMMAND = "item/commandExecution/requestApproval"


# What a session is


async def test_a_session_can_be_used_without_a_block() -> None:
    async with turns() as fake:
        session = await fake.client.turn_session(
            THREAD, "Run tests.", approvals=ApprovalDecisions(command_execution="accept")
        )
        await fake.say(THREAD, "u-1", "done")
        await fake.end(THREAD, "u-1")

        methods = [notification.method async for notification in session.notifications()]
        final_turn = await session.wait()

        assert methods == ["turn/started", "item/agentMessage/delta", "turn/completed"]
        assert final_turn is not None
        assert final_turn["status"] == "completed"
        assert fake.interrupted == []


@pytest.mark.parametrize("awaited", [False, True])
async def test_a_session_can_be_entered_awaited_or_not(awaited: bool) -> None:
    async with turns() as fake:
        session = fake.client.turn_session(THREAD, "hi")
        if awaited:
            await session
        async with session as entered:
            assert entered is session
            assert session.turn_id == "u-1"
            await fake.end(THREAD, "u-1")
            await session.wait()

        assert [call.method for call in fake.server.requests[1:]] == ["turn/start"]


async def test_a_session_knows_its_turn_before_and_after() -> None:
    async with turns() as fake, fake.client.turn_session(THREAD, "hi") as session:
        assert session.thread_id == THREAD
        assert session.turn_id == "u-1"
        assert session.initial_turn == {"id": "u-1", "status": "inProgress", "items": []}
        assert session.final_turn is None

        await fake.end(THREAD, "u-1", "failed")
        await session.wait()

        assert session.final_turn == {"id": "u-1", "status": "failed", "items": [], "error": None}
        assert repr(session) == "<AppServerTurnSession thread_id='t-1' turn_id='u-1'>"


async def test_the_input_and_the_params_are_the_protocols() -> None:
    async with turns() as fake:
        items = [{"type": "local_image", "path": "a.png"}]
        async with fake.client.turn_session(THREAD, items, output_schema={"type": "object"}):
            await fake.end(THREAD, "u-1")

        [started] = [call for call in fake.server.requests if call.method == "turn/start"]
        assert started.params == {
            "threadId": THREAD,
            "input": [{"type": "localImage", "path": "a.png"}],
            "outputSchema": {"type": "object"},
        }


async def test_a_session_that_is_not_started_says_so() -> None:
    async with turns() as fake:
        session = fake.client.turn_session(THREAD, "hi")

        assert session.initial_turn is None
        for use in (session.notifications, session.requests, session.text_deltas):
            with pytest.raises(CodexError, match="has not been started"):
                use()
        for call in (session.wait, session.interrupt, session.next_notification):
            with pytest.raises(CodexError, match="has not been started"):
                await call()
        await session.close()


async def test_a_client_that_is_not_connected_starts_no_session() -> None:
    session = AppServerClient(AppServerOptions()).turn_session(THREAD, "hi")

    with pytest.raises(CodexError, match="not connected"):
        await session


# Notifications


async def test_what_comes_before_the_answer_to_turn_start_belongs_to_the_turn() -> None:
    async with turns() as fake:
        starting = anyio.Event()
        answered = anyio.Event()

        async def answer(_: object) -> object:
            starting.set()
            await answered.wait()
            return {"turn": {"id": "u-9"}}

        fake.server.on("turn/start", answer)
        async with anyio.create_task_group() as task_group:
            session = fake.client.turn_session(THREAD, "hi")
            task_group.start_soon(session.start)
            await starting.wait()
            await fake.say(THREAD, "u-9", "early")
            await fake.say(THREAD, "u-8", "another turn's")
            answered.set()

        await fake.say(THREAD, "u-9", "late")
        await fake.end(THREAD, "u-9")
        assert [text async for text in session.text_deltas()] == ["early", "late"]
        others = await fake.client.next_notification()
        assert others.params["delta"] == "another turn's"


@pytest.mark.parametrize("first", [THREAD, OTHER])
async def test_sessions_see_their_own_turns_in_order_whichever_ends_first(first: str) -> None:
    async with turns() as fake:
        one = await fake.client.turn_session(THREAD, "hi")
        two = await fake.client.turn_session(OTHER, "hi")
        for number in range(100):
            await fake.say(THREAD, "u-1", f"a{number} ")
            await fake.say(OTHER, "u-2", f"b{number} ")
        ends = [(THREAD, "u-1"), (OTHER, "u-2")]
        for thread_id, turn_id in ends if first == THREAD else reversed(ends):
            await fake.end(thread_id, turn_id)

        finals = [await one.wait(), await two.wait()]

        assert [final and final["id"] for final in finals] == ["u-1", "u-2"]
        for session, name in ((one, "a"), (two, "b")):
            pieces = [text async for text in session.text_deltas()]
            assert pieces == [f"{name}{number} " for number in range(100)]


async def test_a_thread_of_the_same_turn_id_is_another_turn() -> None:
    async with turns("0.80.0") as fake:
        fake.server.on("turn/start", {"turn": {"id": "0"}})
        one = await fake.client.turn_session(THREAD, "hi")
        two = await fake.client.turn_session(OTHER, "hi")
        await fake.say(OTHER, "0", "two")
        await fake.end(OTHER, "0")

        assert [text async for text in two.text_deltas()] == ["two"]
        assert one.final_turn is None
        await fake.end(THREAD, "0")
        assert [text async for text in one.text_deltas()] == []


async def test_unread_text_and_a_handler_that_blocks_hold_up_nothing() -> None:
    unblocked = anyio.Event()

    async def block(_: object) -> str:
        await unblocked.wait()
        return "accept"

    async with turns() as fake:
        silent = await fake.client.turn_session(THREAD, "hi")
        asking = await fake.client.turn_session(
            OTHER, "hi", handlers=RequestHandlers(on_command_approval=block)
        )
        approval = await fake.begin_asking(COMMAND, OTHER, "u-2")
        for number in range(10_000):
            await fake.say(THREAD, "u-1", f"{number} ")
        fake.server.on("slow", lambda _: anyio.sleep_forever())
        with pytest.raises(AppServerTimeoutError):
            await fake.client.request("slow", timeout=0.01)
        fake.server.on("quick", {"ok": True})
        assert await fake.client.request("quick") == {"ok": True}
        assert not approval.answered
        unblocked.set()
        assert await approval.answer() == {"decision": "accept"}
        await fake.end(THREAD, "u-1")
        await fake.end(OTHER, "u-2")
        await asking.wait()
        await silent.wait()

        pieces = [text async for text in silent.text_deltas()]

        assert "".join(pieces) == "".join(f"{number} " for number in range(10_000))
        assert len(pieces) < 1000


async def test_waiting_needs_no_reader_and_takes_nothing_from_a_later_one() -> None:
    async with turns() as fake, fake.client.turn_session(THREAD, "hi") as session:
        await fake.say(THREAD, "u-1", "text")
        await fake.end(THREAD, "u-1")
        await session.wait()

        began, text, ended = [await session.next_notification() for _ in range(3)]

        assert began is not None
        assert began.method == "turn/started"
        assert text is not None
        assert text.payload.delta == "text"  # type: ignore[union-attr]
        assert ended is not None
        assert ended.method == "turn/completed"
        assert await session.next_notification() is None
        assert await session.wait() == session.final_turn


# One turn at a time


async def test_a_second_session_on_a_busy_thread_is_refused_and_starts_nothing() -> None:
    async with turns() as fake:
        session = await fake.client.turn_session(THREAD, "hi")
        with pytest.raises(CodexError, match=f"{THREAD}.*already runs a turn.*steer"):
            await fake.client.turn_session(THREAD, "again")
        await fake.end(THREAD, "u-1")
        await session.wait()

        async with fake.client.turn_session(THREAD, "now") as following:
            assert following.turn_id == "u-2"
            await fake.end(THREAD, "u-2")

        started = [call for call in fake.server.requests if call.method == "turn/start"]
        assert [call.params["input"][0]["text"] for call in started] == ["hi", "now"]


async def test_a_refused_turn_frees_its_thread() -> None:
    async with turns() as fake:
        fake.server.on("turn/start", ErrorReply("thread not found"))
        with pytest.raises(CodexAppServerError, match="thread not found"):
            await fake.client.turn_session(THREAD, "hi")
        fake.server.on("turn/start", {"turn": {"id": "u-5"}})
        async with fake.client.turn_session(THREAD, "hi"):
            await fake.end(THREAD, "u-5")


@pytest.mark.parametrize("answer", [{}, {"turn": {}}, {"turn": None}, None])
async def test_an_answer_without_a_turn_is_an_error(answer: object) -> None:
    async with turns() as fake:
        fake.server.on("turn/start", answer)
        with pytest.raises(CodexParseError, match=r"answer to turn/start has no turn\.id"):
            await fake.client.turn_session(THREAD, "hi")


# Leaving


async def test_leaving_an_unfinished_turn_interrupts_it_and_waits_for_its_end() -> None:
    async with turns() as fake:
        async with fake.client.turn_session(THREAD, "hi") as session:
            pass

        assert fake.interrupted == [{"threadId": THREAD, "turnId": "u-1"}]
        assert session.final_turn is not None
        assert session.final_turn["status"] == "interrupted"
        methods = [notification.method async for notification in session.notifications()]
        assert methods == ["turn/started", "turn/completed"]


async def test_leaving_waits_for_a_turn_that_ends_after_the_interrupt_is_answered() -> None:
    async with turns() as fake:
        asked = anyio.Event()
        fake.server.on("turn/interrupt", lambda _: asked.set() or {})
        async with anyio.create_task_group() as task_group:
            session = await fake.client.turn_session(THREAD, "hi")
            task_group.start_soon(session.close)
            await asked.wait()
            await anyio.wait_all_tasks_blocked()
            await fake.end(THREAD, "u-1", "interrupted")

        assert session.final_turn is not None
        assert session.final_turn["status"] == "interrupted"


async def test_nothing_keeps_a_session_that_has_ended_and_is_let_go() -> None:
    async with turns() as fake:
        session = await fake.client.turn_session(THREAD, "hi")
        await fake.end(THREAD, "u-1")
        await session.wait()
        await anyio.wait_all_tasks_blocked()
        gone = weakref.ref(session)
        del session
        gc.collect()

        assert gone() is None


async def test_an_exception_of_the_block_leaves_as_itself() -> None:
    async with turns() as fake:
        with pytest.raises(ValueError, match="mine"):
            async with fake.client.turn_session(THREAD, "hi"):
                raise ValueError("mine")

        assert len(fake.interrupted) == 1


async def test_a_cancelled_block_interrupts_the_turn_too() -> None:
    async with turns() as fake:
        with anyio.CancelScope() as scope:
            async with fake.client.turn_session(THREAD, "hi"):
                scope.cancel()
                await anyio.sleep_forever()

        assert scope.cancelled_caught
        assert len(fake.interrupted) == 1


async def test_a_turn_whose_start_was_cancelled_is_interrupted_when_it_has_started() -> None:
    async with turns() as fake:
        starting = anyio.Event()
        answered = anyio.Event()

        async def answer(_: object) -> object:
            starting.set()
            await answered.wait()
            return await fake.begin(THREAD, "u-7")

        fake.server.on("turn/start", answer)
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(fake.client.turn_session(THREAD, "hi").start)
            await starting.wait()
            task_group.cancel_scope.cancel()
            answered.set()

        assert fake.interrupted == [{"threadId": THREAD, "turnId": "u-7"}]


async def test_leaving_a_turn_that_does_not_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_server_turn, "_INTERRUPT_GRACE", 0.05)
    async with turns() as fake:
        fake.server.on("turn/interrupt", lambda _: anyio.sleep_forever())
        with anyio.fail_after(10):
            async with fake.client.turn_session(THREAD, "hi") as session:
                pass

        assert session.final_turn is None
        assert await session.wait() is None
        await session.next_notification()
        with pytest.raises(CodexError, match="left before"):
            await session.next_notification()


async def test_closing_the_client_ends_its_sessions_before_the_connection() -> None:
    async with turns() as fake:
        one = await fake.client.turn_session(THREAD, "hi")
        two = await fake.client.turn_session(OTHER, "hi")
        await fake.client.close()

        assert sorted(call["threadId"] for call in fake.interrupted) == [THREAD, OTHER]
        for session in (one, two):
            assert session.final_turn is not None
            assert session.final_turn["status"] == "interrupted"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("steps", range(4))
async def test_closing_that_asyncio_cancels_ends_all_the_same(steps: int) -> None:
    interrupted = anyio.Event()

    async def never(_: object) -> None:
        interrupted.set()
        await anyio.sleep_forever()

    async def use() -> None:
        async with turns() as fake:
            fake.server.on("turn/interrupt", never)
            await fake.client.turn_session(THREAD, "hi")
            await fake.client.turn_session(OTHER, "hi")

    using = asyncio.create_task(use())
    await interrupted.wait()
    for _ in range(steps):
        await checkpoint()
    using.cancel()
    done, _ = await asyncio.wait([using], timeout=10)
    assert done


async def test_a_handler_may_close_the_client_that_it_serves() -> None:
    async def close(_: object) -> str:
        await fake.client.close()
        await anyio.sleep_forever()
        return "accept"

    handlers = RequestHandlers(on_command_approval=close)
    with anyio.fail_after(10):
        async with turns() as fake:
            session = await fake.client.turn_session(THREAD, "hi", handlers=handlers)
            await fake.begin_asking(COMMAND, THREAD, "u-1", command="ls", cwd="/")
            await session.wait()
    assert fake.interrupted == [{"threadId": THREAD, "turnId": "u-1"}]


async def test_what_a_handler_exits_by_ends_the_connection_and_who_waits_for_it() -> None:
    class Exit(BaseException):
        pass

    def leave(_: object) -> str:
        raise Exit

    handlers = RequestHandlers(on_command_approval=leave)
    waited: list[bool] = []
    with pytest.raises(Exit), anyio.fail_after(10):
        async with turns() as fake, fake.client.turn_session(THREAD, "hi", handlers=handlers) as it:
            await fake.begin_asking(COMMAND, THREAD, "u-1", command="ls", cwd="/")
            with anyio.move_on_after(5) as limit:
                try:
                    await it.wait()
                except AppServerClosedError:
                    pass
                finally:
                    waited.append(limit.cancel_called)
    assert waited == [False]


async def test_what_a_handler_exits_by_reaches_who_closes_a_client_without_a_block() -> None:
    class Exit(BaseException):  # asyncio itself ends by SystemExit and KeyboardInterrupt
        pass

    await _exits_in_a_handler(Exit)


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("exit_by", [SystemExit, KeyboardInterrupt])
async def test_an_exit_in_a_handler_reaches_who_closes_a_client_without_a_block(
    exit_by: type[BaseException],
) -> None:
    await _exits_in_a_handler(exit_by)


async def _exits_in_a_handler(exit_by: type[BaseException]) -> None:
    def leave(_: object) -> str:
        raise exit_by("enough")

    async with FakeAppServer() as server:
        server.on("turn/start", {"turn": {"id": "u-1"}})
        handlers = RequestHandlers(on_command_approval=leave)
        client = AppServerClient(connect=server.connect, handlers=handlers)
        await client.start()
        with anyio.fail_after(10):
            session = await client.turn_session(THREAD, "hi")
            about = {"threadId": THREAD, "turnId": "u-1", "itemId": "i", "startedAtMs": 0}
            await server.begin_asking(COMMAND, about)
            with pytest.raises(AppServerClosedError, match=f"{exit_by.__name__} was raised"):
                await session.wait()
            with pytest.raises(AppServerClosedError, match=f"{exit_by.__name__} was raised"):
                await client.model_list()
            with pytest.raises(exit_by, match="enough"):
                await client.close()
            await client.close()

            await client.start()
            await client.close()


async def test_interrupting_a_turn_whose_server_has_died_tells_of_that() -> None:
    async with FakeAppServer() as server, AppServerClient(connect=server.connect) as client:
        server.on("turn/start", {"turn": {"id": "u-1"}})
        session = await client.turn_session(THREAD, "hi")
        server.hang_up(exit_code=3, stderr="last words")
        with pytest.raises(AppServerClosedError):
            await session.wait()
        with pytest.raises(AppServerClosedError, match="last words"):
            await session.interrupt()


async def test_each_who_waits_for_a_turn_whose_connection_ended_gets_an_error_of_its_own() -> None:
    async with FakeAppServer() as server, AppServerClient(connect=server.connect) as client:
        server.on("turn/start", {"turn": {"id": "u-1"}})
        session = await client.turn_session(THREAD, "hi")
        server.hang_up(exit_code=3, stderr="last words")
        errors: list[AppServerClosedError] = []
        for _ in range(5):
            with pytest.raises(AppServerClosedError, match="last words") as caught:
                await session.wait()
            errors.append(caught.value)

        assert len({id(error) for error in errors}) == 5
        lengths = [len(list(walk_tb(error.__traceback__))) for error in errors]
        assert max(lengths) == min(lengths)
        assert {error.exit_code for error in errors} == {3}


async def test_a_client_without_a_block_has_sessions_too() -> None:
    async with FakeAppServer() as server:
        server.on("turn/start", {"turn": {"id": "u-1"}})
        client = AppServerClient(AppServerOptions(), connect=server.connect)
        await client.start()
        session = await client.turn_session(THREAD, "hi")
        turn = {"id": "u-1", "status": "completed"}
        await server.notify("turn/completed", {"threadId": THREAD, "turn": turn})

        assert await session.wait() == turn
        await client.close()


async def test_the_end_of_the_connection_reaches_everybody() -> None:
    async with FakeAppServer() as server:
        server.on("turn/start", {"turn": {"id": "u-1"}})
        async with AppServerClient(AppServerOptions(), connect=server.connect) as client:
            async with client.turn_session(THREAD, "hi") as session:
                server.hang_up(exit_code=3, stderr="out of memory")
                with pytest.raises(AppServerClosedError, match="out of memory"):
                    await session.wait()
                with pytest.raises(AppServerClosedError, match="out of memory"):
                    await session.next_notification()
                assert await session.next_request() is None

            assert session.final_turn is None


# Steering


async def test_a_turn_is_steered_and_interrupted() -> None:
    async with turns() as fake, fake.client.turn_session(THREAD, "hi") as session:
        fake.server.on("turn/steer", {"turnId": "u-1"})

        assert await session.steer("and quickly") == {"turnId": "u-1"}
        await session.interrupt()
        final = await session.wait()
        await session.interrupt()  # of a turn that has ended: nothing

        assert final is not None
        assert final["status"] == "interrupted"
        [steered] = [call for call in fake.server.requests if call.method == "turn/steer"]
        assert steered.params == {
            "threadId": THREAD,
            "expectedTurnId": "u-1",
            "input": [{"type": "text", "text": "and quickly"}],
        }


async def test_an_interrupt_that_the_server_refuses_is_an_error_while_the_turn_runs() -> None:
    async with turns() as fake:
        async with fake.client.turn_session(THREAD, "hi") as session:
            fake.server.on("turn/interrupt", ErrorReply("no"))
            with pytest.raises(CodexAppServerError, match="no"):
                await session.interrupt()
            await fake.end(THREAD, "u-1")
            await session.wait()
            await session.interrupt()


async def test_a_turn_can_be_interrupted_before_the_server_knows_it() -> None:
    async with turns() as fake, fake.client.turn_session(THREAD, "hi") as session:
        refusals = [ErrorReply("no active turn to interrupt")] * 2

        async def refuse_at_first(request: ClientRequest) -> object:
            return refusals.pop() if refusals else await fake.interrupt(request)

        fake.server.on("turn/interrupt", refuse_at_first)
        await session.interrupt()
        final = await session.wait()

        assert refusals == []
        assert final is not None
        assert final["status"] == "interrupted"
