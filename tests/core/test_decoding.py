"""A line becomes the event that it is, or a CodexParseError; nothing else comes out of the decoder."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codex_sdk._core.decoding import EventDecoder
from codex_sdk.events import (
    ItemCompletedEvent,
    ThreadEvent,
    TurnCompletedEvent,
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
    McpToolCallItem,
    UnknownItem,
    WebSearchItem,
)

from .cli_lines import CLI_LINES
from .strategies import EVENTS, ITEMS, json_objects, json_values, texts, thread_events

decode = EventDecoder().decode
decode_keeping = EventDecoder("keep").decode

MESSAGE = b'{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"hi"}}'
COMMAND = json.loads(CLI_LINES["command failed"][0])
COLLAB = json.loads(CLI_LINES["sub-agent"][0])


def line_of(data: Any) -> bytes:
    return json.dumps(data).encode()


def with_item(line: dict[str, Any], **changes: Any) -> bytes:
    """Return the line with some fields of its item changed; those set to ``...`` are left out."""
    item = {key: value for key, value in {**line["item"], **changes}.items() if value is not ...}
    return line_of({**line, "item": item})


def failure(line: bytes) -> str:
    """Return what is said of a line that neither sort of decoder accepts."""
    with pytest.raises(CodexParseError) as caught:
        decode_keeping(line)
    with pytest.raises(CodexParseError) as caught:
        decode(line)
    return str(caught.value)


@pytest.mark.parametrize("about", CLI_LINES)
def test_the_lines_of_the_real_cli_are_understood(about: str) -> None:
    line, event = CLI_LINES[about]
    assert decode(line.encode()) == event
    assert decode_keeping(line.encode()) == event


@given(thread_events, st.booleans(), st.randoms(use_true_random=False))
def test_whatever_the_cli_could_write_is_understood(
    event: ThreadEvent, ascii_only: bool, random: Any
) -> None:
    def in_any_order(value: Any) -> Any:
        if isinstance(value, list):
            return [in_any_order(entry) for entry in value]
        if not isinstance(value, dict):
            return value
        pairs = [(key, in_any_order(entry)) for key, entry in value.items()]
        random.shuffle(pairs)
        return dict(pairs)

    data = in_any_order(event.to_dict())
    assert decode(json.dumps(data, ensure_ascii=ascii_only).encode()) == event


@given(thread_events, json_values)
def test_fields_that_are_not_known_are_ignored(event: ThreadEvent, value: Any) -> None:
    data = {"new": value, **event.to_dict()}
    for key in ("item", "usage", "error"):
        if key in data:
            data[key] = {**data[key], "new": value}
    assert decode(line_of(data)) == event


def test_an_event_without_an_item_may_have_a_field_of_that_name() -> None:
    assert decode(b'{"type":"turn.started","item":5}') == TurnStartedEvent()
    assert decode(b'{"type":"turn.started","item":{"type":"reasoning"}}') == TurnStartedEvent()


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x7f"])
def test_separators_stand_in_texts_as_they_are(separator: str) -> None:
    line = MESSAGE.replace(b"hi", f"one{separator}two".encode())
    assert decode(line) == ItemCompletedEvent(AgentMessageItem("item_0", f"one{separator}two"))


def test_an_escaped_nul_is_a_character_like_others() -> None:
    assert decode(MESSAGE.replace(b"hi", b"\\u0000")) == ItemCompletedEvent(
        AgentMessageItem("item_0", "\0")
    )


@given(st.lists(texts, min_size=2, max_size=4))
def test_of_several_ids_of_a_web_search_the_first_counts(ids: list[str]) -> None:
    fields = ",".join(f'"id":{json.dumps(item_id)}' for item_id in ids)
    line = f'{{"type":"item.completed","item":{{"type":"web_search",{fields},"query":"q"}}}}'
    assert decode(line.encode()) == ItemCompletedEvent(WebSearchItem(ids[0], "q"))


def test_a_web_search_whose_first_id_is_no_text_is_malformed() -> None:
    line = b'{"type":"item.completed","item":{"id":1,"type":"web_search","id":"ws","query":"q"}}'
    assert "Expected `str`, got `int`" in failure(line)
    line = b'{"type":"item.completed","item":{"type":"web_search","query":"q"}}'
    assert "missing required field `id` - at `$.item`" in failure(line)


def test_sub_agents_whose_state_cannot_be_read_are_left_out() -> None:
    states = {
        "good": {"status": "running", "message": "busy"},
        "newer": {"status": "paused", "message": None},
        "terse": {"status": "completed"},
        "bad message": {"status": "running", "message": 5},
        "bad status": {"status": None},
        "no object": "running",
        "nothing": None,
    }
    event = decode(with_item(COLLAB, agents_states=states))
    assert isinstance(event, ItemCompletedEvent)
    assert isinstance(event.item, CollabToolCallItem)
    assert event.item.agents_states == {
        "good": CollabAgentState("running", "busy"),
        "newer": CollabAgentState("paused"),
        "terse": CollabAgentState("completed"),
    }


@pytest.mark.parametrize("effort", ["gigantic", 5, {}, [], None])
def test_an_effort_that_is_not_known_is_none(effort: object) -> None:
    event = decode(with_item(COLLAB, model="gpt", reasoning_effort=effort))
    assert event == attrs.evolve(
        CLI_LINES["sub-agent"][1], item=attrs.evolve(CLI_LINES["sub-agent"][1].item, model="gpt")
    )


def test_new_tools_and_statuses_of_sub_agents_pass() -> None:
    event = decode(with_item(COLLAB, tool="resume_agent", status="declined"))
    assert isinstance(event, ItemCompletedEvent)
    assert (event.item.tool, event.item.status) == ("resume_agent", "declined")


@pytest.mark.parametrize(
    "changes",
    [
        {"agents_states": []},
        {"agents_states": ...},
        {"tool": 5},
        {"status": None},
        {"receiver_thread_ids": [5]},
        {"sender_thread_id": ...},
    ],
)
def test_sub_agent_calls_are_not_tolerated_in_any_shape(changes: dict[str, Any]) -> None:
    assert "malformed item.completed of collab_tool_call" in failure(with_item(COLLAB, **changes))


class TestUnknown:
    """Types that a CLI newer than this package may write."""

    @given(texts.filter(lambda name: name not in EVENTS), json_objects)
    def test_an_event_of_an_unknown_type_is_an_error_or_kept(
        self, name: str, fields: dict[str, Any]
    ) -> None:
        data = {**fields, "type": name}
        event = decode_keeping(line_of(data))
        assert event == UnknownEvent(name, data)
        assert event.type == "unknown"
        assert event.to_dict() == data
        with pytest.raises(CodexParseError, match="an event of the unknown type") as caught:
            decode(line_of(data))
        assert 'CodexOptions(unknown_events="keep")' in str(caught.value)

    @given(texts.filter(lambda name: name not in ITEMS), json_objects, texts)
    def test_an_item_of_an_unknown_type_is_an_error_or_kept(
        self, name: str, fields: dict[str, Any], item_id: str
    ) -> None:
        item = {**fields, "id": item_id, "type": name}
        line = line_of({"type": "item.completed", "item": item})
        event = decode_keeping(line)
        assert event == ItemCompletedEvent(UnknownItem(item_id, name, item))
        assert event.to_dict() == {"type": "item.completed", "item": item}
        with pytest.raises(CodexParseError, match="an item of the unknown type"):
            decode(line)

    def test_the_first_of_its_ids_is_an_unknown_items_id(self) -> None:
        line = b'{"type":"item.completed","item":{"id":"item_0","type":"image","id":"ig_1"}}'
        assert decode_keeping(line) == ItemCompletedEvent(
            UnknownItem("item_0", "image", {"id": "item_0", "type": "image"})
        )

    @pytest.mark.parametrize("item_id", [5, None, {}, ...])
    def test_an_unknown_item_needs_no_id(self, item_id: object) -> None:
        event = decode_keeping(
            with_item({"type": "item.started", "item": {"type": "x", "id": item_id}})
        )
        assert event.item.id == ""

    @pytest.mark.parametrize(
        ("about", "change"),
        [
            ("command failed", {"status": "postponed"}),
            ("file change", {"status": "postponed"}),
            ("file change", {"changes": [{"path": "/a", "kind": "move"}]}),
            ("MCP call", {"status": "postponed"}),
        ],
    )
    def test_a_new_word_in_a_known_item_is_an_error_or_the_item_is_kept_as_unknown(
        self, about: str, change: dict[str, Any]
    ) -> None:
        data = json.loads(CLI_LINES[about][0])
        line = with_item(data, **change)
        item = {**data["item"], **change}
        assert decode_keeping(line) == attrs.evolve(
            CLI_LINES[about][1], item=UnknownItem(item["id"], item["type"], item)
        )
        with pytest.raises(CodexParseError, match=r"Invalid enum value '\w+' - at `\$\.item\."):
            decode(line)

    @pytest.mark.parametrize("number", [b"1e999", b"9" * 5000])
    def test_what_is_kept_must_be_readable_in_full(self, number: bytes) -> None:
        with pytest.raises(CodexParseError, match="malformed new"):
            decode_keeping(b'{"type":"new","number":' + number + b"}")
        with pytest.raises(CodexParseError, match=r"malformed item\.started of new"):
            decode_keeping(b'{"type":"item.started","item":{"type":"new","n":' + number + b"}}")


class TestMalformed:
    """Lines that are no events, whatever the decoder is told to keep."""

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b" ",
            b"null",
            b"5",
            b'"turn.started"',
            b"[]",
            b'[{"type":"turn.started"}]',
            b"{}",
            b'{"type":null}',
            b'{"type":5}',
            b'{"type":["turn.started"]}',
            b'{"kind":"turn.started"}',
            b"Reading prompt from stdin...",
            b'{"type":"turn.started"',
            b'{"type":"turn.started"}{"type":"turn.started"}',
            b'{"type":"turn.started"},',
            b"{'type':'turn.started'}",
            b'{"type":"turn.started",}',
            b'{"type":"turn.started","x":NaN}',
            b'{"type":"turn.started","x":-Infinity}',
            b'{"type":"turn.started","x":01}',
            b'{"type":"turn.started","x":"\\ud800"}',
            b'{"type":"turn.started","x":"\n"}',
            b'\0{"type":"turn.started"}',
            b'{"type":"turn.started"}\0',
            b'\xef\xbb\xbf{"type":"turn.started"}',
            '{"type":"turn.started"}'.encode("utf-16"),
            b"[" * 1_000_000,
            b'{"type":"turn.started","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            b'{"type":"turn.started","x":' + b'{"x":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        ],
        ids=lambda line: repr(line[:40]),
    )
    def test_a_line_that_is_no_json_object_with_a_type(self, line: bytes) -> None:
        assert "a line that is no event" in failure(line)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (b"\xff", "utf-8"),
            (b"\xc3", "utf-8"),
            (b"\xed\xa0\x80", "utf-8"),
            (b"a\0b", "invalid character"),
            (b"a\x1fb", "invalid character"),
            (b"\\ud800", ""),
            (b"\\ud800\\u0041", "surrogate"),
            (b"\\udc00", "surrogate"),
            (b"\\x41", "escape"),
            (b"cut", ""),
        ],
    )
    def test_a_text_that_is_none(self, text: bytes, reason: str) -> None:
        line = MESSAGE.replace(b"hi", text)
        assert reason in failure(line[: line.index(b"cut") + 3] if text == b"cut" else line)

    @pytest.mark.parametrize(
        ("line", "type_name", "field"),
        [
            (b'{"type":"thread.started"}', "thread.started", "thread_id"),
            (b'{"type":"thread.started","thread_id":5}', "thread.started", "$.thread_id"),
            (b'{"type":"turn.completed","usage":null}', "turn.completed", "$.usage"),
            (b'{"type":"turn.failed","error":"x"}', "turn.failed", "$.error"),
            (b'{"type":"error"}', "error", "message"),
            (b'{"type":"item.completed"}', "item.completed", "item"),
            (b'{"type":"item.completed","item":null}', "item.completed", "$.item"),
            (b'{"type":"item.completed","item":[]}', "item.completed", "$.item"),
            (b'{"type":"item.completed","item":{"id":"1"}}', "item.completed", "type"),
            (b'{"type":"item.completed","item":{"type":5}}', "item.completed", "$.item.type"),
            (MESSAGE.replace(b'"hi"', b"null"), "item.completed of agent_message", "$.item.text"),
            (with_item(COMMAND, exit_code="3"), "of command_execution", "$.item.exit_code"),
            (with_item(COMMAND, status=3), "of command_execution", "$.item.status"),
            (with_item(COMMAND, command=...), "of command_execution", "`command` - at `$.item`"),
        ],
    )
    def test_a_known_type_with_wrong_fields_names_the_type_and_the_field(
        self, line: bytes, type_name: str, field: str
    ) -> None:
        message = failure(line)
        assert f"{type_name}: " in message
        assert field in message

    @pytest.mark.parametrize("number", ["1e999", "9" * 5000, "-1e400"])
    def test_numbers_beyond_reason_are_refused_where_they_matter(self, number: str) -> None:
        usage = f'{{"input_tokens":{number},"cached_input_tokens":0,"output_tokens":0}}'
        assert "$.usage.input_tokens" in failure(
            f'{{"type":"turn.completed","usage":{usage}}}'.encode()
        )
        call = json.dumps(CLI_LINES["MCP call"][1].to_dict()).replace('"a": 1', f'"a": {number}')
        assert "out of range" in failure(call.encode())

    def test_large_numbers_within_reason_are_exact(self) -> None:
        tokens = 10**100
        data = TurnCompletedEvent(Usage(tokens, 0, 0)).to_dict()
        assert decode(line_of(data)) == TurnCompletedEvent(Usage(tokens, 0, 0))

    def test_arguments_may_be_nested_deeply_but_not_endlessly(self) -> None:
        def call(depth: int) -> bytes:
            line = json.dumps({**CLI_LINES["MCP call"][1].to_dict()}).encode()
            return line.replace(b'{"a": 1, "b": 2}', b"[" * depth + b"]" * depth)

        event = decode(call(100))
        assert isinstance(event, ItemCompletedEvent)
        assert isinstance(event.item, McpToolCallItem)
        assert "a line that is no event" in failure(call(100_000))

    @given(st.binary(max_size=100))
    def test_the_error_shows_how_the_line_begins_and_no_more(self, tail: bytes) -> None:
        line = b"x" * 150 + tail + b"y" * 100_000
        message = failure(line)
        assert "x" * 150 in message
        assert len(message) < 2_000

    def test_the_error_stays_short_whatever_is_wrong(self) -> None:
        long = "z" * 100_000
        for line in (
            line_of({"type": long}),
            line_of({"type": "item.started", "item": {"type": long}}),
            with_item(COMMAND, status=long),
        ):
            with pytest.raises(CodexParseError) as caught:
                decode(line)
            assert len(str(caught.value)) < 2_000


def mutations() -> st.SearchStrategy[bytes]:
    """Lines of the CLI with a piece cut out and another put in."""

    def mutate(line: str, start: int, length: int, piece: bytes) -> bytes:
        data = line.encode()
        start %= len(data)
        return data[:start] + piece + data[start + length :]

    lines = st.sampled_from([line for line, _ in CLI_LINES.values()])
    pieces = st.one_of(
        st.binary(max_size=5),
        st.sampled_from(
            [b"null", b"5", b"1e999", b"{}", b"[]", b'"', b"}", b'"type":"x",', b"\\ud800"]
        ),
    )
    return st.builds(mutate, lines, st.integers(0, 500), st.integers(0, 20), pieces)


@given(st.one_of(mutations(), st.binary(), json_values.map(line_of)))
@example(b'{"type":"item.completed","type":"turn.started"}')
@example(b'{"type":"item.completed","item":{"type":"error","id":"1","message":""},"item":5}')
@example(b'{"type":"item.completed","item":5,"item":{"type":"web_search","id":"1"}}')
def test_nothing_but_events_and_parse_errors_comes_out(line: bytes) -> None:
    for decoder in (decode, decode_keeping):
        try:
            event = decoder(line)
        except CodexParseError:
            continue
        assert type(event).__module__ == "codex_sdk.events"
        assert decode_keeping(line_of(event.to_dict())) == event


def test_commands_that_have_begun_have_neither_output_nor_exit_code() -> None:
    event = CLI_LINES["command started"][1]
    assert isinstance(event.item, CommandExecutionItem)
    assert (event.item.exit_code, event.item.status) == (None, "in_progress")
