"""The environment of a CLI process."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk._core.environment import child_environment
from codex_sdk.exceptions import CodexError
from codex_sdk.options import CodexOptions

MARKER = ("CODEX_SDK_TURN", "f00d")
INHERITED = {"PATH": "/usr/bin", "HOME": "/home/me", "CODEX_API_KEY": "inherited"}


def environment(path_dirs: tuple[str, ...] = (), **options: Any) -> dict[str, str]:
    return child_environment(INHERITED, CodexOptions(**options), marker=MARKER, path_dirs=path_dirs)


def test_without_options_the_environment_is_the_inherited_one_and_what_the_sdk_adds() -> None:
    assert environment() == {
        **INHERITED,
        "CODEX_INTERNAL_ORIGINATOR_OVERRIDE": "codex_sdk_python",
        "CODEX_SDK_TURN": "f00d",
    }


def test_the_inherited_mapping_is_left_alone() -> None:
    before = dict(INHERITED)
    environment(api_key="sk", base_url="http://host/v1", path_dirs=("/x",))
    assert before == INHERITED


def test_env_replaces_the_inherited_environment() -> None:
    assert environment(env={"A": "1"}) == {
        "A": "1",
        "CODEX_INTERNAL_ORIGINATOR_OVERRIDE": "codex_sdk_python",
        "CODEX_SDK_TURN": "f00d",
    }


def test_options_win_over_variables() -> None:
    env = {"CODEX_API_KEY": "old", "OPENAI_BASE_URL": "http://old", "CODEX_SDK_TURN": "old"}
    result = environment(env=env, api_key="new", base_url="http://new/v1")
    assert result["CODEX_API_KEY"] == "new"
    assert result["OPENAI_BASE_URL"] == "http://new/v1"
    assert result["CODEX_SDK_TURN"] == "f00d"


def test_a_program_may_name_itself_to_the_provider() -> None:
    name = "CODEX_INTERNAL_ORIGINATOR_OVERRIDE"
    assert environment(env={name: "mine"})[name] == "mine"


def test_the_cli_s_folders_come_first_in_the_path() -> None:
    expected = os.pathsep.join(["/cli/path", "/cli/more", "/usr/bin"])
    assert environment(path_dirs=("/cli/path", "/cli/more"))["PATH"] == expected


def test_a_missing_path_is_the_system_s_own() -> None:
    assert environment(env={}, path_dirs=("/cli",))["PATH"] == os.pathsep.join(["/cli", os.defpath])


def test_the_path_is_not_touched_without_folders() -> None:
    assert "PATH" not in environment(env={})


def test_windows_spells_path_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codex_sdk._core.environment.os.name", "nt")
    result = environment(env={"Path": "C:\\bin"}, path_dirs=("D:\\cli",))
    assert result["Path"] == os.pathsep.join(["D:\\cli", "C:\\bin"])
    assert "PATH" not in result


NAMES = st.text(st.characters(exclude_characters="\0="), min_size=1)
TEXTS = st.text(st.characters(exclude_characters="\0"))


@given(st.dictionaries(NAMES, TEXTS))
def test_every_variable_of_env_is_passed_on_as_it_is(env: dict[str, str]) -> None:
    result = environment(env=env, path_dirs=())
    assert {**result, **env} == {**result, MARKER[0]: env.get(MARKER[0], MARKER[1])}


@pytest.mark.parametrize(
    "env",
    [
        {"": "secret"},
        {"A=B": "secret"},
        {"A\0": "secret"},
        {"A": "sec\0ret"},
        {"A": 1},
        {1: "secret"},
    ],
)
def test_variables_that_no_environment_can_hold_are_refused_without_their_values(env: Any) -> None:
    with pytest.raises(CodexError, match=r"CodexOptions\.env: the variable") as caught:
        environment(env=env)
    assert "ret" not in str(caught.value)


@pytest.mark.parametrize("key", ["", " sk-1", "sk-1\n", "sk\0-1", "sk-1\r\n2", "sk\x1b1", 5])
def test_keys_that_are_none_are_refused_without_being_shown(key: Any) -> None:
    with pytest.raises(CodexError, match=r"CodexOptions\.api_key") as caught:
        environment(api_key=key)
    assert "sk" not in str(caught.value)
