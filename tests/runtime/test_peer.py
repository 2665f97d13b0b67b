"""One connection to an app-server, used by many tasks."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import anyio
import pytest

from codex_sdk._core.jsonrpc import Notification, Request
from codex_sdk._runtime.peer import Peer, TurnSubscription
from codex_sdk.exceptions import (
    AppServerClosedError,
    AppServerTimeoutError,
    CodexAppServerError,
    CodexError,
)

from .conftest import Connect, Wire, outcome


async def ask(peer: Peer, answers: dict[str, Any], method: str, **options: Any) -> None:
    answers[method] = await outcome(peer.request(method, {}, **options))


async def start_turn(peer: Peer, wire: Wire, subscription: TurnSubscription, turn_id: str) -> None:
    """Start the turn of a subscription, with the server's answer."""

    def bind(result: Any) -> None:
        peer.bind(subscription, result["turn"]["id"])

    async with anyio.create_task_group() as task_group:
        task_group.start_soon(partial(peer.request, "turn/start", {}, on_result=bind))
        asked = await wire.heard()
        await wire.say(id=asked["id"], result={"turn": {"id": turn_id}})


def texts(notifications: list[Notification]) -> str:
    return "".join(it.params.get("delta", "") for it in notifications)


async def read_all(subscription: TurnSubscription) -> list[Notification]:
    notifications: list[Notification] = []
    with anyio.fail_after(10):
        while True:
            try:
                notifications += await subscription.receive_batch()
            except anyio.EndOfStream:
                return notifications


class TestRequests:
    async def test_answers_find_who_asked_in_whatever_order_they_come(
        self, connect: Connect, wire: Wire
    ) -> None:
        answers: dict[str, Any] = {}
        async with connect() as peer, anyio.create_task_group() as task_group:
            for number in range(20):
                task_group.start_soon(ask, peer, answers, f"m{number}")
            asked = [await wire.heard() for _ in range(20)]
            for request in reversed(asked):
                await wire.say(id=request["id"], result=request["method"])
        assert answers == {f"m{number}": f"m{number}" for number in range(20)}

    async def test_a_refusal_is_an_error_with_all_that_the_server_said(
        self, connect: Connect, wire: Wire
    ) -> None:
        answers: dict[str, Any] = {}
        async with connect() as peer, anyio.create_task_group() as task_group:
            task_group.start_soon(ask, peer, answers, "m")
            request = await wire.heard()
            error = {"code": -32600, "message": "no", "data": {"why": 1}}
            await wire.say(id=request["id"], error=error)
        refusal = answers["m"]
        assert isinstance(refusal, CodexAppServerError)
        assert (refusal.code, refusal.message, refusal.data) == (-32600, "no", {"why": 1})
        assert str(refusal) == "Codex app-server error -32600 to m: no ({'why': 1})"

    async def test_a_null_result_is_a_result(self, connect: Connect, wire: Wire) -> None:
        answers: dict[str, Any] = {}
        async with connect() as peer, anyio.create_task_group() as task_group:
            task_group.start_soon(ask, peer, answers, "m")
            await wire.say(id=(await wire.heard())["id"], result=None)
        assert answers == {"m": None}

    async def test_a_request_that_times_out_leaves_nothing_behind(
        self, connect: Connect, wire: Wire
    ) -> None:
        async with connect() as peer:
            with pytest.raises(AppServerTimeoutError, match=r"did not answer m within 0\.01 s"):
                await peer.request("m", {}, timeout=0.01)
            late = await wire.heard()
            answers: dict[str, Any] = {}
            async with anyio.create_task_group() as task_group:
                task_group.start_soon(ask, peer, answers, "next")
                request = await wire.heard()
                await wire.say(id=late["id"], result="late")
                await wire.say(id=late["id"], result="again")
                await wire.say(id=request["id"], result="in time")
            assert answers == {"next": "in time"}
            assert (peer.statistics.late_replies, peer.statistics.stray_replies) == (2, 0)

    async def test_a_cancelled_request_leaves_nothing_behind(
        self, connect: Connect, wire: Wire
    ) -> None:
        async with connect() as peer:
            async with anyio.create_task_group() as task_group:
                task_group.start_soon(peer.request, "m")
                request = await wire.heard()
                task_group.cancel_scope.cancel()
            answers: dict[str, Any] = {}
            async with anyio.create_task_group() as task_group:
                task_group.start_soon(ask, peer, answers, "next")
                await wire.say(id=request["id"], result="late")
                await wire.say(id=(await wire.heard())["id"], result="ok")
            assert answers == {"next": "ok"}

    async def test_lines_that_are_no_message_disturb_nobody(
        self, connect: Connect, wire: Wire
    ) -> None:
        answers: dict[str, Any] = {}
        async with connect() as peer:
            async with anyio.create_task_group() as task_group:
                task_group.start_soon(ask, peer, answers, "m")
                request = await wire.heard()
                for line in (
                    b"rubbish\n",
                    b"[]\n",
                    b'"\xff"\n',
                    b"{}\n",
                    b'{"id":99,"result":1}\n',
                ):
                    await wire.say_bytes(line)
                await wire.say(id=request["id"], result="ok")
            assert answers == {"m": "ok"}
            assert (peer.statistics.malformed_lines, peer.statistics.stray_replies) == (4, 1)

    async def test_what_is_no_json_is_refused_at_once(self, connect: Connect) -> None:
        async with connect() as peer:
            with pytest.raises(CodexError, match="m cannot be sent"):
                await peer.request("m", {"text": "\ud800"})

    async def test_a_cancelled_caller_leaves_no_half_message(
        self, connect: Connect, wire: Wire
    ) -> None:
        wire.accepts = anyio.Event()
        async with connect() as peer:
            with anyio.move_on_after(0.01):
                await peer.request("first")
            wire.accepts.set()
            async with anyio.create_task_group() as task_group:
                task_group.start_soon(peer.request, "second")
                heard = [await wire.heard(), await wire.heard()]
                await wire.say(id=heard[1]["id"], result=None)
        assert [message["method"] for message in heard] == ["first", "second"]


