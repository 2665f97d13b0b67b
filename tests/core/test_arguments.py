"""The command line: what each CLI is told for each option, what is left out, what is refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk import options
from codex_sdk._core.arguments import (
    ExecArguments,
    check_thread_id,
    exec_arguments,
    needs_version,
)
from codex_sdk._core.versions import PINNED, VERIFIED, CliVersion
from codex_sdk.exceptions import CodexError
from codex_sdk.options import CodexOptions, ThreadOptions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LEGACY, _, NEWEST = VERIFIED
ID = "01a2b3c4-0000-7000-8000-000000000001"


def spelled(
    thread: dict[str, Any] | None = None,
    codex: dict[str, Any] | None = None,
    version: CliVersion = PINNED,
    **changes: Any,
) -> ExecArguments:
    rest = {"thread_id": None, "images": (), "schema_file": None, "cwd": "/project", **changes}
    return exec_arguments(
        CodexOptions(**(codex or {})), ThreadOptions(**(thread or {})), version=version, **rest
    )


def words(*given: Any, **named: Any) -> list[str]:
    """Return what stands between ``exec --experimental-json`` and the end; ``--config=`` is left away."""
    first, second, *rest = spelled(*given, **named).arguments
    assert (first, second) == ("exec", "--experimental-json")
    return [word.removeprefix("--config=") for word in rest]


def settings(*given: Any, **named: Any) -> dict[str, Any]:
    """Return the configuration that the CLI puts together from the ``--config`` entries."""
    table: dict[str, Any] = {}
    for word in spelled(*given, **named).arguments:
        if word.startswith("--config="):
            key, _, value = word.removeprefix("--config=").partition("=")
            *path, last = key.split(".")
            target = table
            for part in path:
                target = target.setdefault(part, {})
            target[last] = tomllib.loads(f"value = {value}")["value"]
    return table


def test_without_options_there_is_nothing_but_the_mode() -> None:
    assert spelled() == ExecArguments(("exec", "--experimental-json"), ())
    assert not needs_version(CodexOptions(), ThreadOptions())


def test_everything_stands_where_all_clis_understand_it() -> None:
    assert spelled(
        {
            "model": "gpt-5",
            "sandbox_mode": "workspace-write",
            "working_directory": Path("/dir"),
            "additional_directories": ["../a b", "-c"],
            "skip_git_repo_check": True,
            "config_overrides": {"notify": ["a"]},
            "network_access_enabled": False,
        },
        thread_id=ID,
        images=["-1.png", "/b =.png"],
        schema_file="/tmp/schema.json",
        marker=("MARK", "1"),
    ).arguments == (
        "exec",
        "--experimental-json",
        "--model=gpt-5",
        "--sandbox=workspace-write",
        "--cd=/dir",
        "--add-dir=../a b",
        "--add-dir=-c",
        "--skip-git-repo-check",
        '--config=notify=["a"]',
        "--config=sandbox_workspace_write.network_access=false",
        "--output-schema=/tmp/schema.json",
        '--config=shell_environment_policy.set.MARK="1"',
        "--image=-1.png",
        "--image=/b =.png",
        "resume",
        "--",
        ID,
    )


NOT_TAKEN: Any = object()
"""In a row below: the option is left out, with a warning."""

SAME_FOR_ALL: list[tuple[str, Any, list[str]]] = [
    ("model", "gpt-5", ["--model=gpt-5"]),
    ("sandbox_mode", "read-only", ["--sandbox=read-only"]),
    ("skip_git_repo_check", True, ["--skip-git-repo-check"]),
    ("skip_git_repo_check", False, []),
    ("model_reasoning_effort", "xhigh", ['model_reasoning_effort="xhigh"']),
    ("network_access_enabled", True, ["sandbox_workspace_write.network_access=true"]),
    ("shell_snapshot_enabled", True, ["features.shell_snapshot=true"]),
    ("shell_snapshot_enabled", False, ["features.shell_snapshot=false"]),
    ("background_terminals_enabled", True, ["features.unified_exec=true"]),
    ("request_compression_enabled", True, ["features.enable_request_compression=true"]),
    ("request_compression_enabled", False, ["features.enable_request_compression=false"]),
    ("skills_enabled", True, []),
    ("skills_enabled", False, NOT_TAKEN),
    ("approval_policy", "never", ['approval_policy="never"']),
    ("approval_policy", "on-request", NOT_TAKEN),
    ("approval_policy", "on-failure", NOT_TAKEN),
    ("approval_policy", "untrusted", NOT_TAKEN),
    ("approval_policy", "granular", NOT_TAKEN),
    ("feature_overrides", {"shell_tool": False}, ["features.shell_tool=false"]),
]


@pytest.mark.parametrize("version", VERIFIED, ids=str)
@pytest.mark.parametrize(("option", "value", "sent"), SAME_FOR_ALL)
def test_options_that_all_clis_treat_alike(
    option: str, value: Any, sent: list[str], version: CliVersion
) -> None:
    check_row(option, value, sent, version)


SEARCH = "features.web_search_request={}", "features.web_search_cached={}"


def search(live: str, cached: str) -> list[str]:
    return [SEARCH[0].format(live), SEARCH[1].format(cached)]


DIFFERENT: list[tuple[str, Any, list[str], list[str]]] = [
    (
        "model_instructions_file",
        "/i.md",
        ['experimental_instructions_file="/i.md"'],
        ['model_instructions_file="/i.md"'],
    ),
    ("model_personality", "friendly", NOT_TAKEN, ['personality="friendly"']),
    ("model_personality", "none", [], ['personality="none"']),
    ("max_threads", 3, NOT_TAKEN, ["agents.max_threads=3"]),
    ("web_search_mode", "live", search("true", "false"), ['web_search="live"']),
    ("web_search_mode", "cached", search("false", "true"), ['web_search="cached"']),
    ("web_search_mode", "disabled", search("false", "false"), ['web_search="disabled"']),
    ("web_search_enabled", True, search("true", "false"), ['web_search="live"']),
    ("web_search_enabled", False, search("false", "false"), ['web_search="disabled"']),
    ("web_search_cached_enabled", True, search("false", "true"), ['web_search="cached"']),
    ("web_search_cached_enabled", False, search("false", "false"), ['web_search="disabled"']),
    ("background_terminals_enabled", False, ["features.unified_exec=false"], NOT_TAKEN),
    ("apply_patch_freeform_enabled", True, ["features.apply_patch_freeform=true"], NOT_TAKEN),
    ("apply_patch_freeform_enabled", False, ["features.apply_patch_freeform=false"], NOT_TAKEN),
    ("exec_policy_enabled", True, ["features.exec_policy=true"], []),
    ("exec_policy_enabled", False, ["features.exec_policy=false"], ["--ignore-rules"]),
    ("remote_models_enabled", True, ["features.remote_models=true"], []),
    ("remote_models_enabled", False, ["features.remote_models=false"], NOT_TAKEN),
    ("collaboration_modes_enabled", True, NOT_TAKEN, []),
    ("collaboration_modes_enabled", False, [], NOT_TAKEN),
    ("connectors_enabled", True, NOT_TAKEN, ["features.apps=true"]),
    ("connectors_enabled", False, [], ["features.apps=false"]),
    ("responses_websockets_enabled", True, NOT_TAKEN, []),
    ("responses_websockets_enabled", False, [], NOT_TAKEN),
    ("approvals_reviewer", "user", [], ['approvals_reviewer="user"']),
    (
        "approvals_reviewer",
        "guardian_subagent",
        NOT_TAKEN,
        ['approvals_reviewer="guardian_subagent"'],
    ),
    ("feature_overrides", {"powershell_utf8": True}, ["features.powershell_utf8=true"], NOT_TAKEN),
    (
        "feature_overrides",
        {"web_search_cached": True},
        search("false", "true"),
        ['web_search="cached"'],
    ),
    (
        "feature_overrides",
        {"features.exec_policy": False},
        ["features.exec_policy=false"],
        ["--ignore-rules"],
    ),
    ("feature_overrides", {"apps": True}, NOT_TAKEN, ["features.apps=true"]),
]


@pytest.mark.parametrize(("option", "value", "legacy", "current"), DIFFERENT)
def test_options_that_the_generations_treat_differently(
    option: str, value: Any, legacy: list[str], current: list[str]
) -> None:
    check_row(option, value, legacy, LEGACY)
    check_row(option, value, current, PINNED)
    check_row(option, value, current, NEWEST)
    assert needs_version(CodexOptions(), ThreadOptions(**{option: value}))


def check_row(option: str, value: Any, sent: list[str], version: CliVersion) -> None:
    warnings = spelled({option: value}, version=version).warnings
    if sent is NOT_TAKEN:
        (warning,) = warnings
        assert warning.startswith(f"ThreadOptions.{option}")
        assert f"has no effect with Codex CLI {version}, and is left out: " in warning
        assert not warning.endswith(": ")
        assert words({option: value}, version=version) == []
        assert needs_version(CodexOptions(), ThreadOptions(**{option: value}))
    else:
        assert warnings == ()
        assert words({option: value}, version=version) == sent


def test_every_option_has_a_row() -> None:
    rows = {row[0] for row in [*SAME_FOR_ALL, *DIFFERENT]}
    tested_elsewhere = {"working_directory", "additional_directories", "config_overrides"}
    assert rows | tested_elsewhere == {field.name for field in attrs.fields(ThreadOptions)}


@pytest.mark.parametrize("version", ["0.100.0", "0.117.0", "0.150.3", "0.0.0", "1.0.0"])
def test_clis_between_and_beyond_the_verified_ones_get_what_is_known_of_their_like(
    version: str,
) -> None:
    major, minor, patch = map(int, version.split("."))
    found = spelled(
        {
            "web_search_mode": "live",
            "exec_policy_enabled": False,
            "background_terminals_enabled": False,
        },
        version=CliVersion(major, minor, patch),
    )
    assert '--config=web_search="live"' in found.arguments
    newest = version in {"0.0.0", "1.0.0"}
    assert ("--ignore-rules" in found.arguments) == newest
    assert ("--config=features.unified_exec=false" in found.arguments) != newest


# Web search -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "mode"),
    [
        ({"web_search_mode": "live", "web_search_cached_enabled": True}, "live"),
        ({"web_search_mode": "disabled", "web_search_enabled": True}, "disabled"),
        ({"web_search_enabled": True, "web_search_cached_enabled": True}, "cached"),
        ({"web_search_enabled": True, "web_search_cached_enabled": False}, "live"),
        ({"web_search_enabled": False, "web_search_cached_enabled": True}, "cached"),
        (
            {"web_search_enabled": False, "feature_overrides": {"web_search_request": True}},
            "disabled",
        ),
        ({"web_search_enabled": True, "feature_overrides": {"web_search_cached": True}}, "cached"),
        ({"web_search_mode": "live", "feature_overrides": {"web_search_cached": True}}, "live"),
    ],
)
def test_the_most_explicit_wish_for_web_search_wins(asked: dict[str, Any], mode: str) -> None:
    assert settings(asked) == {"web_search": mode}
    assert settings(asked, version=LEGACY) == {
        "features": {"web_search_request": mode == "live", "web_search_cached": mode == "cached"}
    }


@pytest.mark.parametrize(
    "asked",
    [
        {"web_search_mode": "cached"},
        {"web_search_cached_enabled": True},
        {"feature_overrides": {"web_search_cached": True}},
    ],
)
@pytest.mark.parametrize(
    "sandbox",
    [
        {"sandbox_mode": "danger-full-access"},
        {"config_overrides": {"sandbox_mode": "danger-full-access"}},
    ],
)
def test_newer_clis_cannot_search_the_cache_without_a_sandbox(
    asked: dict[str, Any], sandbox: dict[str, Any]
) -> None:
    (warning,) = spelled({**asked, **sandbox}).warnings
    assert warning.startswith(f"ThreadOptions.{next(iter(asked))}")
    assert "searches live" in warning
    assert words({**asked, **sandbox}) == words(sandbox)
    assert settings({**asked, **sandbox}, version=LEGACY)["features"]["web_search_cached"]
    for other in ("live", "disabled"):
        assert settings({"web_search_mode": other, **sandbox})["web_search"] == other


# Approvals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["never", "on-request", "on-failure"])
@pytest.mark.parametrize("codex", [{}, {"config_overrides": {"approvals_reviewer": "auto_review"}}])
def test_a_policy_has_an_effect_where_a_model_reviews(policy: str, codex: dict[str, Any]) -> None:
    asked = {"approval_policy": policy}
    if not codex:
        asked["approvals_reviewer"] = "guardian_subagent"
    assert spelled(asked, codex).warnings == ()
    assert settings(asked, codex)["approval_policy"] == policy


@pytest.mark.parametrize(
    ("policy", "remedy"),
    [
        ("untrusted", 'use "on-request"'),
        ("granular", "config_overrides={'approval_policy': {'granular'"),
    ],
)
def test_policies_that_no_longer_exist_as_words_name_what_does(policy: str, remedy: str) -> None:
    asked = {"approval_policy": policy, "approvals_reviewer": "guardian_subagent"}
    (warning,) = spelled(asked).warnings
    assert remedy in warning
    assert settings(asked) == {"approvals_reviewer": "guardian_subagent"}


def test_an_older_cli_cannot_review_whatever_the_overrides_say() -> None:
    (warning,) = spelled(
        {"approval_policy": "on-request"},
        {"config_overrides": {"approvals_reviewer": "auto_review"}},
        version=LEGACY,
    ).warnings
    assert 'runs with "never"' in warning
    assert "guardian_subagent" not in warning


# The endpoint ---------------------------------------------------------------------------------------------

URL = "http://127.0.0.1:8000/v1"
OWN_PROVIDER = {
    "model_provider": "codex_sdk",
    "model_providers": {
        "codex_sdk": {
            "name": "codex_sdk",
            "base_url": URL,
            "wire_api": "responses",
            "requires_openai_auth": True,
        }
    },
}


@pytest.mark.parametrize("version", VERIFIED, ids=str)
def test_a_base_url_is_a_provider_of_its_own_for_every_cli(version: CliVersion) -> None:
    assert settings({}, {"base_url": URL}, version=version) == OWN_PROVIDER
    assert not needs_version(CodexOptions(base_url=URL), ThreadOptions())


def test_config_overrides_may_add_to_the_provider_but_not_replace_its_endpoint() -> None:
    found = settings(
        {"config_overrides": {"model_providers.codex_sdk.request_max_retries": 0}},
        {
            "base_url": URL,
            "config_overrides": {
                "model_provider": "codex_sdk",
                "model_providers.codex_sdk": {"base_url": "http://other", "env_key": "KEY"},
            },
        },
    )
    provider = found["model_providers"]["codex_sdk"]
    assert provider == {
        **OWN_PROVIDER["model_providers"]["codex_sdk"],  # type: ignore[index]
        "env_key": "KEY",
        "request_max_retries": 0,
    }


def test_a_provider_that_config_overrides_name_keeps_its_name_and_gets_the_endpoint() -> None:
    codex = {"base_url": URL, "config_overrides": {"model_provider": "corp"}}
    for version in VERIFIED:
        assert settings({}, codex, version=version) == {
            "model_provider": "corp",
            "model_providers": {"corp": {"base_url": URL}},
        }


def test_openai_s_own_provider_is_redirected_by_the_key_or_by_the_environment() -> None:
    codex = {"base_url": URL, "config_overrides": {"model_provider": "openai"}}
    assert settings({}, codex, version=LEGACY) == {"model_provider": "openai"}
    for version in VERIFIED[1:]:
        assert settings({}, codex, version=version) == {
            "model_provider": "openai",
            "openai_base_url": URL,
        }


@pytest.mark.parametrize("provider", ["ollama", "lmstudio", "amazon-bedrock", "a.b", "", 5])
def test_providers_whose_endpoint_cannot_be_set_are_refused(provider: Any) -> None:
    with pytest.raises(CodexError, match=r"model[_ ]provider"):
        spelled({}, {"base_url": URL, "config_overrides": {"model_provider": provider}})


def test_a_provider_without_a_base_url_is_the_user_s_affair() -> None:
    codex = {"config_overrides": {"model_provider": "ollama"}}
    assert settings({"responses_websockets_enabled": True}, codex) == {"model_provider": "ollama"}


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize(
    ("codex", "provider"),
    [({"base_url": URL}, "codex_sdk"), ({"config_overrides": {"model_provider": "corp"}}, "corp")],
)
def test_a_websocket_to_another_endpoint_is_the_provider_s_setting(
    value: bool, codex: dict[str, Any], provider: str
) -> None:
    asked = {"responses_websockets_enabled": value}
    assert spelled(asked, codex).warnings == ()
    assert settings(asked, codex)["model_providers"][provider]["supports_websockets"] is value
    assert len(spelled(asked, codex, version=LEGACY).warnings) == value


@pytest.mark.parametrize("version", VERIFIED, ids=str)
def test_requests_to_another_endpoint_are_never_compressed(version: CliVersion) -> None:
    on = spelled({"request_compression_enabled": True}, {"base_url": URL}, version=version)
    off = spelled({"request_compression_enabled": False}, {"base_url": URL}, version=version)
    assert "OpenAI's own provider alone" in on.warnings[0]
    assert off.warnings == ()
    assert on.arguments == off.arguments == spelled({}, {"base_url": URL}).arguments


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/v1",
        "ftp://host/v1",
        "http://",
        "http://host:port/v1",
        "http://host:99999/v1",
        "http://[::1/v1",
        "http://ho st/v1",
        "http://host/v1\n",
        "http://host\0/v1",
        "https://user:geheim@host/v1",
        "https://geheim@host/v1",
        5,
    ],
)
def test_a_base_url_that_is_none_or_holds_a_secret_is_refused(url: Any) -> None:
    with pytest.raises(CodexError, match=r"CodexOptions\.base_url") as caught:
        spelled({}, {"base_url": url})
    assert "geheim" not in str(caught.value)


def test_the_api_key_is_on_no_command_line() -> None:
    found = spelled({}, {"base_url": URL, "api_key": "sk-geheim", "env": {"A": "sk-geheim"}})
    assert "geheim" not in "".join([*found.arguments, *found.warnings])


# Overrides ------------------------------------------------------------------------------------------------


def test_the_thread_s_overrides_win_over_the_client_s() -> None:
    found = words(
        {"config_overrides": {"a": "thread", "c": {"d.e": [1.5]}}},
        {"config_overrides": {"a": "client", "b": True}},
    )
    assert found == ["b=true", 'a="thread"', 'c={"d.e" = [1.5]}']


def test_explicit_options_win_over_feature_overrides_and_those_over_config_overrides() -> None:
    found = words(
        {
            "config_overrides": {"web_search": "live", "features.shell_tool": True},
            "feature_overrides": {
                "shell_tool": False,
                "shell_snapshot": False,
                "multi_agent": True,
            },
            "web_search_mode": "disabled",
            "shell_snapshot_enabled": True,
        }
    )
    assert found == [
        'web_search="live"',
        "features.shell_tool=true",
        "features.multi_agent=true",
        "features.shell_tool=false",
        'web_search="disabled"',
        "features.shell_snapshot=true",
    ]


def test_the_marker_comes_last_so_that_no_override_of_the_environment_undoes_it() -> None:
    asked = {
        "config_overrides": {"shell_environment_policy": {"inherit": "none", "set": {"A": "b"}}}
    }
    found = settings(asked, marker=("MARK", "f00d"))
    assert found["shell_environment_policy"] == {
        "inherit": "none",
        "set": {"A": "b", "MARK": "f00d"},
    }


@pytest.mark.parametrize(
    ("value", "error"), [(None, TypeError), (object(), TypeError), (float("nan"), ValueError)]
)
def test_override_values_that_toml_does_not_know_are_refused_by_name(
    value: Any, error: type[Exception]
) -> None:
    overrides = {"config_overrides": {"x.y": [value]}}
    with pytest.raises(error, match=r"x\.y\[0\]"):
        needs_version(CodexOptions(**overrides), ThreadOptions())
    with pytest.raises(error, match=r"x\.y\[0\]"):
        spelled(overrides)


# Paths ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "directory", "cwd", "path"),
    [
        ("/abs/i.md", None, None, "/abs/i.md"),
        ("/abs/i.md", "sub", "/project", "/abs/i.md"),
        ("i.md", None, "/project", "/project/i.md"),
        ("../i.md", "sub dir", "/project", "/project/sub dir/../i.md"),
        ("i.md", "/dir", None, "/dir/i.md"),
    ],
)
@pytest.mark.parametrize("version", VERIFIED, ids=str)
def test_the_instructions_file_is_relative_to_the_working_directory(
    file: str, directory: str | None, cwd: str | None, path: str, version: CliVersion
) -> None:
    asked = {"model_instructions_file": file, "working_directory": directory}
    found = settings(asked, cwd=cwd, version=version)
    assert [*found.values()] == [path]


def test_an_instructions_file_of_unknown_place_is_refused() -> None:
    with pytest.raises(CodexError, match="model_instructions_file is to be an absolute path"):
        spelled({"model_instructions_file": "i.md", "working_directory": "sub"}, cwd=None)


# Refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "-", "--last", "-mevil", "a\0b", None, 5])
def test_ids_and_names_that_the_cli_could_take_for_options_are_refused(name: Any) -> None:
    with pytest.raises(CodexError, match="the thread id"):
        check_thread_id(name)
    if name is not None:
        with pytest.raises(CodexError, match="the thread id"):
            spelled(thread_id=name)
        with pytest.raises(CodexError, match=r"ThreadOptions\.model "):
            spelled({"model": name})
        with pytest.raises(CodexError, match=r"ThreadOptions\.model_reasoning_effort "):
            spelled({"model_reasoning_effort": name})


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"max_threads": 0}, "at least 1, not 0"),
        ({"max_threads": -1}, "at least 1"),
        ({"max_threads": True}, "at least 1"),
        ({"max_threads": 2.0}, "at least 1"),
        (
            {"sandbox_mode": "none"},
            "one of read-only, workspace-write, danger-full-access, not 'none'",
        ),
        ({"web_search_mode": "off"}, "one of disabled, cached, live"),
        ({"model_personality": "rude"}, "one of friendly, pragmatic, none"),
        ({"approval_policy": "always"}, "one of never, on-request"),
        ({"approvals_reviewer": "me"}, "one of user, guardian_subagent"),
        ({"approvals_reviewer": ["user"]}, "one of user, guardian_subagent"),
        ({"network_access_enabled": "yes"}, "network_access_enabled is true or false, not 'yes'"),
        ({"shell_snapshot_enabled": 1}, "shell_snapshot_enabled is true or false, not 1"),
        ({"web_search_enabled": "live"}, "web_search_enabled is true or false"),
        ({"feature_overrides": {"x": "true"}}, r"feature_overrides\['x'\] is true or false"),
        ({"feature_overrides": {"x": None}}, r"feature_overrides\['x'\] is true or false"),
        ({"feature_overrides": {"": True}}, "no feature has such a name"),
        ({"feature_overrides": {"features.": True}}, "no feature has such a name"),
        ({"feature_overrides": {"a=b": True}}, "no feature has such a name"),
        ({"feature_overrides": {"a..b": True}}, "no feature has such a name"),
        ({"feature_overrides": {"a\n": True}}, "no feature has such a name"),
        ({"feature_overrides": {1: True}}, r"feature_overrides\[1\]: a feature's name is a str"),
        ({"working_directory": ""}, "working_directory is empty"),
        ({"working_directory": "a\0"}, "working_directory holds a NUL"),
        ({"additional_directories": ["a", ""]}, "additional_directories is empty"),
        ({"model_instructions_file": ""}, "model_instructions_file is empty"),
        ({"model_instructions_file": "\0"}, "model_instructions_file holds a NUL"),
    ],
)
@pytest.mark.parametrize("version", VERIFIED, ids=str)
def test_values_that_mean_nothing_are_refused_for_every_cli(
    asked: dict[str, Any], message: str, version: CliVersion
) -> None:
    with pytest.raises(CodexError, match=rf"^ThreadOptions\..*{message}"):
        spelled(asked, version=version)


@pytest.mark.parametrize("path", ["", "a,b.png", "a\0b"])
def test_images_that_the_cli_would_lose_are_refused(path: str) -> None:
    with pytest.raises(CodexError, match="an image's path"):
        spelled(images=[path])


# Properties -----------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1)
NAMES = TEXTS.filter(lambda text: not text.startswith("-"))
BOOLEANS = st.none() | st.booleans()
KEYS = st.lists(st.from_regex(r"[A-Za-z0-9_]+", fullmatch=True), min_size=1, max_size=3).map(
    ".".join
)
VALUES = st.recursive(
    st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda v: st.lists(v) | st.dictionaries(TEXTS, v),
    max_leaves=5,
)
VERSIONS = st.builds(
    CliVersion, st.just(0), st.integers(1, 300), st.integers(0, 3)
) | st.sampled_from(VERIFIED)


def literal(name: str) -> Any:
    return st.none() | st.sampled_from(get_args(getattr(options, name)))


THREADS = st.builds(
    ThreadOptions,
    model=st.none() | NAMES,
    sandbox_mode=literal("SandboxMode"),
    working_directory=st.none() | TEXTS,
    skip_git_repo_check=BOOLEANS,
    model_reasoning_effort=literal("ModelReasoningEffort"),
    model_instructions_file=st.none() | TEXTS,
    model_personality=literal("ModelPersonality"),
    max_threads=st.none() | st.integers(1, 9),
    web_search_mode=literal("WebSearchMode"),
    approval_policy=literal("ApprovalMode"),
    approvals_reviewer=literal("ApprovalsReviewer"),
    additional_directories=st.none() | st.lists(TEXTS, max_size=2),
    feature_overrides=st.none()
    | st.dictionaries(
        st.sampled_from(["exec_policy", "features.apps", "tui2", "x"]), st.booleans()
    ),
    config_overrides=st.none() | st.dictionaries(KEYS, VALUES, max_size=3),
    **{
        field.name: BOOLEANS
        for field in attrs.fields(ThreadOptions)
        if field.name.endswith("_enabled")
    },
)
CODEXES = st.builds(CodexOptions, base_url=st.sampled_from([None, URL]))

BARE_FLAGS = {"--experimental-json", "--skip-git-repo-check", "--ignore-rules"}
VALUED_FLAGS = {
    "--model",
    "--sandbox",
    "--cd",
    "--add-dir",
    "--config",
    "--output-schema",
    "--image",
}


def as_clap_reads(arguments: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Read arguments as the CLI does: a word that begins with ``-`` is an option, up to ``--``."""
    rest = iter(arguments)
    for word in rest:
        if word == "--":
            break
        if word.startswith("-"):
            flag, _, value = word.partition("=")
            yield flag, value
        else:
            yield "command", word
    for word in rest:
        yield "operand", word


