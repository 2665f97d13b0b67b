"""Values of the protocol to JSON and back."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_sdk import protocol
from codex_sdk.exceptions import CodexError, CodexParseError
from codex_sdk.protocol import _index
from codex_sdk.protocol._methods import generated

from .values import simplest, values_of, wire

NAMES = {file: names.split() for file, names in _index.FILES.items()}
TURN: dict[str, Any] = {"id": "t", "items": [], "status": "completed"}
COMMAND_APPROVAL: dict[str, Any] = {
    "threadId": "th",
    "turnId": "tu",
    "itemId": "i",
    "startedAtMs": 1,
    "availableDecisions": [
        "accept",
        {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["touch"]}},
        {"inventedDecision": {"why": "not"}},
        "inventedWord",
    ],
}


@pytest.mark.parametrize("file", NAMES)
@settings(max_examples=25)
@given(data=st.data())
def test_what_is_written_is_read_as_the_same(file: str, data: st.DataObject) -> None:
    cls = generated(data.draw(st.sampled_from(NAMES[file])))
    value = data.draw(values_of(cls))
    read = protocol.structure(cls, wire(value))
    assert wire(read) == wire(value)
    assert "UnknownVariant" not in repr(read)


def test_every_type_can_be_written_and_read() -> None:
    different = []
    for name in (name for names in NAMES.values() for name in names):
        cls = generated(name)
        value = simplest(cls)
        if protocol.structure(cls, wire(value)) != value:
            different.append(name)
    assert different == []


def test_fields_that_are_not_set_are_not_sent() -> None:
    assert protocol.unstructure(protocol.ThreadStartParams()) == {}
    assert protocol.unstructure(protocol.ThreadStartParams(cwd=".", model=None)) == {"cwd": "."}


def test_null_is_sent_where_it_is_said_and_read_as_what_it_is() -> None:
    params = protocol.ThreadStartParams(cwd=".", service_tier=protocol.NULL)
    assert protocol.unstructure(params) == {"cwd": ".", "serviceTier": None}
    assert protocol.structure(protocol.ThreadStartParams, wire(params)) == params
    assert repr(params) == "ThreadStartParams(cwd='.', service_tier=NULL)"


def test_null_in_what_the_server_sends_is_none() -> None:
    turn = protocol.structure(protocol.Turn, {**TURN, "error": None, "startedAt": None})
    assert turn.error is None
    assert protocol.unstructure(turn) == TURN


def test_required_fields_are_sent_though_they_are_null() -> None:
    project = protocol.structure(
        protocol.ThreadProjectUpdatedNotification, {"threadId": "t", "projectId": None}
    )
    assert wire(project) == {"threadId": "t", "projectId": None}


def test_defaults_of_the_schema_hold_where_the_server_leaves_a_field_out() -> None:
    assert protocol.structure(protocol.Turn, TURN).items_view == "full"
    policy = protocol.structure(protocol.SandboxPolicy, {"type": "workspaceWrite"})
    assert policy.writable_roots == ()
    assert policy.network_access is False


def test_a_request_for_sending_takes_defaults_from_the_server() -> None:
    assert protocol.InitializeCapabilities().experimental_api is None


def test_variants_are_told_apart_by_their_tag() -> None:
    item = protocol.structure(
        protocol.ThreadItem, {"type": "agentMessage", "id": "1", "text": "hello"}
    )
    assert item == protocol.AgentMessageThreadItem(id="1", text="hello")
    assert item.type == "agentMessage"


def test_a_variant_that_is_not_known_is_kept() -> None:
    raw = {"type": "inventedItem", "id": "1", "more": [1, {"a": None}]}
    payload = protocol.notification_payload(
        "turn/completed", {"threadId": "t", "turn": {**TURN, "items": [raw]}}
    )
    assert isinstance(payload, protocol.TurnCompletedNotification)
    [item] = payload.turn.items
    assert isinstance(item, protocol.UnknownVariant)
    assert (item.type, item.wire_type, item.raw) == ("unknown", "inventedItem", raw)
    assert wire(payload)["turn"]["items"] == [raw]


def test_variants_without_a_tag_are_told_apart_by_their_keys() -> None:
    params = protocol.structure(protocol.CommandExecutionRequestApprovalParams, COMMAND_APPROVAL)
    assert params.available_decisions is not None
    accept, amendment, unknown, word = params.available_decisions
    assert accept == "accept"
    assert amendment == protocol.AcceptWithExecpolicyAmendmentCommandExecutionApprovalDecision(
        execpolicy_amendment=["touch"]
    )
    assert isinstance(unknown, protocol.UnknownVariant)
    assert unknown.wire_type == "inventedDecision"
    assert word == "inventedWord"
    assert wire(params) == COMMAND_APPROVAL


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({"type": "string", "title": "t"}, "McpElicitationStringSchema"),
        ({"type": "boolean"}, "McpElicitationBooleanSchema"),
        ({"type": "integer", "minimum": 1}, "McpElicitationNumberSchema"),
        ({"type": "string", "enum": ["a"]}, "McpElicitationUntitledSingleSelectEnumSchema"),
        (
            {"type": "string", "enum": ["a"], "enumNames": ["A"]},
            "McpElicitationLegacyTitledEnumSchema",
        ),
        (
            {"type": "string", "oneOf": [{"const": "a", "title": "A"}]},
            "McpElicitationTitledSingleSelectEnumSchema",
        ),
        (
            {"type": "array", "items": {"type": "string", "enum": ["a"]}},
            "McpElicitationUntitledMultiSelectEnumSchema",
        ),
        (
            {"type": "array", "items": {"anyOf": [{"const": "a", "title": "A"}]}},
            "McpElicitationTitledMultiSelectEnumSchema",
        ),
        ({"type": "invented"}, "UnknownVariant"),
    ],
)
def test_variants_that_share_keys_are_told_apart_by_the_rest(
    schema: dict[str, Any], name: str
) -> None:
    value = protocol.structure(protocol.McpElicitationPrimitiveSchema, schema)
    assert type(value).__name__ == name
    assert wire(value) == schema


def test_a_word_that_is_not_known_passes() -> None:
    turn = protocol.structure(protocol.Turn, {**TURN, "status": "inventedStatus"})
    assert turn.status == "inventedStatus"


def test_keys_that_are_not_known_are_ignored() -> None:
    turn = protocol.structure(protocol.Turn, {**TURN, "inventedKey": 1})
    assert wire(turn) == TURN


def test_keys_that_the_schema_leaves_open_are_kept() -> None:
    raw = {"model": "m", "inventedKey": {"a": [1]}}
    config = protocol.structure(protocol.Config, raw)
    assert config.model == "m"
    assert config.additional_properties == {"inventedKey": {"a": [1]}}
    assert wire(config) == raw


def test_a_number_may_be_written_as_an_integer() -> None:
    schema = protocol.structure(
        protocol.McpElicitationNumberSchema, {"type": "number", "maximum": 3}
    )
    assert schema.maximum == 3


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({**TURN, "id": 5}, "id: a string is wanted, not an integer"),
        ({**TURN, "id": None}, "id: a string is wanted, not null"),
        ({**TURN, "startedAt": True}, "startedAt: an integer or null is wanted, not a boolean"),
        ({**TURN, "startedAt": 1.5}, "startedAt: an integer or null is wanted, not a number"),
        ({**TURN, "items": {}}, "items: an array is wanted, not an object"),
        ({**TURN, "items": "x"}, "items: an array is wanted, not a string"),
        ({**TURN, "error": []}, "error: null or an object is wanted, not an array"),
        ({"items": [], "status": "completed"}, "'id' is missing"),
        (
            {**TURN, "items": [{"type": "agentMessage", "id": "1", "text": ""}, {"type": "plan"}]},
            "items[1]: 'id' is missing",
        ),
        ({**TURN, "items": [{"id": "1"}]}, "items[0]: 'type' is missing"),
        ({**TURN, "items": [{"type": 1}]}, "items[0].type: a string is wanted, not an integer"),
        (
            {**TURN, "error": {"message": "m", "codexErrorInfo": {"activeTurnNotSteerable": {}}}},
            "error.codexErrorInfo.activeTurnNotSteerable: 'turnKind' is missing",
        ),
        (
            {**TURN, "error": {"message": "m", "codexErrorInfo": {"activeTurnNotSteerable": 1}}},
            "error.codexErrorInfo.activeTurnNotSteerable: an object is wanted, not an integer",
        ),
        ([], "an object is wanted, not an array"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(data: object, problem: str) -> None:
    with pytest.raises(CodexParseError) as caught:
        protocol.structure(protocol.Turn, data)
    assert str(caught.value) == f"this is no Turn of the app-server protocol: {problem}"


@pytest.mark.parametrize(
    ("value", "kind"), [(True, "a boolean"), ("1", "a string"), (1.0, "a number")]
)
def test_an_integer_is_nothing_that_is_like_one(value: object, kind: str) -> None:
    data = {**COMMAND_APPROVAL, "startedAtMs": value}
    with pytest.raises(CodexParseError, match=f"startedAtMs: an integer is wanted, not {kind}"):
        protocol.structure(protocol.CommandExecutionRequestApprovalParams, data)


def test_items_of_another_kind_are_an_error() -> None:
    data = {**COMMAND_APPROVAL, "proposedExecpolicyAmendment": ["touch", 1]}
    with pytest.raises(
        CodexParseError, match=r"proposedExecpolicyAmendment\[1\]: a string is wanted"
    ):
        protocol.structure(protocol.CommandExecutionRequestApprovalParams, data)


def test_an_error_in_a_union_without_tags_is_that_of_the_variant_that_fits_best() -> None:
    data = {"type": "array", "items": {"type": "string", "enum": 5}}
    with pytest.raises(CodexParseError, match=r"items\.enum: an array is wanted, not an integer"):
        protocol.structure(protocol.McpElicitationPrimitiveSchema, data)


def test_an_error_in_a_union_says_what_is_wrong() -> None:
    with pytest.raises(CodexParseError, match=r"no such value .*: 'text' is missing"):
        protocol.structure(protocol.ThreadItem, {"type": "agentMessage", "id": "1"})


def test_an_error_in_a_mapping_says_under_which_key() -> None:
    data = {"fileChanges": {"a.txt": {"type": "add"}}}
    required = {"callId": "c", "conversationId": "t"}
    with pytest.raises(CodexParseError, match=r"fileChanges\.a\.txt: 'content' is missing"):
        protocol.structure(protocol.ApplyPatchApprovalParams, {**required, **data})


def test_lenient_reading_has_none_for_what_an_older_cli_does_not_send() -> None:
    raw = {"threadId": "th", "turnId": "0", "itemId": "i", "reason": None}
    method = "item/commandExecution/requestApproval"
    with pytest.raises(CodexParseError, match="'startedAtMs' is missing"):
        protocol.request_payload(method, raw)
    payload = protocol.request_payload(method, raw, lenient=True)
    assert isinstance(payload, protocol.CommandExecutionRequestApprovalParams)
    assert payload.item_id == "i"
    assert payload.started_at_ms is None
    with pytest.raises(CodexParseError, match="itemId: a string is wanted"):
        protocol.request_payload(method, {**raw, "itemId": 1}, lenient=True)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (protocol.ThreadStartParams(config={"a": [{"b": {1}}]}), "config.a[0].b: JSON has no set"),
        (
            protocol.ThreadStartParams(config={"a": {1: 2}}),
            "config.a: JSON has no key 1, only strings",
        ),
        (
            protocol.TurnStartParams(
                thread_id="t",
                input=[protocol.TextUserInput(text=object())],  # type: ignore[arg-type]
            ),
            "input[0].text: JSON has no object",
        ),
    ],
)
def test_what_json_does_not_have_is_refused_with_its_path(value: Any, problem: str) -> None:
    with pytest.raises(CodexError) as caught:
        protocol.unstructure(value)
    assert str(caught.value) == f"this {type(value).__name__} cannot be sent: {problem}"


def test_any_mapping_and_any_sequence_will_do() -> None:
    data: Mapping[str, Any] = MappingProxyType({**TURN, "items": ()})
    assert protocol.structure(protocol.Turn, data) == protocol.structure(protocol.Turn, TURN)
    item = MappingProxyType({"type": "agentMessage", "id": "1", "text": "hello"})
    assert isinstance(
        protocol.structure(protocol.ThreadItem, item), protocol.AgentMessageThreadItem
    )
    assert protocol.structure(protocol.FunctionCallOutputBody, ()) == ()
    params = protocol.ThreadStartParams(config=MappingProxyType({"a": (1, 2)}))
    assert wire(params) == {"config": {"a": [1, 2]}}


def test_only_types_of_the_protocol_can_be_read() -> None:
    with pytest.raises(CodexError, match="is no type of the app-server protocol"):
        protocol.structure(set[int], [])


def test_values_are_attrs_values_that_cannot_be_changed() -> None:
    params = protocol.ThreadStartParams(cwd=".")
    assert attrs.has(protocol.ThreadStartParams)
    assert attrs.evolve(params, model="m") == protocol.ThreadStartParams(cwd=".", model="m")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        params.cwd = "/"  # type: ignore[misc]
    with pytest.raises(TypeError):
        protocol.ThreadStartParams(".")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="invented"):
        protocol.ThreadStartParams(invented=1)  # type: ignore[call-arg]


def test_values_compare_and_hash_by_content() -> None:
    first = protocol.CommandExecParams(command=["ls"])
    second = protocol.CommandExecParams(command=("ls",))
    assert first == second
    assert hash(first) == hash(second)
    assert first != protocol.CommandExecParams(command=["pwd"])
    assert protocol.MemoryResetParams() != protocol.LogoutAccountParams()
    assert first != {"command": ["ls"]}


def test_values_can_be_copied_and_pickled() -> None:
    value = protocol.structure(protocol.CommandExecutionRequestApprovalParams, COMMAND_APPROVAL)
    for same in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert same == value
        assert same is not value
    assert pickle.loads(pickle.dumps(protocol.NULL)) is protocol.NULL


def test_a_class_without_attrs_cannot_be_used() -> None:
    class InventedParams(protocol.Request[Any]):
        method = "invented/method"

    with pytest.raises(
        TypeError, match=r"InventedParams is no attrs class, it needs @attrs\.frozen"
    ):
        InventedParams()
