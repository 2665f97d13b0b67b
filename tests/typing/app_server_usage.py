"""What type checkers make of programs that use an app-server. Checked by mypy and pyright; never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Union

from typing_extensions import assert_type

from codex_sdk import AppServerClientInfo, AppServerOptions, protocol
from codex_sdk.app_server import (
    AppServerClient,
    AppServerInfo,
    AppServerNotification,
    AppServerRequest,
    AppServerUserInput,
)
from codex_sdk.testing import FakeAppServer


async def connecting(server: FakeAppServer) -> None:
    info = AppServerClientInfo(name="mine", title=None, version="1")
    async with AppServerClient(AppServerOptions(client_info=info)) as client:
        assert_type(client, AppServerClient)
        assert_type(client.server_info, AppServerInfo)
        assert_type(client.server_info.codex_home, Union[str, None])
    client = AppServerClient(connect=server.connect)
    await client.start()
    await client.close()
    AppServerOptions(request_timeout="1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def methods(client: AppServerClient) -> None:
    assert_type(await client.thread_start(cwd=Path(), model="m"), dict[str, Any])
    assert_type(await client.thread_list(limit=3, source_kinds=["exec"]), dict[str, Any])
    assert_type(await client.command_exec(command=["ls"], timeout_ms=1000), dict[str, Any])
    await client.turn_start("t", "hi", effort="low")
    skill: AppServerUserInput = {"type": "skill", "name": "s", "path": Path("SKILL.md")}
    await client.turn_start("t", [{"type": "text", "text": "Use it."}, skill])
    await client.turn_steer("t", "u", [protocol.TextUserInput(text="Hurry.")])
    await client.thread_list(limit="3")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await client.thread_read(include_turns=True)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    await client.thread_lst()  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def typed_calls(client: AppServerClient) -> None:
    started = await client.call(protocol.ThreadStartParams(cwd="."))
    assert_type(started, protocol.ThreadStartResponse)
    assert_type(started.thread.id, str)
    turn = await client.call(protocol.TurnStartParams(thread_id=started.thread.id, input=[]))
    assert_type(turn, protocol.TurnStartResponse)
    models = await client.call(protocol.ModelListParams(), timeout=5)
    assert_type(models, protocol.ModelListResponse)
    await client.call({"cwd": "."})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def messages(client: AppServerClient) -> None:
    async for notification in client.notifications():
        assert_type(notification, AppServerNotification)
        payload = notification.payload
        if isinstance(payload, protocol.AgentMessageDeltaNotification):
            assert_type(payload.delta, str)
    async for request in client.requests():
        assert_type(request, AppServerRequest)
        await client.respond(request.id, {"decision": "decline"})
        await client.respond(request.id, error={"code": 1, "message": "no"})
    assert_type(await client.next_notification(), AppServerNotification)
    assert_type(await client.next_request(), AppServerRequest)