@given(
    CODEXES,
    THREADS,
    VERSIONS,
    st.none() | NAMES,
    st.lists(TEXTS.filter(lambda t: "," not in t), max_size=2),
)
def test_no_value_breaks_out_of_its_place(
    codex: CodexOptions,
    thread: ThreadOptions,
    version: CliVersion,
    thread_id: str | None,
    images: list[str],
) -> None:
    found = exec_arguments(
        codex,
        thread,
        version=version,
        thread_id=thread_id,
        images=images,
        schema_file=None,
        cwd="/w",
    )
    read = list(as_clap_reads(found.arguments))
    assert all(flag in VALUED_FLAGS for flag, value in read if value and flag.startswith("-"))
    assert {flag for flag, value in read if not value} <= BARE_FLAGS
    assert [word for flag, word in read if flag == "command"] == [
        "exec",
        *["resume"] * bool(thread_id),
    ]
    assert [word for flag, word in read if flag == "operand"] == [thread_id] * bool(thread_id)
    assert [word for flag, word in read if flag == "--image"] == images
    assert [word for flag, word in read if flag == "--model"] == [thread.model] * bool(thread.model)
    for _, entry in (pair for pair in read if pair[0] == "--config"):
        tomllib.loads(f"value = {entry.partition('=')[2]}")


@given(CODEXES, THREADS, VERSIONS)
def test_the_version_matters_only_where_it_is_needed(
    codex: CodexOptions, thread: ThreadOptions, version: CliVersion
) -> None:
    def spell(version: CliVersion) -> ExecArguments:
        return exec_arguments(
            codex, thread, version=version, thread_id=None, images=(), schema_file=None, cwd="/w"
        )

    if not needs_version(codex, thread):
        assert spell(version) == spell(PINNED)
        assert spell(version).warnings == ()