class TestTurns:
    async def test_each_turn_gets_its_own_notifications_and_the_client_the_rest(
        self, connect: Connect, wire: Wire
    ) -> None:
        async with connect() as peer:
            with peer.following("T1") as one, peer.following("T2") as two:
                await start_turn(peer, wire, one, "0")
                await start_turn(peer, wire, two, "0")  # turn ids of old CLIs repeat in each thread
                for number in range(50):
                    await wire.tell("x/delta", "T1", "0", itemId="i", delta=f"a{number}")
                    await wire.tell("x/delta", "T2", "0", itemId="i", delta=f"b{number}")
                    await wire.tell("thread/status/changed", "T1", None)
                await wire.tell("turn/completed", "T2", None, turn={"id": "0"})
                await wire.tell("turn/completed", "T1", None, turn={"id": "0"})
                assert texts(await read_all(one)) == "".join(f"a{n}" for n in range(50))
                assert texts(await read_all(two)) == "".join(f"b{n}" for n in range(50))
            rest = await peer.notifications.receive_batch()
            assert [it.method for it in rest] == ["thread/status/changed"] * 50

    async def test_what_comes_before_the_answer_to_turn_start_belongs_to_the_turn(
        self, connect: Connect, wire: Wire
    ) -> None:
        async with connect() as peer:
            with peer.following("T") as turn:
                await wire.tell("turn/started", "T", None, turn={"id": "new"})
                await wire.tell("x/delta", "T", "new", itemId="i", delta="early")
                await wire.tell("x/delta", "T", "old", itemId="i", delta="another's")
                await start_turn(peer, wire, turn, "new")
                await wire.tell("turn/completed", "T", None, turn={"id": "new"})
                own = await read_all(turn)
            assert [it.method for it in own] == ["turn/started", "x/delta", "turn/completed"]
            assert texts(list(await peer.notifications.receive_batch())) == "another's"

    async def test_two_turns_of_one_thread_are_refused(self, connect: Connect, wire: Wire) -> None:
        async with connect() as peer:
            with peer.following("T") as turn:
                with pytest.raises(CodexError, match=r"thread 'T' already runs a turn.*steer it"):
                    with peer.following("T"):
                        pass
                await start_turn(peer, wire, turn, "1")
                with pytest.raises(CodexError, match="already runs"):
                    with peer.following("T"):
                        pass
                await wire.tell("turn/completed", "T", None, turn={"id": "1"})
                await read_all(turn)
                with peer.following("T"):
                    pass

    async def test_a_turn_that_nobody_follows_is_known(self, connect: Connect, wire: Wire) -> None:
        async with connect() as peer:
            await wire.tell("turn/started", "T", None, turn={"id": "1"})
            await peer.notifications.receive()
            assert peer.running_turn("T") == "1"
            with pytest.raises(CodexError, match="already runs"):
                with peer.following("T"):
                    pass
            await wire.tell("turn/completed", "T", None, turn={"id": "1"})
            await peer.notifications.receive()
            assert peer.running_turn("T") is None

    async def test_ten_thousand_unread_pieces_are_few_notifications_and_the_whole_text(
        self, connect: Connect, wire: Wire
    ) -> None:
        async with connect() as peer:
            with peer.following("T") as turn:
                await start_turn(peer, wire, turn, "1")
                for number in range(10_000):
                    await wire.tell("x/delta", "T", "1", itemId="i", delta=f"{number} ")
                await wire.tell("turn/completed", "T", None, turn={"id": "1"})
                with anyio.fail_after(20):
                    await turn.wait_over()
                assert await outcome(self._answered(peer, wire)) == "still alive"
                own = await read_all(turn)
        assert len(own) < 1000
        assert texts(own) == "".join(f"{number} " for number in range(10_000))

    async def _answered(self, peer: Peer, wire: Wire) -> Any:
        answers: dict[str, Any] = {}
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(ask, peer, answers, "m")
            while "method" not in (request := await wire.heard()) or request["method"] != "m":
                continue
            await wire.say(id=request["id"], result="still alive")
        return answers["m"]

    async def test_an_unread_client_stream_keeps_the_newest(
        self, connect: Connect, wire: Wire
    ) -> None:
        async with connect() as peer:
            await wire.say_bytes(
                b"".join(b'{"method":"n","params":{"n":%d}}\n' % number for number in range(5000))
            )
            await self._answered(peer, wire)
            kept = await peer.notifications.receive_batch()
            assert [it.params["n"] for it in kept] == list(range(5000 - len(kept), 5000))
            assert peer.statistics.notifications_dropped == 5000 - len(kept) > 0


