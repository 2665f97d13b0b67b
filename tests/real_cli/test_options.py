"""What options do to the real CLI: seen in what it asks the model, and in what its commands find."""

from __future__ import annotations

import base64
import json
import warnings
from pathlib import Path
from typing import Any

import attrs
import pytest

from codex_sdk import CodexWarning, ThreadOptions, Turn
from codex_sdk.testing import ModelRequest, ModelServer, RunCommand

from .conftest import MakeCodex


@pytest.fixture
def anyio_backend() -> str:
    """Run on one event loop: what an option does to the CLI has nothing to do with ours."""
    return "asyncio"


@pytest.fixture
def options(options: ThreadOptions, legacy: bool) -> ThreadOptions:
    """Return options with a model that the CLI under test knows, so that it has no cause to complain."""
    return attrs.evolve(options, model="gpt-5-codex" if legacy else "gpt-5.5")


async def ask(
    make_codex: MakeCodex, options: ThreadOptions, **changes: Any
) -> tuple[ModelRequest, Turn]:
    """Run a turn with changed options; return the request that it made, and the turn."""
    async with ModelServer(["done"]) as server:
        turn = await make_codex(server).start_thread(attrs.evolve(options, **changes)).run("hi")
    return server.requests[0], turn


SWITCHES = [field.name for field in attrs.fields(ThreadOptions) if field.name.endswith("_enabled")]
CHOICES: list[dict[str, Any]] = [
    *(dict.fromkeys(SWITCHES, value) for value in (True, False)),
    *({"web_search_mode": mode} for mode in ("disabled", "cached", "live")),
    *({"model_personality": tone, "max_threads": 3} for tone in ("friendly", "pragmatic", "none")),
    *(
        {"approval_policy": policy, "approvals_reviewer": reviewer}
        for policy in ("never", "on-request", "on-failure", "untrusted", "granular")
        for reviewer in (None, "user", "guardian_subagent")
    ),
    {"feature_overrides": {"powershell_utf8": True, "web_search_cached": True, "undo": False}},
]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
async def test_the_cli_has_no_complaint_about_any_option(
    make_codex: MakeCodex, options: ThreadOptions, choice: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CodexWarning)
        _, turn = await ask(make_codex, options, **choice)
    assert turn.errors() == []


@pytest.mark.parametrize(
    ("choice", "live"),
    [
        ({"web_search_mode": "live"}, True),
        ({"web_search_mode": "cached"}, False),
        ({"web_search_mode": "disabled"}, None),
        ({"web_search_enabled": True}, True),
        ({"web_search_cached_enabled": True}, False),
        ({"web_search_enabled": False}, None),
        ({"feature_overrides": {"web_search_request": True}}, True),
        ({"feature_overrides": {"web_search_request": False}}, None),
    ],
)
async def test_the_model_is_offered_the_web_search_that_was_asked_for(
    make_codex: MakeCodex, options: ThreadOptions, choice: dict[str, Any], live: bool | None
) -> None:
    request, _ = await ask(make_codex, options, sandbox_mode="read-only", **choice)
    offered = [tool for _, tool in request.tools() if tool["type"] == "web_search"]
    assert [tool["external_web_access"] for tool in offered] == [live] * (live is not None)


