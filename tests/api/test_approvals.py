"""What the app-server asks for during a turn, and who answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from codex_sdk import CodexAppServerError, CodexError, protocol
from codex_sdk.app_server import AppServerRequest
from codex_sdk.app_server.approvals import (
    ApprovalDecisions,
    RequestHandlers,
    UnfinishedHandlerError,
)

from .app_server_turns import OTHER, THREAD, Turns, turns

COMMAND = "item/commandExecution/requestApproval"
FILE = "item/fileChange/requestApproval"
PERMISSIONS = "item/permissions/requestApproval"
USER_INPUT = "item/tool/requestUserInput"
ELICITATION = "mcpServer/elicitation/request"

REQUESTED = {"network": {"enabled": True}}
QUESTION = {"header": "h", "id": "q", "question": "Which?"}
FORM = {
    "mode": "form",
    "message": "Who?",
    "serverName": "s",
    "requestedSchema": {"type": "object", "properties": {}},
}
PARAMS: dict[str, dict[str, Any]] = {
    COMMAND: {"command": "ls", "cwd": "/"},
    FILE: {},
    PERMISSIONS: {"permissions": REQUESTED, "cwd": "/"},
    USER_INPUT: {"questions": [QUESTION], "isBlocking": True},
    ELICITATION: FORM,
}
SAFE: dict[str, dict[str, Any]] = {
    COMMAND: {"decision": "decline"},
    FILE: {"decision": "decline"},
    PERMISSIONS: {"permissions": {}, "scope": "turn"},
    USER_INPUT: {"answers": {}},
    ELICITATION: {"action": "decline"},
}
FIELDS = {
    COMMAND: "on_command_approval",
    FILE: "on_file_change_approval",
    PERMISSIONS: "on_permissions",
    USER_INPUT: "on_user_input",
    ELICITATION: "on_elicitation",
}


async def ask(fake: Turns, method: str) -> Any:
    return await fake.ask(method, THREAD, "u-1", **PARAMS[method])


def handlers(method: str, handler: Callable[..., Any], **others: Any) -> RequestHandlers:
    return RequestHandlers(**{FIELDS[method]: handler}, **others)


async def forever(_: object) -> Any:
    await anyio.sleep_forever()


# Nobody answers


@pytest.mark.parametrize("method", sorted(protocol.SERVER_REQUESTS))
async def test_a_request_that_nobody_takes_gets_the_safe_answer(method: str) -> None:
    async with turns(unclaimed_request_timeout=0.01) as fake:
        async with fake.client.turn_session(THREAD, "hi") as session:
            answer = await fake.ask(method, THREAD, "u-1", **PARAMS.get(method, {}))

            protocol.structure(protocol.response_type(method), answer)
            assert answer == SAFE.get(method, answer)
            assert session.handler_errors == ()


async def test_a_request_that_no_protocol_has_is_refused() -> None:
    async with turns(unclaimed_request_timeout=0.01) as fake:
        async with fake.client.turn_session(THREAD, "hi"):
            with pytest.raises(CodexAppServerError, match="no method item/new"):
                await fake.ask("item/new", THREAD, "u-1")


# Decisions


async def test_approvals_are_answered_as_decided_beforehand_and_nothing_else() -> None:
    approvals = ApprovalDecisions(command_execution="accept", permissions_request="accept")
    async with turns(unclaimed_request_timeout=0.01) as fake:
        async with fake.client.turn_session(THREAD, "hi", approvals=approvals):
            assert await ask(fake, COMMAND) == {"decision": "accept"}
            assert await ask(fake, PERMISSIONS) == {"permissions": REQUESTED, "scope": "turn"}
            assert await ask(fake, FILE) == SAFE[FILE]


async def test_decisions_are_for_their_own_turn() -> None:
    approvals = ApprovalDecisions(command_execution="accept")
    async with turns(unclaimed_request_timeout=0.01) as fake:
        async with (
            fake.client.turn_session(THREAD, "hi", approvals=approvals),
            fake.client.turn_session(OTHER, "hi"),
        ):
            for thread_id, turn_id in ((OTHER, "u-2"), (THREAD, "u-2"), ("t-3", "u-1")):
                assert await fake.ask(COMMAND, thread_id, turn_id) == SAFE[COMMAND]
            assert await fake.ask(COMMAND, THREAD, "u-1") == {"decision": "accept"}


async def test_decisions_come_before_handlers() -> None:
    approvals = ApprovalDecisions(command_execution="cancel")
    asked = RequestHandlers(on_request=lambda request: SAFE[request.method])
    async with turns() as fake:
        session = fake.client.turn_session(THREAD, "hi", approvals=approvals, handlers=asked)
        async with session:
            assert await ask(fake, COMMAND) == {"decision": "cancel"}
            assert await ask(fake, FILE) == SAFE[FILE]


# Handlers


@pytest.mark.parametrize(
    ("method", "payload", "answer", "sent"),
    [
        (
            COMMAND,
            protocol.CommandExecutionRequestApprovalParams,
            "accept_for_session",
            {"decision": "acceptForSession"},
        ),
        (
            COMMAND,
            protocol.CommandExecutionRequestApprovalParams,
            protocol.CommandExecutionRequestApprovalResponse(decision="cancel"),
            {"decision": "cancel"},
        ),
        (FILE, protocol.FileChangeRequestApprovalParams, "accept", {"decision": "accept"}),
        (
            PERMISSIONS,
            protocol.PermissionsRequestApprovalParams,
            "accept_for_session",
            {"permissions": REQUESTED, "scope": "session"},
        ),
        (
            USER_INPUT,
            protocol.ToolRequestUserInputParams,
            {"q": "this"},
            {"answers": {"q": {"answers": ["this"]}}},
        ),
        (
            ELICITATION,
            protocol.FormMcpServerElicitationRequestParams,
            {"action": "accept", "content": {}},
            {"action": "accept", "content": {}},
        ),
    ],
)
@pytest.mark.parametrize("sync", [False, True])
async def test_a_handler_gets_the_typed_request_and_its_answer_is_sent(
    method: str, payload: type, answer: Any, sent: Any, sync: bool
) -> None:
    given: list[Any] = []

    def plain(request: Any) -> Any:
        given.append(request)
        return answer

    async def handler(request: Any) -> Any:
        await checkpoint()
        return plain(request)

    asked = handlers(method, plain if sync else handler)
    async with turns() as fake:
        async with fake.client.turn_session(THREAD, "hi", handlers=asked):
            assert await ask(fake, method) == sent

    [request] = given
    assert isinstance(request, payload)
    assert request.thread_id == THREAD  # type: ignore[attr-defined]


async def test_the_catch_all_gets_what_has_no_handler_of_its_own() -> None:
    given: list[AppServerRequest] = []

    async def on_request(request: AppServerRequest) -> Any:
        await checkpoint()
        given.append(request)
        return None if request.method == FILE else "cancel"

    asked = RequestHandlers(on_command_approval=lambda _: "accept", on_request=on_request)
    async with turns(unclaimed_request_timeout=0.01) as fake:
        async with fake.client.turn_session(THREAD, "hi", handlers=asked) as session:
            assert await ask(fake, COMMAND) == {"decision": "accept"}
            assert await ask(fake, ELICITATION) == {"action": "cancel"}
            assert await ask(fake, FILE) == SAFE[FILE]

            assert [request.method for request in given] == [ELICITATION, FILE]
            assert isinstance(given[0].payload, protocol.FormMcpServerElicitationRequestParams)
            assert session.handler_errors == ()


async def test_what_the_catch_all_leaves_can_be_taken() -> None:
    asked = RequestHandlers(on_request=lambda _: None)
    async with turns() as fake:
        async with fake.client.turn_session(THREAD, "hi", handlers=asked) as session:
            approval = await fake.begin_asking(FILE, THREAD, "u-1")
            request = await session.next_request()
            assert request is not None
            await fake.client.respond(request.id, {"decision": "accept"})
            assert await approval.answer() == {"decision": "accept"}


async def test_a_handler_on_an_old_cli_gets_what_the_item_told() -> None:
    given: list[Any] = []
    asked = RequestHandlers(on_command_approval=lambda request: given.append(request) or "accept")
    async with turns("0.80.0") as fake:
        async with fake.client.turn_session(THREAD, "hi", handlers=asked) as session:
            item = {"id": "call", "type": "commandExecution", "command": "ls", "cwd": "/"}
            await fake.tell("item/started", THREAD, "u-1", item=item)
            old = {"threadId": THREAD, "turnId": "u-1", "itemId": "call", "reason": None}
            assert await fake.server.ask(COMMAND, old) == {"decision": "accept"}
            assert session.item("call") == item
            await fake.tell("item/completed", THREAD, "u-1", item=item)
            assert await fake.server.ask(COMMAND, old) == {"decision": "accept"}
            assert session.item("call") is None

    assert [request.item_id for request in given] == ["call", "call"]
    assert [request.command for request in given] == ["ls", None]
    assert given[0].cwd == "/"
    assert given[0].started_at_ms is None


async def test_the_clients_handlers_answer_what_the_sessions_do_not() -> None:
    clients = RequestHandlers(on_command_approval=lambda _: "cancel", on_request=lambda _: "accept")
    asked = RequestHandlers(on_command_approval=lambda _: "decline", on_request=lambda _: None)
    async with turns(handlers=clients) as fake:
        assert await fake.ask(COMMAND, "t-3", "u-3") == {"decision": "cancel"}
        async with fake.client.turn_session(THREAD, "hi", handlers=asked):
            assert await ask(fake, COMMAND) == {"decision": "decline"}
            assert await ask(fake, FILE) == {"decision": "accept"}


async def test_a_failing_handler_of_the_clients_is_told_where_it_belongs() -> None:
    clients = RequestHandlers(on_request=raise_mine)
    async with turns(handlers=clients) as fake:
        assert await fake.ask(FILE, "t-3", "u-3") == SAFE[FILE]
        assert [str(error.__cause__) for error in fake.client.handler_errors] == ["mine"]
        session = await fake.client.turn_session(THREAD, "hi")
        assert await ask(fake, FILE) == SAFE[FILE]
        assert [str(error.__cause__) for error in session.handler_errors] == ["mine"]
        assert len(fake.client.handler_errors) == 1
        await session.close()


# Handlers that fail


def raise_mine(_: object) -> Any:
    raise ValueError("mine")


@pytest.mark.parametrize("method", sorted(FIELDS))
@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (raise_mine, "ValueError: mine"),
        (forever, "TimeoutError: it took longer than 0.05 seconds"),
        (lambda _: 1, ""),
        (lambda _: None, ""),
    ],
)
async def test_a_failing_handler_has_declined_and_the_session_tells(
    method: str, handler: Callable[..., Any], said: str
) -> None:
    asked = handlers(method, handler, timeout=0.05)
    async with turns(unclaimed_request_timeout=None) as fake:
        with pytest.raises(CodexError, match=f"{FIELDS[method]} failed.*{said}") as caught:
            async with fake.client.turn_session(THREAD, "hi", handlers=asked) as session:
                assert await ask(fake, method) == SAFE[method]
                assert await ask(fake, method) == SAFE[method]
                await fake.end(THREAD, "u-1")
                await session.wait()

        assert session.handler_errors[0] is caught.value
        assert len(session.handler_errors) == 2
        assert isinstance(caught.value.__cause__, Exception)
        assert not isinstance(caught.value, CodexAppServerError)


async def test_a_refusal_that_a_handler_meets_is_not_passed_on() -> None:
    async def handler(_: object) -> Any:
        await checkpoint()
        raise CodexAppServerError(-32600, "thread not found")

    async with turns() as fake:
        session = await fake.client.turn_session(
            THREAD, "hi", handlers=RequestHandlers(on_command_approval=handler)
        )
        assert await ask(fake, COMMAND) == SAFE[COMMAND]
        await session.close()
        [error] = session.handler_errors
        assert "thread not found" in str(error)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_handler_that_awaits_what_is_cancelled_has_failed(anyio_backend: str) -> None:
    async def handler(_: object) -> Any:
        task = asyncio.ensure_future(anyio.sleep_forever())
        await checkpoint()
        task.cancel()
        await task

    async with turns() as fake:
        session = await fake.client.turn_session(
            THREAD, "hi", handlers=RequestHandlers(on_command_approval=handler)
        )
        assert await ask(fake, COMMAND) == SAFE[COMMAND]
        await session.close()
        [error] = session.handler_errors
        assert "CancelledError" in str(error)


async def test_the_error_of_the_block_is_the_one_that_leaves_it() -> None:
    asked = RequestHandlers(on_command_approval=raise_mine)
    async with turns() as fake:
        with pytest.raises(KeyError):
            async with fake.client.turn_session(THREAD, "hi", handlers=asked) as session:
                await ask(fake, COMMAND)
                raise KeyError

        assert len(session.handler_errors) == 1


@pytest.mark.parametrize("how", ["end", "leave", "resolve"])
async def test_a_handler_is_cancelled_when_nobody_waits_for_it_any_more(how: str) -> None:
    began, cancelled = anyio.Event(), anyio.Event()

    async def handler(_: object) -> Any:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    asked = RequestHandlers(on_command_approval=handler)
    async with turns() as fake:
        async with fake.client.turn_session(THREAD, "hi", handlers=asked) as session:
            approval = await fake.begin_asking(COMMAND, THREAD, "u-1")
            await began.wait()
            if how == "end":
                await fake.end(THREAD, "u-1")
                await session.wait()
            elif how == "resolve":
                resolved = {"threadId": THREAD, "requestId": approval.id}
                await fake.server.notify("serverRequest/resolved", resolved)
                await cancelled.wait()
        await cancelled.wait()

        assert not approval.answered
        kinds = [type(error) for error in session.handler_errors]
        assert kinds == ([] if how == "resolve" else [UnfinishedHandlerError])


async def test_requests_that_come_together_are_handled_together() -> None:
    both = anyio.Event()
    given: list[str] = []

    async def handler(request: Any) -> str:
        given.append(request.command)
        if len(given) == 2:
            both.set()
        await both.wait()
        return "accept" if request.command == "first" else "decline"

    asked = RequestHandlers(on_command_approval=handler)
    async with turns() as fake:
        async with fake.client.turn_session(THREAD, "hi", handlers=asked):
            first = await fake.begin_asking(COMMAND, THREAD, "u-1", command="first")
            second = await fake.begin_asking(COMMAND, THREAD, "u-1", command="second")
            assert await second.answer() == {"decision": "decline"}
            assert await first.answer() == {"decision": "accept"}


def test_handlers_are_functions_and_their_time_a_number() -> None:
    with pytest.raises(CodexError, match="on_permissions is no function"):
        RequestHandlers(on_permissions="accept")  # type: ignore[arg-type]
    with pytest.raises(CodexError, match="takes a number"):
        RequestHandlers(timeout=-1)


# Requests that the program takes


async def test_a_request_can_be_taken_and_answered_in_its_own_time() -> None:
    async with turns(unclaimed_request_timeout=0.5) as fake:
        async with fake.client.turn_session(THREAD, "hi") as session:
            taken: list[AppServerRequest | None] = []

            async def take() -> None:
                taken.extend([await session.next_request() for _ in range(2)])

            async with anyio.create_task_group() as task_group:
                task_group.start_soon(take)
                await anyio.wait_all_tasks_blocked()  # each is taken when it comes
                approvals = [
                    await fake.begin_asking(COMMAND, THREAD, "u-1", command=str(number))
                    for number in range(2)
                ]
            await anyio.sleep(0.6)  # longer than a request waits to be taken
            for request, decision in zip(taken, ("accept", "cancel"), strict=True):
                assert request is not None
                assert not any(approval.answered for approval in approvals[1:])
                await fake.client.respond(request.id, {"decision": decision})
            assert [await approval.answer() for approval in approvals] == [
                {"decision": "accept"},
                {"decision": "cancel"},
            ]


async def test_the_requests_of_a_session_end_with_its_turn() -> None:
    async with turns() as fake:
        session = await fake.client.turn_session(THREAD, "hi")
        taken: list[AppServerRequest] = []
        first = anyio.Event()

        async def take() -> None:
            async for request in session.requests():
                taken.append(request)
                first.set()

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(take)
            approval = await fake.begin_asking(FILE, THREAD, "u-1")
            await first.wait()
            await fake.end(THREAD, "u-1")

        assert [request.id for request in taken] == [approval.id]
        assert isinstance(taken[0].payload, protocol.FileChangeRequestApprovalParams)
        assert await session.next_request() is None


@pytest.mark.parametrize("version", ["0.80.0", "0.163.0"])
async def test_a_program_may_refuse_a_request_but_no_approval_of_an_old_cli(version: str) -> None:
    async with turns(version) as fake, fake.client.turn_session(THREAD, "hi") as session:
        approval = await fake.begin_asking(COMMAND, THREAD, "u-1")
        request = await session.next_request()
        assert request is not None
        await fake.client.respond(request.id, error={"code": -1, "message": "no"})
        if version == "0.80.0":
            assert await approval.answer() == SAFE[COMMAND]
        else:
            with pytest.raises(CodexAppServerError, match="no"):
                await approval.answer()


async def test_an_answer_that_cannot_be_sent_is_the_handler_s_error() -> None:
    def fill_in(_: object) -> object:
        return {"action": "accept", "content": {"name": "\ud800"}}

    async with turns() as fake:
        session = fake.client.turn_session(THREAD, "hi", handlers=handlers(ELICITATION, fill_in))
        with pytest.raises(CodexError, match="the answer cannot be sent, it is no JSON"):
            async with session:
                assert await ask(fake, ELICITATION) == SAFE[ELICITATION]