class TestServerRequests:
    async def test_a_request_that_takes_long_delays_nothing(
        self, connect: Connect, wire: Wire
    ) -> None:
        release = anyio.Event()

        async def on_request(request: Request, turn: TurnSubscription | None) -> Any:
            await release.wait()
            return {"decision": request.params["n"]}

        async with connect(on_request) as peer:
            for number in range(100):
                await wire.say(id=f"s{number}", method="ask", params={"n": number})
            answers: dict[str, Any] = {}
            async with anyio.create_task_group() as task_group:
                task_group.start_soon(ask, peer, answers, "m")
                await wire.say(id=(await wire.heard())["id"], result="at once")
            assert answers == {"m": "at once"}
            release.set()
            replies = [await wire.heard() for _ in range(100)]
        assert sorted(reply["result"]["decision"] for reply in replies) == list(range(100))

    async def test_a_request_is_given_with_the_turn_that_it_belongs_to(
        self, connect: Connect, wire: Wire
    ) -> None:
        seen: list[Any] = []

        async def on_request(request: Request, turn: TurnSubscription | None) -> Any:
            seen.append(turn and turn.thread_id)
            return {}

        async with connect(on_request) as peer:
            with peer.following("T") as turn:
                await start_turn(peer, wire, turn, "1")
                await wire.tell("turn/started", "T", None, turn={"id": "1"})
                for params in (
                    {"threadId": "T", "turnId": "1"},
                    {"threadId": "T"},
                    {"threadId": "U", "turnId": "1"},
                    {},
                ):
                    await wire.say(id=len(seen), method="ask", params=params)
                    await wire.heard()
        assert seen == ["T", "T", None, None]

    async def test_a_refusal_is_sent_as_an_error(self, connect: Connect, wire: Wire) -> None:
        async def on_request(request: Request, turn: TurnSubscription | None) -> Any:
            raise CodexAppServerError(-32601, "unknown", {"method": request.method})

        async with connect(on_request):
            await wire.say(id=5, method="ask", params={})
            reply = await wire.heard()
        error = {"code": -32601, "message": "unknown", "data": {"method": "ask"}}
        assert reply == {"id": 5, "error": error}

    @pytest.mark.parametrize("end", ["resolved", "turn", "hang up"])
    async def test_a_request_that_is_of_no_more_use_is_cancelled(
        self, connect: Connect, wire: Wire, end: str
    ) -> None:
        begun, cancelled = anyio.Event(), anyio.Event()

        async def on_request(request: Request, turn: TurnSubscription | None) -> Any:
            begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.set()

        async with connect(on_request):
            await wire.say(id=1, method="ask", params={"threadId": "T", "turnId": "1"})
            await begun.wait()
            if end == "resolved":
                await wire.tell("serverRequest/resolved", "T", None, requestId=1)
            elif end == "turn":
                await wire.tell("turn/completed", "T", None, turn={"id": "1"})
            else:
                wire.hang_up()
            with anyio.fail_after(10):
                await cancelled.wait()

    @pytest.mark.parametrize("end", ["resolved", "turn"])
    async def test_one_that_is_over_before_anybody_is_asked_keeps_nobody(
        self, connect: Connect, wire: Wire, end: str
    ) -> None:
        kept: list[Request] = []

        async def on_request(request: Request, turn: TurnSubscription | None) -> Any:
            kept.append(request)
            await anyio.sleep_forever()

        request = {"id": 1, "method": "ask", "params": {"threadId": "T", "turnId": "1"}}
        ending = {"method": "serverRequest/resolved", "params": {"requestId": 1}}
        if end == "turn":
            ending = {"method": "turn/completed", "params": {"threadId": "T", "turnId": "1"}}
        async with connect(on_request) as peer:
            await wire.say_bytes("\n".join([*map(json.dumps, (request, ending)), ""]).encode())
            await peer.notifications.receive()
            await anyio.wait_all_tasks_blocked()
            assert kept == []

    async def test_one_that_names_a_thread_alone_ends_with_the_threads_turn(
        self, connect: Connect, wire: Wire
    ) -> None:
        begun, cancelled = anyio.Event(), anyio.Event()

        async def on_request(request: Request, turn: TurnSubscription | None) -> Any:
            begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.set()

        async with connect(on_request):
            await wire.say(id=1, method="ask", params={"threadId": "T", "turnId": None})
            await begun.wait()
            await wire.tell("turn/completed", "T", None, turn={"id": "1"})
            with anyio.fail_after(10):
                await cancelled.wait()

    async def test_one_that_comes_twice_is_answered_once(
        self, connect: Connect, wire: Wire
    ) -> None:
        release = anyio.Event()

        async def on_request(request: Request, turn: TurnSubscription | None) -> Any:
            await release.wait()
            return "answer"

        async with connect(on_request) as peer:
            for _ in range(2):
                await wire.say(id=1, method="ask", params={})
            answers: dict[str, Any] = {}
            async with anyio.create_task_group() as task_group:
                task_group.start_soon(ask, peer, answers, "m")
                await wire.say(id=(await wire.heard())["id"], result="ok")
            release.set()
            assert await wire.heard() == {"id": 1, "result": "answer"}
            await wire.say(id=1, method="ask", params={})  # and once more, in its own right
            assert await wire.heard() == {"id": 1, "result": "answer"}

    async def test_an_answer_that_cannot_be_sent_is_an_error_of_that_request_alone(
        self, connect: Connect, wire: Wire
    ) -> None:
        async def on_request(request: Request, turn: TurnSubscription | None) -> Any:
            return "\ud800" if request.id == 1 else "answer"

        async with connect(on_request):
            await wire.say(id=1, method="ask", params={})
            reply = await wire.heard()
            assert (reply["id"], reply["error"]["code"]) == (1, -32603)
            assert "cannot be sent" in reply["error"]["message"]
            await wire.say(id=2, method="ask", params={})
            assert await wire.heard() == {"id": 2, "result": "answer"}


