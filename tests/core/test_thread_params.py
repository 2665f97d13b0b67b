"""Params of threads; what a real CLI makes of them is in tests/real_cli."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk import CodexError, CodexOptions, ThreadOptions
from codex_sdk._core.thread_params import ThreadParams, check_echo, thread_params, turn_input
from codex_sdk._core.versions import PINNED, CliVersion

LEGACY = CliVersion(0, 80, 0)
THREAD_ID = "01a2b3c4-0000-7000-8000-000000000001"
WORK = "/work/here"


def params(
    thread: ThreadOptions | None = None,
    *,
    codex: CodexOptions | None = None,
    version: CliVersion = PINNED,
    thread_id: str | None = None,
    **config: Any,
) -> ThreadParams:
    return thread_params(
        codex or CodexOptions(),
        thread or ThreadOptions(),
        version=version,
        thread_id=thread_id,
        cwd=WORK,
        config=config,
    )


def test_a_thread_without_options_asks_for_what_exec_does() -> None:
    assert params() == ThreadParams("thread/start", {"cwd": WORK, "approvalPolicy": "never"})


def test_options_are_fields_or_settings() -> None:
    options = ThreadOptions(
        model="m",
        sandbox_mode="read-only",
        working_directory="sub",
        model_reasoning_effort="high",
        model_instructions_file="rules.md",
        network_access_enabled=True,
        web_search_mode="live",
        shell_snapshot_enabled=False,
        max_threads=2,
        model_personality="friendly",
        approval_policy="on-request",
        approvals_reviewer="guardian_subagent",
        feature_overrides={"goals": True},
    )
    made = params(options)
    assert made.warnings == ()
    assert made.params == {
        "cwd": f"{WORK}/sub",
        "model": "m",
        "sandbox": "read-only",
        "approvalPolicy": "on-request",
        "approvalsReviewer": "guardian_subagent",
        "config": {
            "features.goals": True,
            "model_reasoning_effort": "high",
            "model_instructions_file": f"{WORK}/sub/rules.md",
            "personality": "friendly",
            "agents.max_threads": 2,
            "sandbox_workspace_write.network_access": True,
            "web_search": "live",
            "features.shell_snapshot": False,
        },
    }


def test_an_older_cli_is_told_in_its_own_words() -> None:
    options = ThreadOptions(web_search_mode="live", model_personality="friendly")
    made = params(options, version=LEGACY)
    assert made.params["config"] == {
        "features.web_search_request": True,
        "features.web_search_cached": False,
    }
    (warning,) = made.warnings
    assert "model_personality='friendly'" in warning


def test_the_flag_that_only_exec_has_is_warned_of() -> None:
    (warning,) = params(ThreadOptions(exec_policy_enabled=False)).warnings
    assert "exec_policy_enabled=False" in warning
    assert 'backend="exec"' in warning
    assert params(ThreadOptions(exec_policy_enabled=False), version=LEGACY).warnings == ()


def test_only_what_the_server_does_not_run_with_is_sent() -> None:
    codex = CodexOptions(config_overrides={"a": 1, "b.c": "client", "web_search": "live"})
    thread = ThreadOptions(config_overrides={"b.c": "thread"}, web_search_mode="disabled")
    assert params(thread, codex=codex).params["config"] == {
        "b.c": "thread",
        "web_search": "disabled",
    }


keys = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)
tables = st.recursive(
    st.integers(0, 9), lambda inner: st.dictionaries(st.sampled_from("abc"), inner), max_leaves=4
)


def tree(settings: Any) -> dict[str, Any]:
    """Do what the CLI does with its ``--config`` arguments, one after the other."""
    root: dict[str, Any] = {}
    for key, value in settings.items():
        *way, last = key.split(".")
        table = root
        for name in way:
            inner = table.get(name)
            table[name] = table = dict(inner) if isinstance(inner, dict) else {}
        table[last] = value
    return root


@given(st.dictionaries(keys, tables, min_size=1, max_size=5))
def test_settings_mean_the_same_in_whatever_order_the_server_takes_them(
    overrides: dict[str, Any],
) -> None:
    sent = params(ThreadOptions(config_overrides=overrides)).params["config"]
    assert tree(sent) == tree(overrides)
    assert tree(dict(reversed(list(sent.items())))) == tree(overrides)


def test_values_are_json_and_refused_as_for_exec() -> None:
    overrides = {"notify": ("a", Path("/b")), "t": {"x": (1,)}}
    sent = params(ThreadOptions(config_overrides=overrides)).params["config"]
    assert sent == {"notify": ["a", "/b"], "t": {"x": [1]}}
    for wrong, error in (({"a": None}, TypeError), ({"a b..": 1}, ValueError)):
        with pytest.raises(error):
            params(ThreadOptions(config_overrides=wrong))


def test_directories_come_on_top_of_those_that_are_configured() -> None:
    options = ThreadOptions(additional_directories=["../there", "/opt"])
    made = params(options, sandbox_workspace_write={"writable_roots": ["/opt", "/srv"]})
    roots = made.params["config"]["sandbox_workspace_write.writable_roots"]
    assert roots == ["/opt", "/srv", "/work/there"]


TRUSTED = {"trust_level": "trusted"}
UNTRUSTED = {"trust_level": "untrusted"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {WORK: UNTRUSTED}),
        ({"projects": {"/other": TRUSTED}}, {"/other": TRUSTED, WORK: UNTRUSTED}),
        ({"projects": {"/work": TRUSTED}}, None),
        ({"projects": {WORK: UNTRUSTED}}, None),
    ],
    ids=["nothing", "another project", "a trusted parent", "the project itself"],
)
@pytest.mark.parametrize("mode", ["workspace-write", "danger-full-access"])
def test_the_user_alone_decides_which_projects_are_trusted(
    config: dict[str, Any], expected: Any, mode: Any
) -> None:
    made = params(ThreadOptions(sandbox_mode=mode), **config)
    assert made.params.get("config", {}).get("projects") == expected
    by_configuration = params(sandbox_mode=mode, **config)
    assert by_configuration.params.get("config", {}).get("projects") == expected
    for safe in (
        params(ThreadOptions(sandbox_mode="read-only"), **config),
        params(ThreadOptions(sandbox_mode=mode), version=LEGACY, **config),
    ):
        assert "config" not in safe.params


@pytest.mark.parametrize(
    ("config", "sandbox", "provider"),
    [
        ({}, "read-only", "openai"),
        ({"sandbox_mode": "workspace-write"}, "workspace-write", "openai"),
        ({"projects": {"/work": TRUSTED}, "model_provider": "mine"}, "workspace-write", "mine"),
    ],
)
def test_a_resumed_thread_runs_with_the_defaults_not_with_what_it_ran_with(
    config: dict[str, Any], sandbox: str, provider: str
) -> None:
    made = params(thread_id=THREAD_ID, **config)
    assert made.method == "thread/resume"
    sent = {key: value for key, value in made.params.items() if key != "config"}
    assert sent == {
        "threadId": THREAD_ID,
        "cwd": WORK,
        "excludeTurns": True,
        "modelProvider": provider,
        "sandbox": sandbox,
        "approvalPolicy": "never",
        "approvalsReviewer": "user",
    }


def test_an_older_cli_restores_nothing_and_needs_not_be_told() -> None:
    made = params(thread_id=THREAD_ID, version=LEGACY)
    assert made.params == {"threadId": THREAD_ID, "cwd": WORK, "approvalPolicy": "never"}


GRANULAR = {"granular": {"rules": True}}


@pytest.mark.parametrize(
    ("options", "version", "policy", "warning"),
    [
        ({"approval_policy": "untrusted"}, PINNED, "untrusted", None),
        ({"approval_policy": "on-failure"}, LEGACY, "on-failure", None),
        ({"approval_policy": "on-failure"}, PINNED, "never", "on-request"),
        ({"approval_policy": "granular"}, PINNED, "never", "details"),
        ({"approval_policy": "granular"}, LEGACY, "never", "no such policy"),
        ({"config_overrides": {"approval_policy": "on-request"}}, PINNED, "on-request", None),
        (
            {"approval_policy": "granular", "config_overrides": {"approval_policy": GRANULAR}},
            PINNED,
            GRANULAR,
            None,
        ),
        ({"approvals_reviewer": "guardian_subagent"}, PINNED, "on-request", None),
        ({"approvals_reviewer": "guardian_subagent"}, LEGACY, "never", "reviewer"),
        ({"approvals_reviewer": "user"}, PINNED, "never", None),
    ],
)
def test_nobody_is_asked_unless_that_is_wanted(
    options: dict[str, Any], version: CliVersion, policy: Any, warning: str | None
) -> None:
    made = params(ThreadOptions(**options), version=version)
    assert made.params["approvalPolicy"] == policy
    assert [warning in text for text in made.warnings] == [True] * (warning is not None)


@pytest.mark.parametrize(
    "options",
    [
        {"model": "-m"},
        {"sandbox_mode": "none"},
        {"approval_policy": "always"},
        {"working_directory": ""},
        {"additional_directories": ["\0"]},
    ],
)
def test_what_exec_refuses_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(CodexError):
        params(ThreadOptions(**options))


def test_a_turn_is_given_its_images_first() -> None:
    assert turn_input("Look", ["/a.png"]) == [
        {"type": "localImage", "path": "/a.png"},
        {"type": "text", "text": "Look"},
    ]


def echo(**changes: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "approvalPolicy": "never",
        "sandbox": {"type": "workspaceWrite", "networkAccess": False},
        **changes,
    }


ASKED = ThreadOptions(model="m", sandbox_mode="workspace-write", network_access_enabled=False)


def test_a_server_that_does_what_was_asked_is_believed() -> None:
    assert check_echo(params(ASKED), echo()) == ()
    by_config = ThreadOptions(config_overrides={"sandbox_mode": "workspace-write"})
    assert check_echo(params(by_config), echo()) == ()
    assert check_echo(params(), echo(sandbox={"type": "dangerFullAccess"})) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"sandbox": {"type": "dangerFullAccess"}},
        {"sandbox": {"type": "novelty"}},
        {"sandbox": None},
        {"sandbox": {"type": "workspaceWrite", "networkAccess": True}},
        {"approvalPolicy": "on-request"},
        {"approvalPolicy": None},
    ],
)
def test_less_safety_than_asked_for_is_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(CodexError, match="not used"):
        check_echo(params(ASKED), echo(**changes))


@pytest.mark.parametrize(
    "changes", [{"sandbox": {"type": "readOnly"}}, {"model": "other"}], ids=str
)
def test_other_differences_are_warned_of(changes: dict[str, Any]) -> None:
    (warning,) = check_echo(params(ASKED), echo(**changes))
    assert "as asked" in warning


def test_a_granular_policy_may_be_told_with_more_details() -> None:
    options = ThreadOptions(config_overrides={"approval_policy": GRANULAR})
    told = {"granular": {"rules": True, "skill_approval": False}}
    assert check_echo(params(options), echo(approvalPolicy=told)) == ()
    with pytest.raises(CodexError, match="approval policy"):
        check_echo(params(options), echo(approvalPolicy={"granular": {"rules": False}}))
