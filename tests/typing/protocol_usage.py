"""What type checkers make of programs that use the protocol. Checked by mypy and pyright; never run."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeVar, Union

from typing_extensions import assert_type

from codex_sdk import protocol

T = TypeVar("T")


class Client(Protocol):
    async def call(self, params: protocol.Request[T]) -> T: ...


async def calls_give_their_results(client: Client) -> None:
    started = await client.call(protocol.ThreadStartParams(cwd="."))
    assert_type(started, protocol.ThreadStartResponse)
    assert_type(started.thread.id, str)
    models = await client.call(protocol.ModelListParams())
    assert_type(models.data, "tuple[protocol.Model, ...]")
    assert_type(await client.call(protocol.MemoryResetParams()), protocol.MemoryResetResponse)
    login = await client.call(protocol.ApiKeyLoginAccountParams(api_key="k"))
    assert_type(login, protocol.LoginAccountResponse)


def params_are_checked() -> None:
    protocol.ThreadStartParams(approval_policy="never", sandbox="read-only", model=None)
    protocol.ThreadStartParams(service_tier=protocol.NULL, config={"a": [1]})
    protocol.ThreadStartParams(sandbox="no-such-mode")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    protocol.ThreadClosedNotification("t")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    protocol.ThreadReadParams()  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    params = protocol.ThreadReadParams(thread_id="t")
    params.thread_id = "u"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    assert_type(params.include_turns, Union[bool, None])
    assert_type(protocol.ThreadStartParams().model, Union[str, protocol.Null, None])


def narrowing_by_tag(item: protocol.ThreadItem) -> None:
    if item.type == "agentMessage":
        assert_type(item, protocol.AgentMessageThreadItem)
        assert_type(item.text, str)
    elif isinstance(item, protocol.UnknownVariant):
        assert_type(item.type, Literal["unknown"])
        assert_type(item.wire_type, str)


def narrowing_of_decisions(decision: protocol.CommandExecutionApprovalDecision) -> None:
    if isinstance(decision, protocol.AcceptWithExecpolicyAmendmentCommandExecutionApprovalDecision):
        for word in decision.execpolicy_amendment:
            assert_type(word, str)
    elif decision == "accept":
        protocol.CommandExecutionRequestApprovalResponse(decision=decision)


def payloads(method: str, params: object) -> None:
    payload = protocol.notification_payload(method, params)
    assert_type(payload, Union[protocol.ProtocolObject, protocol.UnknownPayload])
    if isinstance(payload, protocol.AgentMessageDeltaNotification):
        assert_type(payload.delta, str)
    assert_type(protocol.response_type(method), "type[protocol.ProtocolObject]")


def conversion(data: object) -> None:
    assert_type(protocol.structure(protocol.Turn, data), protocol.Turn)
    item: protocol.ThreadItem = protocol.structure(protocol.ThreadItem, data)
    assert_type(protocol.unstructure(protocol.ThreadStartParams()), dict[str, Any])
    del item


def names_that_do_not_exist() -> None:
    protocol.ThreadStrat  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] # noqa: B018
