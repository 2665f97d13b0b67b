"""The vocabulary: which values there are, and what every one of them can be relied on to do."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk import events, exceptions, hooks, inputs, items, options, turn
from codex_sdk.exceptions import CodexError
from codex_sdk.inputs import normalize_input

from .cli_lines import CLI_LINES
from .strategies import EVENTS, ITEMS, thread_events, thread_items, usages

REQUIRED = attrs.NOTHING

FIELDS: dict[type, dict[str, Any]] = {
    events.ThreadStartedEvent: {"thread_id": REQUIRED},
    events.TurnStartedEvent: {},
    events.TurnCompletedEvent: {"usage": REQUIRED},
    events.TurnFailedEvent: {"error": REQUIRED},
    events.ItemStartedEvent: {"item": REQUIRED},
    events.ItemUpdatedEvent: {"item": REQUIRED, "delta": None},
    events.ItemCompletedEvent: {"item": REQUIRED},
    events.ThreadErrorEvent: {"message": REQUIRED},
    events.UnknownEvent: {"wire_type": REQUIRED, "raw": REQUIRED},
    events.ThreadError: {"message": REQUIRED},
    events.Usage: {
        "input_tokens": REQUIRED,
        "cached_input_tokens": REQUIRED,
        "output_tokens": REQUIRED,
        "cache_write_input_tokens": 0,
        "reasoning_output_tokens": 0,
    },
    items.AgentMessageItem: {"id": REQUIRED, "text": REQUIRED},
    items.ReasoningItem: {"id": REQUIRED, "text": REQUIRED},
    items.CommandExecutionItem: {
        "id": REQUIRED,
        "command": REQUIRED,
        "aggregated_output": REQUIRED,
        "exit_code": None,
        "status": "in_progress",
    },
    items.FileChangeItem: {"id": REQUIRED, "changes": REQUIRED, "status": REQUIRED},
    items.FileUpdateChange: {"path": REQUIRED, "kind": REQUIRED},
    items.McpToolCallItem: {
        "id": REQUIRED,
        "server": REQUIRED,
        "tool": REQUIRED,
        "status": REQUIRED,
        "arguments": None,
        "result": None,
        "error": None,
    },
    items.McpToolCallItemResult: {"content": REQUIRED, "structured_content": None},
    items.McpToolCallItemError: {"message": REQUIRED},
    items.CollabToolCallItem: {
        "id": REQUIRED,
        "tool": REQUIRED,
        "sender_thread_id": REQUIRED,
        "receiver_thread_ids": REQUIRED,
        "prompt": REQUIRED,
        "agents_states": REQUIRED,
        "status": REQUIRED,
        "model": None,
        "reasoning_effort": None,
    },
    items.CollabAgentState: {"status": REQUIRED, "message": None},
    items.WebSearchItem: {"id": REQUIRED, "query": "", "action": None},
    items.TodoListItem: {"id": REQUIRED, "items": REQUIRED},
    items.TodoItem: {"text": REQUIRED, "completed": REQUIRED},
    items.ErrorItem: {"id": REQUIRED, "message": REQUIRED},
    items.UnknownItem: {"id": REQUIRED, "wire_type": REQUIRED, "raw": REQUIRED},
    turn.Turn: {
        "items": REQUIRED,
        "final_response": REQUIRED,
        "usage": REQUIRED,
        "turn_usage": None,
    },
    turn.ParsedTurn: {"turn": REQUIRED, "output": REQUIRED},
    options.CodexOptions: {
        "codex_path_override": None,
        "base_url": None,
        "api_key": None,
        "env": None,
        "config_overrides": None,
        "unknown_events": "error",
        "max_line_bytes": 64 * 1024 * 1024,
        "backend": "exec",
    },
    options.ThreadOptions: dict.fromkeys(
        [
            "model",
            "sandbox_mode",
            "working_directory",
            "skip_git_repo_check",
            "model_reasoning_effort",
            "model_instructions_file",
            "model_personality",
            "max_threads",
            "network_access_enabled",
            "web_search_mode",
            "web_search_enabled",
            "web_search_cached_enabled",
            "skills_enabled",
            "shell_snapshot_enabled",
            "background_terminals_enabled",
            "apply_patch_freeform_enabled",
            "exec_policy_enabled",
            "remote_models_enabled",
            "collaboration_modes_enabled",
            "connectors_enabled",
            "responses_websockets_enabled",
            "request_compression_enabled",
            "feature_overrides",
            "approval_policy",
            "approvals_reviewer",
            "additional_directories",
            "config_overrides",
        ]
    ),
    options.TurnOptions: dict.fromkeys(["output_schema", "signal", "timeout"]),
    hooks.ThreadHooks: dict.fromkeys(
        [
            "on_event",
            "on_thread_started",
            "on_turn_started",
            "on_turn_completed",
            "on_turn_failed",
            "on_item_started",
            "on_item_updated",
            "on_item_completed",
            "on_error",
            "on_item",
            "on_item_type",
        ]
    ),
}

LITERALS = {
    "items.CommandExecutionStatus": "in_progress completed failed declined",
    "items.PatchApplyStatus": "in_progress completed failed",
    "items.PatchChangeKind": "add delete update",
    "items.McpToolCallStatus": "in_progress completed failed",
    "items.CollabToolCallStatus": "in_progress completed failed",
    "items.CollabTool": "spawn_agent send_input wait wait_agent close_agent",
    "items.CollabAgentStatus": (
        "pending_init running interrupted completed errored shutdown not_found"
    ),
    "options.ApprovalMode": "never on-request on-failure untrusted granular",
    "options.ApprovalsReviewer": "user guardian_subagent",
    "options.SandboxMode": "read-only workspace-write danger-full-access",
    "options.ModelReasoningEffort": "none minimal low medium high xhigh",
    "options.ModelPersonality": "friendly pragmatic none",
    "options.WebSearchMode": "disabled cached live",
    "options.UnknownEvents": "error keep",
    "options.BackendName": "exec app-server",
}

unknown_events = st.builds(
    events.UnknownEvent, st.just("new"), st.just({"type": "new", "parts": [{"n": 1}]})
)
turns = st.builds(
    turn.Turn, st.lists(thread_items, max_size=3).map(tuple), st.text(), st.none() | usages
)
values = st.one_of(thread_events, thread_items, unknown_events, usages, turns)

codex_options = st.builds(
    options.CodexOptions,
    api_key=st.none() | st.just("sk-key"),
    base_url=st.none() | st.just("http://localhost/v1"),
    env=st.none() | st.dictionaries(st.sampled_from("AB"), st.text()),
)
thread_options = st.builds(
    options.ThreadOptions,
    model=st.none() | st.text(),
    additional_directories=st.none() | st.lists(st.just(Path("a"))),
    feature_overrides=st.none() | st.just({"a": True}),
)


@pytest.mark.parametrize("value_class", FIELDS, ids=lambda value_class: value_class.__name__)
def test_each_value_has_its_fields_and_defaults(value_class: Any) -> None:
    fields = {field.name: field.default for field in attrs.fields(value_class)}
    fields.pop("type", None)
    assert fields == FIELDS[value_class]


@pytest.mark.parametrize("name", LITERALS)
def test_each_literal_has_its_words(name: str) -> None:
    module, literal = name.split(".")
    words = get_args(getattr(globals()[module], literal))
    assert sorted(words) == sorted(LITERALS[name].split())


@pytest.mark.parametrize(
    ("union", "types"), [(items.ThreadItem, {*ITEMS}), (events.ThreadEvent, {*EVENTS})]
)
def test_the_members_of_a_union_are_told_apart_by_their_type(union: Any, types: set[str]) -> None:
    defaults = [attrs.fields(member).type.default for member in get_args(union)]
    assert sorted(defaults) == sorted({*types, "unknown"})


@given(values)
def test_values_equal_their_copies_and_their_pickles(value: Any) -> None:
    for same in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert same == value
        assert type(same) is type(value)


@given(st.one_of(codex_options, thread_options))
def test_options_equal_their_copies_and_their_pickles(value: Any) -> None:
    assert pickle.loads(pickle.dumps(value)) == value == copy.deepcopy(value)


@given(st.one_of(values, codex_options, thread_options))
def test_values_cannot_be_changed(value: Any) -> None:
    for field in attrs.fields(type(value)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, field.name, None)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            delattr(value, field.name)
    with pytest.raises((AttributeError, TypeError)):
        value.something_else = 1
    assert not hasattr(value, "__dict__")


def holds_a_mapping_or_list(value: Any) -> bool:
    if attrs.has(type(value)):
        return any(
            holds_a_mapping_or_list(getattr(value, a.name)) for a in attrs.fields(type(value))
        )
    if isinstance(value, tuple):
        return any(map(holds_a_mapping_or_list, value))
    return isinstance(value, (Mapping, list))


@given(values)
def test_values_hash_where_their_contents_do(value: Any) -> None:
    if holds_a_mapping_or_list(value):
        with pytest.raises(TypeError, match="unhashable"):
            hash(value)
    else:
        assert hash(value) == hash(copy.deepcopy(value))
        assert {value: 1}[pickle.loads(pickle.dumps(value))] == 1


def test_values_of_different_kinds_or_contents_differ() -> None:
    message, reasoning = items.AgentMessageItem("1", "a"), items.ReasoningItem("1", "a")
    assert message != reasoning
    assert events.ItemStartedEvent(message) != events.ItemCompletedEvent(message)
    assert events.ItemStartedEvent(message) != events.ItemStartedEvent(reasoning)
    assert message != items.AgentMessageItem("1", "b")


@given(values)
def test_every_value_is_plain_data_for_json(value: Any) -> None:
    data = value.to_dict()
    assert json.loads(json.dumps(data)) == data


def assert_written(data: Any, written: Any) -> None:
    """Check that *data* says what the line says, and of what older CLIs leave out, that it is not there."""
    if not isinstance(written, dict):
        assert data == written
        return
    assert written.keys() <= data.keys()
    for key, value in data.items():
        if key in written:
            assert_written(value, written[key])
        else:
            assert value in (None, 0), f"{key} is made up"


@pytest.mark.parametrize("about", CLI_LINES)
def test_an_event_becomes_the_line_that_the_cli_wrote(about: str) -> None:
    line, event = CLI_LINES[about]
    first_id_wins = json.loads(line, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert_written(event.to_dict(), first_id_wins)


def test_a_turn_becomes_plain_data_with_its_unknown_items_as_they_came() -> None:
    raw = {"id": "item_0", "type": "new", "parts": [1]}
    finished = turn.Turn(
        (items.UnknownItem("item_0", "new", raw), items.ErrorItem("item_1", "m")),
        "",
        events.Usage(1, 2, 3),
    )
    assert finished.to_dict() == {
        "items": [raw, {"id": "item_1", "type": "error", "message": "m"}],
        "final_response": "",
        "usage": {
            "input_tokens": 1,
            "cached_input_tokens": 2,
            "output_tokens": 3,
            "cache_write_input_tokens": 0,
            "reasoning_output_tokens": 0,
        },
        "turn_usage": None,
    }


def test_the_item_of_an_event_can_be_named_in_its_type() -> None:
    event: events.ItemCompletedEvent[items.ErrorItem]
    event = events.ItemCompletedEvent[items.ErrorItem](items.ErrorItem("1", "m"))
    assert event == events.ItemCompletedEvent(items.ErrorItem("1", "m"))
    assert event.item.message == "m"


@given(st.lists(st.sampled_from([line[1] for line in CLI_LINES.values()])))
def test_a_turn_tells_its_items_apart(all_events: list[Any]) -> None:
    found = tuple(event.item for event in all_events if hasattr(event, "item"))
    finished = turn.Turn(found, "", None)
    for item_type, selected in {
        "agent_message": finished.agent_messages(),
        "reasoning": finished.reasoning(),
        "command_execution": finished.commands(),
        "file_change": finished.file_changes(),
        "mcp_tool_call": finished.mcp_tool_calls(),
        "collab_tool_call": finished.collab_tool_calls(),
        "web_search": finished.web_searches(),
        "todo_list": finished.todo_lists(),
        "error": finished.errors(),
    }.items():
        assert selected == [item for item in found if item.type == item_type]


class TestSecrets:
    """What may be secret is shown by nothing that ends up in a log."""

    SECRET = "sk-do-not-show-this"

    @pytest.mark.parametrize("show", [repr, str, "{}".format, lambda value: f"{value!r:>9}"])
    def test_neither_keys_nor_environments_nor_settings_are_shown(self, show: Any) -> None:
        settings = {"model_providers": {"mine": {"key": self.SECRET}}}
        codex = options.CodexOptions(
            api_key=self.SECRET, env={"CODEX_API_KEY": self.SECRET}, config_overrides=settings
        )
        thread = options.ThreadOptions(config_overrides=settings)
        assert self.SECRET not in show(codex) + show(thread) + show([codex, thread])
        assert "CODEX_API_KEY" in show(codex)
        assert "model_providers" in show(thread)

    def test_whether_there_is_a_key_is_shown(self) -> None:
        assert "api_key=None" in repr(options.CodexOptions())
        assert "api_key=<secret>" in repr(options.CodexOptions(api_key=""))

    def test_wrong_options_do_not_tell_either(self) -> None:
        with pytest.raises(ValueError, match="max_line_bytes") as caught:
            options.CodexOptions(api_key=self.SECRET, max_line_bytes=0)
        assert self.SECRET not in str(caught.value)

    def test_to_dict_has_what_was_set_secrets_included(self) -> None:
        codex = options.CodexOptions(api_key=self.SECRET, env={})
        assert codex.to_dict() == {
            "api_key": self.SECRET,
            "env": {},
            "unknown_events": "error",
            "max_line_bytes": 64 * 1024 * 1024,
            "backend": "exec",
        }


class TestOptions:
    """Options are read once, when they are made."""

    def test_a_mapping_that_changes_later_does_not_change_the_options(self) -> None:
        env, settings, directories = {"A": "1"}, {"a": 1}, ["/a"]
        codex = options.CodexOptions(env=env, config_overrides=settings)
        thread = options.ThreadOptions(
            config_overrides=settings,
            feature_overrides=settings,
            additional_directories=directories,
        )
        env["B"] = "2"
        settings["b"] = 2
        directories.append("/b")
        assert (codex.env, codex.config_overrides) == ({"A": "1"}, {"a": 1})
        assert (thread.config_overrides, thread.feature_overrides) == ({"a": 1}, {"a": 1})
        assert thread.additional_directories == ("/a",)

    def test_paths_are_accepted_where_files_are_named(self) -> None:
        thread = options.ThreadOptions(
            working_directory=Path("/a"),
            model_instructions_file=Path("/b"),
            additional_directories=[Path("/c"), "/d"],
        )
        assert (thread.working_directory, thread.model_instructions_file) == ("/a", "/b")
        assert thread.additional_directories == ("/c", "/d")
        assert options.CodexOptions(codex_path_override=Path("/e")).codex_path_override == "/e"

    @pytest.mark.parametrize("path", ["/a", Path("/a")])
    def test_one_path_is_not_taken_for_a_sequence_of_them(self, path: Any) -> None:
        with pytest.raises(TypeError, match="not one path"):
            options.ThreadOptions(additional_directories=path)

    def test_options_are_given_by_name(self) -> None:
        for options_class in (options.CodexOptions, options.ThreadOptions, options.TurnOptions):
            with pytest.raises(TypeError):
                options_class("positional")


class TestExceptions:
    """Exceptions carry data, cross process pools, and can all be caught as CodexError."""

    ALL = (
        exceptions.CodexError("wrong use"),
        exceptions.CodexNotFoundError("nowhere", ["PATH: nothing"]),
        exceptions.CodexCLIError(-9, "killed\n", "before the turn was over"),
        exceptions.CodexParseError("no event"),
        exceptions.CodexAbortError("enough"),
        exceptions.CodexAbortError({"any": "object"}),
        exceptions.CodexTimeoutError(2.5),
        exceptions.TurnFailedError("no quota", error=events.ThreadError("no quota")),
        exceptions.ThreadMismatchError("asked", "got"),
    )

    @pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
    def test_an_exception_survives_pickling_and_copying(self, error: CodexError) -> None:
        for same in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(same) is type(error)
            assert str(same) == str(error)
            assert same.args == error.args
            assert vars(same) == vars(error)
        assert isinstance(error, CodexError)
        assert {error: 1}[error] == 1

    def test_a_cli_error_says_how_the_cli_ended(self) -> None:
        error = exceptions.CodexCLIError(2, "unknown option\n")
        assert (error.exit_code, error.stderr) == (2, "unknown option\n")
        assert str(error) == "Codex CLI exited with code 2: unknown option"
        assert str(exceptions.CodexCLIError(1, " \n")) == "Codex CLI exited with code 1"
        assert str(exceptions.CodexCLIError(-15, "", "early")) == (
            "Codex CLI exited with code -15 (early)"
        )

    @pytest.mark.parametrize("reason", [None, "enough", ValueError("inner"), 5])
    def test_an_abort_error_has_its_reason_as_it_was(self, reason: object) -> None:
        error = exceptions.CodexAbortError(reason)
        assert error.reason is reason
        assert error.args == (reason,)
        assert str(error) == ("Operation aborted" if reason is None else str(reason))

    def test_a_time_out_is_a_time_out_to_others_too(self) -> None:
        with pytest.raises(TimeoutError, match=r"within 2\.5 seconds"):
            raise exceptions.CodexTimeoutError(2.5)

    def test_a_failed_turn_has_the_error_of_its_event(self) -> None:
        failure = events.ThreadError("no quota")
        assert exceptions.TurnFailedError("no quota", error=failure).error is failure
        assert exceptions.TurnFailedError("no quota").error is None

    def test_a_warning_is_a_warning(self) -> None:
        assert issubclass(exceptions.CodexWarning, UserWarning)
        assert not issubclass(exceptions.CodexWarning, CodexError)


class TestInput:
    """A prompt is a text, or texts and images."""

    @given(st.text())
    def test_a_text_is_the_prompt(self, text: str) -> None:
        assert normalize_input(text) == (text, [])

    @given(st.lists(st.tuples(st.booleans(), st.text())))
    def test_texts_are_joined_by_blank_lines_and_images_keep_their_order(
        self, parts: list[tuple[bool, str]]
    ) -> None:
        given_items: list[inputs.UserInput] = [
            {"type": "local_image", "path": text} if image else {"type": "text", "text": text}
            for image, text in parts
        ]
        assert normalize_input(given_items) == (
            "\n\n".join(text for image, text in parts if not image),
            [text for image, text in parts if image],
        )

    def test_an_image_may_be_a_path_object(self) -> None:
        assert normalize_input(({"type": "local_image", "path": Path("/a b")},)) == ("", ["/a b"])

    @pytest.mark.parametrize(
        "item",
        [
            {},
            {"type": "text"},
            {"type": "text", "text": None},
            {"type": "text", "text": b"bytes"},
            {"type": "local_image"},
            {"type": "local_image", "path": None},
            {"type": "local_image", "path": b"/bytes"},
            {"type": "audio", "path": "/a"},
            {"type": ["text"]},
            "a text",
            None,
            5,
        ],
    )
    def test_anything_else_is_refused_by_its_position(self, item: Any) -> None:
        with pytest.raises(CodexError, match="input item 1 "):
            normalize_input([{"type": "text", "text": "fine"}, item])

    @pytest.mark.parametrize("input", [None, 5, object()])
    def test_an_input_that_is_no_sequence_is_refused(self, input: Any) -> None:
        with pytest.raises(CodexError, match="neither a text nor a sequence"):
            normalize_input(input)

    @pytest.mark.parametrize("input", [b"bytes", {"type": "text", "text": "one item, no list"}])
    def test_what_is_a_sequence_of_other_things_is_refused(self, input: Any) -> None:
        with pytest.raises(CodexError, match="input item 0 "):
            normalize_input(input)


class TestHooks:
    """Each event calls the hooks that apply to it, one after the other."""

    @staticmethod
    def recording(calls: list[tuple[str, Any]]) -> hooks.ThreadHooks:
        def sync_hook(name: str) -> Any:
            return lambda argument: calls.append((name, argument))

        def async_hook(name: str) -> Any:
            async def hook(argument: Any) -> None:
                calls.append((name, argument))

            return hook

        names = [name for name in FIELDS[hooks.ThreadHooks] if name != "on_item_type"]
        made = {
            name: (async_hook if index % 2 else sync_hook)(name) for index, name in enumerate(names)
        }
        of_type = {name: async_hook(f"on_item_type {name}") for name in ITEMS}
        return hooks.ThreadHooks(**made, on_item_type=of_type)

    @pytest.mark.parametrize("about", CLI_LINES)
    async def test_the_hooks_of_an_event_are_called_in_order(self, about: str) -> None:
        event = CLI_LINES[about][1]
        calls: list[tuple[str, Any]] = []
        await hooks.dispatch_event(self.recording(calls), event)
        specific = f"on_{event.type.replace('.', '_')}"
        expected = [("on_event", event), (specific, event)]
        if hasattr(event, "item"):
            of_type = f"on_item_type {event.item.type}"
            expected += [("on_item", event.item), (of_type, event.item)]
        assert calls == expected

    async def test_events_and_items_of_unknown_types_reach_the_general_hooks(self) -> None:
        calls: list[tuple[str, Any]] = []
        recording = self.recording(calls)
        item = items.UnknownItem("1", "new", {})
        unknown, with_unknown = events.UnknownEvent("new", {}), events.ItemStartedEvent(item)
        await hooks.dispatch_event(recording, unknown)
        await hooks.dispatch_event(recording, with_unknown)
        assert calls == [
            ("on_event", unknown),
            ("on_event", with_unknown),
            ("on_item_started", with_unknown),
            ("on_item", item),
        ]

    async def test_a_raising_hook_keeps_the_later_ones_from_being_called(self) -> None:
        calls: list[Any] = []

        async def fail(_: object) -> None:
            raise KeyError("from the hook")

        raising = hooks.ThreadHooks(on_event=fail, on_turn_started=calls.append)
        with pytest.raises(KeyError, match="from the hook"):
            await hooks.dispatch_event(raising, events.TurnStartedEvent())
        assert calls == []

    async def test_without_hooks_nothing_happens(self) -> None:
        await hooks.dispatch_event(hooks.ThreadHooks(), events.TurnStartedEvent())