class TestTheEnd:
    async def test_everybody_who_waits_learns_of_it_with_the_evidence(
        self, connect: Connect, wire: Wire
    ) -> None:
        async def redact(text: str) -> str:
            return text

        answers: dict[str, Any] = {}
        async with connect(redact=lambda text: text.replace("last", "***")) as peer:
            with peer.following("T") as turn:
                await start_turn(peer, wire, turn, "1")
                await wire.tell("x/delta", "T", "1", itemId="i", delta="said before")
                async with anyio.create_task_group() as task_group:
                    for method in ("a", "b"):
                        task_group.start_soon(ask, peer, answers, method)
                    await wire.heard()
                    await wire.heard()
                    wire.hang_up()
                assert texts(list(await turn.receive_batch())) == "said before"
                errors = [
                    *answers.values(),
                    await outcome(turn.receive()),
                    await outcome(peer.notifications.receive()),
                    await outcome(peer.request("later")),
                    await outcome(peer.notify("later")),
                ]
        assert {type(error) for error in errors} == {AppServerClosedError}
        assert {str(error) for error in errors} == {"the server died: the *** words"}
        assert {error.exit_code for error in errors} == {7}
        assert len({id(error) for error in errors}) == len(errors)

    async def test_a_server_that_takes_no_more_ends_the_connection(
        self, connect: Connect, wire: Wire
    ) -> None:
        wire.stop_reading()
        async with connect() as peer:
            with pytest.raises(AppServerClosedError, match="no longer reads"):
                await peer.request("m")

    async def test_a_line_that_is_too_long_ends_the_connection_and_says_so(
        self, connect: Connect, wire: Wire
    ) -> None:
        async with connect() as peer:
            await wire.say_bytes(b"x" * 2_000_000)
            with anyio.fail_after(10):
                await peer.wait_closed()
            assert "max_line_bytes" in str(peer.failure)

    async def test_leaving_the_block_ends_who_still_waits(
        self, connect: Connect, wire: Wire
    ) -> None:
        answers: dict[str, Any] = {}
        async with anyio.create_task_group() as task_group:
            async with connect() as peer:
                task_group.start_soon(ask, peer, answers, "m")
                await wire.heard()
        assert isinstance(answers["m"], AppServerClosedError)
        assert "was closed" in str(answers["m"])

    async def test_a_block_that_is_cancelled_can_still_talk_on_its_way_out(
        self, connect: Connect, wire: Wire
    ) -> None:
        answers: dict[str, Any] = {}
        with anyio.CancelScope() as scope:
            async with connect() as peer:
                try:
                    scope.cancel()
                    await anyio.sleep_forever()
                finally:
                    with anyio.CancelScope(shield=True):
                        async with anyio.create_task_group() as task_group:
                            task_group.start_soon(ask, peer, answers, "turn/interrupt")
                            await wire.say(id=(await wire.heard())["id"], result={})
        assert answers == {"turn/interrupt": {}}

    async def test_the_bytes_may_come_in_any_pieces(self, connect: Connect, wire: Wire) -> None:
        message = json.dumps({"method": "n", "params": {"text": "é\u2028"}}, ensure_ascii=False)
        async with connect() as peer:
            for number in (message + "\r\n").encode():
                await wire.say_bytes(bytes([number]))
            assert (await peer.notifications.receive()).params == {"text": "é\u2028"}
