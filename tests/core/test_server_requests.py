"""What the app-server is answered, in the shapes that its protocol has."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from codex_sdk import protocol
from codex_sdk._core.jsonrpc import Request
from codex_sdk._core.server_requests import (
    COMMAND_APPROVAL,
    ELICITATION,
    FILE_CHANGE_APPROVAL,
    PERMISSIONS_APPROVAL,
    USER_INPUT,
    ApprovalDecisions,
    answer_of,
    decided,
    safe_answer,
)
from codex_sdk.exceptions import CodexAppServerError, CodexError

NOW = 1_800_000_000
REQUESTED = {"network": {"enabled": True}, "fileSystem": {"write": ["/tmp"]}}
QUESTIONS = [{"id": "color", "question": "Which?"}, {"id": "size", "question": "How big?"}]


def request(method: str, **params: Any) -> Request:
    return Request(7, method, params)


def asking(decisions: ApprovalDecisions, method: str, **params: Any) -> Any:
    return decided(decisions, request(method, **params))


@pytest.mark.parametrize("method", sorted(protocol.SERVER_REQUESTS))
def test_every_request_of_the_schema_has_a_safe_answer_of_the_shape_it_asks_for(
    method: str,
) -> None:
    answer = safe_answer(request(method), now=NOW)

    response = protocol.structure(protocol.response_type(method), answer)

    assert protocol.unstructure(response).keys() <= answer.keys()
    assert "accept" not in repr(answer).replace("accessToken", "")


def test_the_safe_answers_permit_nothing() -> None:
    assert {
        method: safe_answer(request(method), now=NOW) for method in protocol.SERVER_REQUESTS
    } == {
        COMMAND_APPROVAL: {"decision": "decline"},
        FILE_CHANGE_APPROVAL: {"decision": "decline"},
        PERMISSIONS_APPROVAL: {"permissions": {}, "scope": "turn"},
        USER_INPUT: {"answers": {}},
        ELICITATION: {"action": "decline"},
        "item/tool/call": {
            "contentItems": [{"type": "inputText", "text": "this tool is not available"}],
            "success": False,
        },
        "account/chatgptAuthTokens/refresh": {"accessToken": "", "chatgptAccountId": ""},
        "attestation/generate": {"token": ""},
        "currentTime/read": {"currentTimeAt": NOW},
        "applyPatchApproval": {
            "decision": {"denied": {"rejection": "nobody answered this request for an approval"}}
        },
        "execCommandApproval": {
            "decision": {"denied": {"rejection": "nobody answered this request for an approval"}}
        },
    }


def test_a_method_that_the_protocol_does_not_have_is_refused() -> None:
    with pytest.raises(CodexAppServerError, match="no method item/new/thing") as caught:
        safe_answer(request("item/new/thing"), now=NOW)

    assert caught.value.code == -32601


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("accept", "accept"),
        ("accept_for_session", "acceptForSession"),
        ("acceptForSession", "acceptForSession"),
        ("decline", "decline"),
        ("cancel", "cancel"),
        ({"decision": "cancel"}, "cancel"),
    ],
)
def test_a_decision_is_sent_as_the_protocol_spells_it(given: Any, sent: str) -> None:
    decisions = ApprovalDecisions(command_execution=given, file_change=given)

    assert asking(decisions, COMMAND_APPROVAL) == {"decision": sent}
    assert asking(decisions, FILE_CHANGE_APPROVAL) == {"decision": sent}


def test_all_words_of_the_schema_are_decisions() -> None:
    words = {
        word
        for part in get_args(protocol.CommandExecutionApprovalDecision)
        for word in get_args(part)
    }
    carrying = {"acceptWithExecpolicyAmendment", "applyNetworkPolicyAmendment"}
    variants = [
        part.wire_form.wrapper
        for part in get_args(protocol.CommandExecutionApprovalDecision)
        if isinstance(part, type) and issubclass(part, protocol.ProtocolObject)
    ]
    assert set(variants) == carrying
    for word in words | set(get_args(protocol.FileChangeApprovalDecision)):
        assert ApprovalDecisions(command_execution=word, file_change=word)
    for action in get_args(protocol.McpServerElicitationAction):
        assert answer_of(request(ELICITATION), action) == {"action": action}


@pytest.mark.parametrize(
    "amendment",
    [
        ["git", "fetch"],
        ("git", "fetch"),
        {"execpolicy_amendment": ["git", "fetch"]},
        {"execpolicyAmendment": ["git", "fetch"]},
        {"command": ["git", "fetch"]},
    ],
)
@pytest.mark.parametrize(
    "word", ["accept_with_execpolicy_amendment", "acceptWithExecpolicyAmendment"]
)
def test_an_execpolicy_amendment_is_sent_in_the_shape_that_takes_effect(
    word: str, amendment: Any
) -> None:
    decisions = ApprovalDecisions(command_execution=word, execpolicy_amendment=amendment)

    assert asking(decisions, COMMAND_APPROVAL) == {
        "decision": {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["git", "fetch"]}}
    }


@pytest.mark.parametrize(
    "decision",
    [
        {"acceptWithExecpolicyAmendment": {"execpolicyAmendment": ["ls"]}},
        {"accept_with_execpolicy_amendment": {"execpolicy_amendment": ["ls"]}},
        {"decision": {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["ls"]}}},
        protocol.AcceptWithExecpolicyAmendmentCommandExecutionApprovalDecision(
            execpolicy_amendment=["ls"]
        ),
    ],
)
def test_a_decision_with_details_may_be_spelled_in_several_ways(decision: Any) -> None:
    assert asking(ApprovalDecisions(command_execution=decision), COMMAND_APPROVAL) == {
        "decision": {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["ls"]}}
    }


def test_a_network_rule_is_a_decision() -> None:
    rule = {"host": "example.org", "action": "allow"}
    decision = {"apply_network_policy_amendment": {"networkPolicyAmendment": rule}}

    answer = asking(ApprovalDecisions(command_execution=decision), COMMAND_APPROVAL)

    sent = {"applyNetworkPolicyAmendment": {"network_policy_amendment": rule}}
    assert answer == {"decision": sent}
    response = protocol.structure(protocol.CommandExecutionRequestApprovalResponse, answer)
    assert (
        response.decision
        == protocol.ApplyNetworkPolicyAmendmentCommandExecutionApprovalDecision(
            network_policy_amendment=protocol.NetworkPolicyAmendment(**rule)
        )
    )


@pytest.mark.parametrize(
    ("decision", "granted"),
    [
        ("accept", {"permissions": REQUESTED, "scope": "turn"}),
        ("accept_for_session", {"permissions": REQUESTED, "scope": "session"}),
        ("deny", {"permissions": {}, "scope": "turn"}),
        ("decline", {"permissions": {}, "scope": "turn"}),
        ({"permissions": {}}, {"permissions": {}}),
        (
            {"permissions": {"file_system": {"read": ["/etc"]}}, "strict_auto_review": True},
            {"permissions": {"fileSystem": {"read": ["/etc"]}}, "strictAutoReview": True},
        ),
    ],
)
def test_permissions_are_granted_as_decided(decision: Any, granted: Any) -> None:
    decisions = ApprovalDecisions(permissions_request=decision)

    assert asking(decisions, PERMISSIONS_APPROVAL, permissions=REQUESTED) == granted


def test_what_is_not_decided_gets_no_answer() -> None:
    decisions = ApprovalDecisions(command_execution="accept")

    assert asking(decisions, FILE_CHANGE_APPROVAL) is None
    assert asking(decisions, PERMISSIONS_APPROVAL, permissions=REQUESTED) is None
    assert asking(decisions, USER_INPUT, questions=QUESTIONS) is None
    assert decided(None, request(COMMAND_APPROVAL)) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"command_execution": "acept"}, "command_execution is 'acept': .*'acceptForSession'"),
        ({"command_execution": ""}, "command_execution is ''"),
        ({"command_execution": True}, "command_execution is True"),
        ({"command_execution": {}}, "command_execution is {}"),
        ({"command_execution": {"accept": 1}}, "one of acceptWithExecpolicyAmendment"),
        ({"command_execution": {"decision": "yes"}}, "'acceptForSession', 'decline', 'cancel'"),
        ({"file_change": "deny"}, "file_change is 'deny': .*'decline'"),
        ({"file_change": {"acceptForSession": {}}}, "file_change is"),
        ({"permissions_request": "cancel"}, "permissions_request is 'cancel': .*'deny'"),
        ({"permissions_request": {"scope": "turn"}}, "permissions_request is"),
        ({"permissions_request": {"permissions": {"network": 1}}}, "permissions.network"),
        (
            {"command_execution": "accept_with_execpolicy_amendment"},
            "needs an execpolicy_amendment",
        ),
        (
            {
                "command_execution": "accept_with_execpolicy_amendment",
                "execpolicy_amendment": "git fetch",
            },
            "not 'git fetch'",
        ),
        (
            {"command_execution": "accept_with_execpolicy_amendment", "execpolicy_amendment": []},
            r"not \[\]",
        ),
        ({"command_execution": "accept", "execpolicy_amendment": ["ls"]}, "has no effect without"),
        ({"execpolicy_amendment": ["ls"]}, "has no effect without"),
        (
            {
                "command_execution": {
                    "applyNetworkPolicyAmendment": {"host": "a", "action": "allow"}
                }
            },
            "the key 'network_policy_amendment'",
        ),
        (
            {
                "command_execution": {
                    "applyNetworkPolicyAmendment": {
                        "network_policy_amendment": {"host": "a", "action": "permit"}
                    }
                }
            },
            '"allow" or "deny"',
        ),
    ],
)
def test_what_codex_would_not_understand_is_refused_beforehand(
    fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(CodexError, match=said):
        ApprovalDecisions(**fields)


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        ({"color": "red"}, {"color": {"answers": ["red"]}}),
        ({"color": ["red", "blue"]}, {"color": {"answers": ["red", "blue"]}}),
        ({"answers": {"size": {"answers": ["big"]}}}, {"size": {"answers": ["big"]}}),
        (
            protocol.ToolRequestUserInputResponse(
                answers={"size": protocol.ToolRequestUserInputAnswer(answers=["big"])}
            ),
            {"size": {"answers": ["big"]}},
        ),
        ({}, {}),
        ({"answers": {}}, {}),
    ],
)
def test_questions_are_answered_by_their_ids(answer: Any, sent: Any) -> None:
    assert answer_of(request(USER_INPUT, questions=QUESTIONS), answer) == {"answers": sent}


@pytest.mark.parametrize("answer", ["red", {"colour": "red"}, {"color": 1}, {"color": [1]}, None])
def test_what_answers_no_question_is_refused(answer: Any) -> None:
    with pytest.raises(CodexError):
        answer_of(request(USER_INPUT, questions=QUESTIONS), answer)


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        ("cancel", {"action": "cancel"}),
        (
            {"action": "accept", "content": {"a": 1}, "_meta": {"persist": "session"}},
            {"action": "accept", "content": {"a": 1}, "_meta": {"persist": "session"}},
        ),
        (
            protocol.McpServerElicitationRequestResponse(action="accept", content={"a": 1}),
            {"action": "accept", "content": {"a": 1}},
        ),
    ],
)
def test_elicitations_are_answered_with_an_action(answer: Any, sent: Any) -> None:
    assert answer_of(request(ELICITATION), answer) == sent


@pytest.mark.parametrize("answer", ["yes", {"content": {}}, {"action": "yes"}, None, 1])
def test_what_is_no_action_is_refused(answer: Any) -> None:
    with pytest.raises(CodexError):
        answer_of(request(ELICITATION), answer)


def test_a_decision_that_only_a_newer_cli_offers_can_be_given_back_to_it() -> None:
    offered = request(COMMAND_APPROVAL, availableDecisions=["accept", "acceptAll", {"later": {}}])

    assert answer_of(offered, "acceptAll") == {"decision": "acceptAll"}
    assert answer_of(offered, protocol.UnknownVariant("later", {"later": {}})) == {
        "decision": {"later": {}}
    }
    with pytest.raises(CodexError):
        answer_of(request(COMMAND_APPROVAL, availableDecisions=None), "acceptAll")


def test_other_requests_are_answered_with_their_whole_response() -> None:
    item = protocol.InputTextDynamicToolCallOutputContentItem(text="sunny")
    response = protocol.DynamicToolCallResponse(content_items=[item], success=True)
    sent = {"contentItems": [{"type": "inputText", "text": "sunny"}], "success": True}

    assert answer_of(request("item/tool/call"), response) == sent
    assert answer_of(request("item/tool/call"), {"content_items": [item], "success": True}) == sent
    with pytest.raises(CodexError, match="contentItems"):
        answer_of(request("item/tool/call"), {"success": True})
    with pytest.raises(CodexError, match="is the response"):
        answer_of(request("item/tool/call"), "sunny")


def test_an_unknown_request_is_answered_with_whatever_the_program_says() -> None:
    assert answer_of(request("item/new/thing"), [1, {"a": None}]) == [1, {"a": None}]
    with pytest.raises(CodexError, match="cannot be sent"):
        answer_of(request("item/new/thing"), object())