async def test_the_cached_search_of_newer_clis_needs_a_sandbox(
    make_codex: MakeCodex, options: ThreadOptions, legacy: bool
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        request, _ = await ask(make_codex, options, web_search_mode="cached")
    (search,) = (tool for _, tool in request.tools() if tool["type"] == "web_search")
    assert len(caught) == search["external_web_access"] == (not legacy)


@pytest.mark.parametrize("effort", ["minimal", "xhigh"])
async def test_the_model_thinks_as_hard_as_it_was_asked_to(
    make_codex: MakeCodex, options: ThreadOptions, effort: Any
) -> None:
    request, _ = await ask(make_codex, options, model_reasoning_effort=effort)
    assert request.json["reasoning"]["effort"] == effort


async def test_the_instructions_file_replaces_the_base_instructions(
    make_codex: MakeCodex, options: ThreadOptions, workspace: Path
) -> None:
    (workspace / "rules.md").write_text("Speak like a pirate. \N{SPARKLES}", encoding="utf-8")
    request, _ = await ask(make_codex, options, model_instructions_file="rules.md")
    assert request.instructions == "Speak like a pirate. \N{SPARKLES}"


async def test_a_personality_is_part_of_the_instructions(
    make_codex: MakeCodex, options: ThreadOptions, legacy: bool
) -> None:
    if legacy:
        with pytest.warns(CodexWarning, match="model_personality='friendly'.*0.80.0"):
            await ask(make_codex, options, model_personality="friendly")
    else:
        friendly, _ = await ask(make_codex, options, model_personality="friendly")
        plain, _ = await ask(make_codex, options, model_personality="none")
        assert len(plain.instructions) < len(friendly.instructions)


async def test_background_terminals_are_another_tool(
    make_codex: MakeCodex, options: ThreadOptions, legacy: bool
) -> None:
    on, _ = await ask(make_codex, options, background_terminals_enabled=True)
    assert "write_stdin" in on.tool_names()
    if legacy:
        off, _ = await ask(make_codex, options, background_terminals_enabled=False)
        assert "write_stdin" not in off.tool_names()


async def run(
    make_codex: MakeCodex, options: ThreadOptions, command: str, config: str = "", **codex: Any
) -> str:
    """Have the model run a command, and return what it printed."""
    async with ModelServer([RunCommand(command), "done"]) as server:
        with (server.codex_home / "config.toml").open("a", encoding="utf-8") as file:
            file.write(config)
        rules = server.codex_home / "rules"
        rules.mkdir(exist_ok=True)
        rule = 'prefix_rule(pattern=["printf"], decision="forbidden")\n'
        (rules / "default.rules").write_text(rule, encoding="utf-8")
        turn = await make_codex(server, **codex).start_thread(options).run("hi")
    return "".join(item.aggregated_output for item in turn.commands())


@pytest.mark.parametrize("enabled", [True, False, None])
async def test_the_rules_files_are_followed_unless_they_are_switched_off(
    make_codex: MakeCodex, options: ThreadOptions, enabled: bool | None
) -> None:
    options = attrs.evolve(options, exec_policy_enabled=enabled)
    printed = await run(make_codex, options, "printf allowed")
    assert printed.endswith("allowed") == (enabled is False)


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_shell_snapshot_is_made_if_asked_for(
    make_codex: MakeCodex, options: ThreadOptions, enabled: bool
) -> None:
    options = attrs.evolve(options, shell_snapshot_enabled=enabled)
    printed = await run(make_codex, options, 'ls "$CODEX_HOME"')
    assert ("shell_snapshots" in printed) == enabled


NASTY = [
    "emoji \U0001f600 \U0001f469\u200d\U0001f4bb",
    "quotes \" ' \"\"\" '''",
    "lines\nlines\r\nlines\ttab",
    "".join(map(chr, range(1, 32))) + "\x7f\x80\x85\x9f",
    "\u2028\u2029\ufeff\uffff\U0010ffff",
    "\\ \\n \\u0041",
    "# a=b [c] {d} ${HOME} $(id)",
    "true",
    "  padded  ",
]


async def test_config_overrides_of_any_characters_arrive_as_they_were(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    text = "|".join([*NASTY, "nul \0 nul"])
    request, _ = await ask(make_codex, options, config_overrides={"developer_instructions": text})
    assert text in request.developer_texts()


async def test_nested_keys_of_any_characters_arrive_as_they_were(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    names = [text.replace("=", "") for text in [*NASTY, "a.b c", '"', "'"]]
    variables = {f"X {name}": name for name in names}
    overrides = {"shell_environment_policy": {"inherit": "core", "set": variables}}
    options = attrs.evolve(options, config_overrides=overrides)
    printed = await run(make_codex, options, "env -0 | base64 -w0; echo")
    entries = base64.b64decode(printed.split()[-1]).decode(errors="replace").split("\0")
    assert {f"{name}={value}" for name, value in variables.items()} <= {*entries}


@pytest.mark.parametrize(
    ("login", "api_key", "authorization"),
    [
        (None, "sk-given", "Bearer sk-given"),
        ("sk-stored", None, "Bearer sk-stored"),
        ("sk-stored", "sk-given", "Bearer sk-given"),
        (None, None, None),
    ],
)
async def test_an_endpoint_is_given_the_key_or_else_the_cli_s_own_login(
    make_codex: MakeCodex,
    options: ThreadOptions,
    login: str | None,
    api_key: str | None,
    authorization: str | None,
) -> None:
    async with ModelServer(["done"]) as server:
        if login is not None:
            stored = {"auth_mode": "apikey", "OPENAI_API_KEY": login}
            (server.codex_home / "auth.json").write_text(json.dumps(stored), encoding="utf-8")
        await make_codex(server, api_key=api_key).start_thread(options).run("hi")
    (request,) = server.requests
    assert request.headers.get("authorization") == authorization


async def test_a_provider_of_the_user_s_keeps_its_settings_at_the_new_endpoint(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    overrides = {
        "model_provider": "corp",
        "model_providers.corp": {
            "name": "Corp",
            "base_url": "http://127.0.0.1:9/v1",
            "wire_api": "responses",
            "http_headers": {"x-corp": "yes"},
        },
    }
    async with ModelServer(["done"]) as server:
        codex = make_codex(server, config_overrides=overrides)
        turn = await codex.start_thread(options).run("hi")
    assert turn.final_response == "done"
    assert server.requests[0].headers["x-corp"] == "yes"
