"""What the notifications of a turn become; what a real CLI sends is in tests/real_cli."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk._core.item_mapping import TurnMapper
from codex_sdk._core.jsonrpc import Notification
from codex_sdk.events import (
    ItemCompletedEvent,
    ItemStartedEvent,
    ItemUpdatedEvent,
    ThreadError,
    ThreadErrorEvent,
    TurnCompletedEvent,
    TurnFailedEvent,
    TurnStartedEvent,
    UnknownEvent,
    Usage,
)
from codex_sdk.exceptions import CodexParseError
from codex_sdk.items import (
    AgentMessageItem,
    CollabAgentState,
    CollabToolCallItem,
    CommandExecutionItem,
    ErrorItem,
    FileChangeItem,
    FileUpdateChange,
    McpToolCallItem,
    McpToolCallItemError,
    McpToolCallItemResult,
    ReasoningItem,
    TodoItem,
    TodoListItem,
    UnknownItem,
    WebSearchItem,
)


def told(method: str, **params: Any) -> Notification:
    return Notification(method, {"threadId": "t", "turnId": "0", **params})


def started(**item: Any) -> Notification:
    return told("item/started", item={"id": "i", **item})


def completed(**item: Any) -> Notification:
    return told("item/completed", item={"id": "i", **item})


def piece(kind: str, delta: str, **params: Any) -> Notification:
    return told(f"item/{kind}", itemId="i", delta=delta, **params)


def turn_completed(status: str = "completed", error: Any = None) -> Notification:
    return told("turn/completed", turn={"id": "0", "items": [], "status": status, "error": error})


def usage(total: int, last: int) -> Notification:
    def counts(tokens: int) -> dict[str, int]:
        return {"inputTokens": tokens, "cachedInputTokens": 0, "outputTokens": 2 * tokens}

    return told(
        "thread/tokenUsage/updated", tokenUsage={"total": counts(total), "last": counts(last)}
    )


COMMAND = {
    "type": "commandExecution",
    "command": "ls",
    "status": "inProgress",
    "aggregatedOutput": None,
    "exitCode": None,
}
SAME = [
    (
        {**COMMAND, "status": "failed", "aggregatedOutput": "no\n", "exitCode": 2},
        CommandExecutionItem("i", "ls", "no\n", 2, "failed"),
    ),
    (
        {**COMMAND, "status": "declined"},
        CommandExecutionItem("i", "ls", "", None, "declined"),
    ),
    (
        {"type": "agentMessage", "text": "Hello", "phase": None},
        AgentMessageItem("i", "Hello"),
    ),
    (
        {"type": "reasoning", "summary": ["a", "b"], "content": ["raw"]},
        ReasoningItem("i", "a\nb"),
    ),
    (
        {
            "type": "fileChange",
            "changes": [{"path": "/a", "kind": {"type": "update", "movePath": "/b"}, "diff": ""}],
            "status": "completed",
        },
        FileChangeItem("i", (FileUpdateChange("/a", "update"),), "completed"),
    ),
    (
        {"type": "fileChange", "changes": [], "status": "declined"},
        FileChangeItem("i", (), "failed"),
    ),
    (
        {
            "type": "mcpToolCall",
            "server": "s",
            "tool": "t",
            "status": "completed",
            "arguments": {"a": 1},
            "result": {"content": [{"type": "text"}], "structuredContent": {"b": 2}, "_meta": None},
            "error": None,
        },
        McpToolCallItem(
            "i",
            "s",
            "t",
            "completed",
            {"a": 1},
            McpToolCallItemResult(({"type": "text"},), {"b": 2}),
        ),
    ),
    (
        {
            "type": "mcpToolCall",
            "server": "s",
            "tool": "t",
            "status": "failed",
            "arguments": None,
            "error": {"message": "no"},
        },
        McpToolCallItem("i", "s", "t", "failed", error=McpToolCallItemError("no")),
    ),
    (
        {
            "type": "collabAgentToolCall",
            "tool": "resumeAgent",
            "status": "interrupted",
            "senderThreadId": "t",
            "receiverThreadIds": ["u"],
            "prompt": "go",
            "agentsStates": {"u": {"status": "pendingInit", "message": None}, "v": "?", "w": {}},
        },
        CollabToolCallItem(
            "i", "wait", "t", ("u",), "go", {"u": CollabAgentState("pending_init")}, "failed"
        ),
    ),
    (
        {"type": "webSearch", "query": "q", "action": {"type": "openPage", "url": "u", "x": None}},
        WebSearchItem("i", "q", {"type": "open_page", "url": "u"}),
    ),
    ({"type": "webSearch", "query": "q"}, WebSearchItem("i", "q")),
]


@pytest.mark.parametrize(("item", "expected"), SAME)
def test_items_are_those_of_exec(item: dict[str, Any], expected: Any) -> None:
    assert TurnMapper().events([completed(**item)]) == [ItemCompletedEvent(expected)]


def test_messages_and_reasoning_are_not_said_to_begin() -> None:
    beginnings = [
        started(type="agentMessage", text=""),
        started(type="reasoning", summary=[], content=[]),
        started(**COMMAND),
    ]
    command = CommandExecutionItem("i", "ls", "")
    assert TurnMapper().events(beginnings) == [ItemStartedEvent(command)]


def test_updates_hold_the_text_so_far_and_what_is_new() -> None:
    events = TurnMapper().events([piece("agentMessage/delta", text) for text in ("Hel", "lo", "!")])
    assert events == [
        ItemUpdatedEvent(AgentMessageItem("i", text), delta=delta)
        for text, delta in (("Hel", "Hel"), ("Hello", "lo"), ("Hello!", "!"))
    ]


def test_the_parts_of_a_summary_are_lines() -> None:
    kind = "reasoning/summaryTextDelta"
    deltas = [
        piece(kind, "a", summaryIndex=0),
        piece(kind, "b", summaryIndex=0),
        told("item/reasoning/summaryPartAdded", itemId="i", summaryIndex=1),
        piece(kind, "c", summaryIndex=1),
    ]
    events = TurnMapper().events(deltas)
    assert [event.item for event in events] == [  # type: ignore[union-attr]
        ReasoningItem("i", text) for text in ("a", "ab", "ab\nc")
    ]
    assert "".join(event.delta or "" for event in events) == "ab\nc"  # type: ignore[union-attr]


def test_the_output_of_a_command_grows() -> None:
    mapper = TurnMapper()
    delta = piece("commandExecution/outputDelta", "out")
    *_, event = mapper.events([started(**COMMAND), delta])
    assert event == ItemUpdatedEvent(CommandExecutionItem("i", "ls", "out"), delta="out")
    done = completed(**{**COMMAND, "status": "completed"})
    assert len(mapper.events([done, delta])) == 1, "what comes after the end is not a new command"


def test_an_item_that_grows_is_a_value_like_others() -> None:
    import pickle

    def update() -> AgentMessageItem:
        *_, event = TurnMapper().events([piece("agentMessage/delta", text) for text in "abc"])
        return event.item  # type: ignore[union-attr, return-value]

    whole = AgentMessageItem("i", "abc")
    assert update() == whole
    assert hash(update()) == hash(whole)
    assert repr(update()) == repr(whole)
    assert update().to_dict() == whole.to_dict()
    assert pickle.loads(pickle.dumps(update())) == whole
    with pytest.raises(AttributeError, match="no attribute 'texts'"):
        update().texts  # type: ignore[attr-defined]  # noqa: B018


def test_an_update_says_what_is_new_in_its_dict() -> None:
    (event,) = TurnMapper().events([piece("agentMessage/delta", "a")])
    assert event.to_dict()["delta"] == "a"
    assert "delta" not in ItemUpdatedEvent(AgentMessageItem("i", "a")).to_dict()


def test_many_pieces_take_linear_time_and_memory() -> None:
    def seconds(count: int) -> float:
        mapper = TurnMapper()
        deltas = [piece("agentMessage/delta", "x" * 100)] * count
        best = float("inf")
        for _ in range(3):
            begun = time.process_time()
            events = mapper.events(deltas)
            best = min(best, time.process_time() - begun)
            assert len(events) == count
        return best

    seconds(100)
    # As texts of their own, 20,000 updates would be 20 GB.
    assert seconds(20_000) < 100 * seconds(1_000)


def test_the_plan_is_one_todo_list_that_ends_with_the_turn() -> None:
    def plan(*statuses: str) -> Notification:
        steps = [{"step": str(n), "status": status} for n, status in enumerate(statuses)]
        return told("turn/plan/updated", explanation=None, plan=steps)

    def todo(*completed: bool) -> TodoListItem:
        items = tuple(TodoItem(str(number), done) for number, done in enumerate(completed))
        return TodoListItem("plan", items)

    events = TurnMapper().events(
        [plan("inProgress", "pending"), plan("completed", "inProgress"), turn_completed()]
    )
    assert events == [
        ItemStartedEvent(todo(False, False)),
        ItemUpdatedEvent(todo(True, False)),
        ItemCompletedEvent(todo(True, False)),
        TurnCompletedEvent(Usage(0, 0, 0)),
    ]


def test_usage_is_the_threads_and_tells_what_was_before_the_turn() -> None:
    mapper = TurnMapper()
    *_, last = mapper.events([usage(15, 5), usage(22, 7), turn_completed()])
    assert last == TurnCompletedEvent(Usage(22, 0, 44))
    assert mapper.usage_before == Usage(10, 0, 20)


def test_errors_are_told_with_their_details() -> None:
    def error(message: str, details: str | None) -> dict[str, Any]:
        return {"message": message, "codexErrorInfo": "other", "additionalDetails": details}

    events = TurnMapper().events(
        [
            told("turn/started", turn={"id": "0"}),
            told("error", error=error("Reconnecting... 1/5", "cut"), willRetry=True),
            told("error", error=error("over", None), willRetry=False),
            turn_completed("failed", error("over", None)),
        ]
    )
    assert events == [
        TurnStartedEvent(),
        ThreadErrorEvent("Reconnecting... 1/5 (cut)"),
        ThreadErrorEvent("over"),
        TurnFailedEvent(ThreadError("over")),
    ]


@pytest.mark.parametrize(
    ("status", "message"),
    [("interrupted", "the turn was interrupted"), ("novel", "the turn ended as 'novel'")],
)
def test_a_turn_that_does_not_complete_has_failed(status: str, message: str) -> None:
    events = TurnMapper().events([turn_completed(status)])
    assert events == [TurnFailedEvent(ThreadError(message))]


def test_warnings_are_error_items_with_ids_of_their_own() -> None:
    warning = Notification("warning", {"threadId": "t", "message": "Beware"})
    events = TurnMapper().events([warning, warning])
    assert events == [ItemCompletedEvent(ErrorItem(f"warning_{n}", "Beware")) for n in (0, 1)]


def test_what_exec_does_not_report_is_left_out_unless_it_is_to_be_kept() -> None:
    image = {"type": "imageView", "path": "/a.png"}
    diff = told("turn/diff/updated", diff="+")
    prompt = completed(type="userMessage", content=[])
    notifications = [completed(**image), diff, prompt]
    assert TurnMapper().events(notifications) == []
    assert TurnMapper("keep").events(notifications) == [
        ItemCompletedEvent(UnknownItem("i", "imageView", {"id": "i", **image})),
        UnknownEvent("turn/diff/updated", dict(diff.params)),
    ]


@pytest.mark.parametrize(
    "item", [{"type": "novelty"}, {**COMMAND, "status": "novel"}], ids=lambda item: item["type"]
)
def test_what_is_unknown_is_an_error_unless_it_is_to_be_kept(item: dict[str, Any]) -> None:
    with pytest.raises(CodexParseError, match="novel"):
        TurnMapper().events([completed(**item)])
    assert TurnMapper("keep").events([completed(**item)]) == [
        ItemCompletedEvent(UnknownItem("i", item["type"], {"id": "i", **item}))
    ]


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
FIELDS = "item itemId delta turn plan error tokenUsage message summaryIndex".split()
ITEM_FIELDS = "type id text status command changes summary content action agentsStates".split()
TYPES = [item["type"] for item, _ in SAME]


@given(
    method=st.sampled_from(
        """turn/started turn/completed turn/plan/updated item/started item/completed error warning
        item/agentMessage/delta item/reasoning/summaryTextDelta thread/tokenUsage/updated""".split()
    ),
    params=st.dictionaries(
        st.sampled_from(FIELDS),
        json | st.dictionaries(st.sampled_from(ITEM_FIELDS), json | st.sampled_from(TYPES)),
    ),
)
def test_nothing_but_a_parse_error_comes_of_malformed_notifications(
    method: str, params: dict[str, Any]
) -> None:
    with suppress(CodexParseError):
        TurnMapper().events([Notification(method, params)])


def test_every_kind_of_item_of_the_pinned_protocol_has_its_place() -> None:
    from codex_sdk import protocol
    from codex_sdk._core import item_mapping

    tags = {
        vars(variant)["type"]
        for variant in protocol.ThreadItem.__args__
        if isinstance(vars(variant).get("type"), str) and variant is not protocol.UnknownVariant
    }
    assert tags == {*item_mapping._ITEMS, *item_mapping._UNREPORTED_ITEMS, "userMessage"}


@pytest.mark.parametrize(
    "notification",
    [
        completed(type="agentMessage", text=7),
        completed(type="webSearch", query="q", action=[]),
        completed(**{**COMMAND, "exitCode": "0"}),
        piece("agentMessage/delta", 7),  # type: ignore[arg-type]
        usage("1", 1),  # type: ignore[arg-type]
        told("error", error={"message": None}),
    ],
    ids=lambda notification: notification.method,
)
def test_values_of_wrong_types_are_not_passed_on(notification: Notification) -> None:
    with pytest.raises(CodexParseError, match="malformed"):
        TurnMapper().events([notification])
