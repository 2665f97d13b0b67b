"""``python -m codex_sdk demo``."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from codex_sdk.testing import (
    ApplyPatch,
    BlockingModelServer,
    Delay,
    HttpReply,
    Reasoning,
    Reply,
    RunCommand,
    UpdateFile,
)

from .conftest import TIME_LIMIT, Commands

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])

STORY = [
    r"A turn of Codex",
    r"CLI +\d+\.\d+\.\d+, /",
    r"Model +scripted \(no key, no login\); CLI, commands and edit are real",
    r"Sandbox +commands may write to the project",
    r"> The test of this project fails",
    r"• I'll run the test",
    r"\$ \S+ -B -m unittest -q",
    r"AssertionError: 5 != 7",
    r"exit status 1",
    r"± basket\.py update",
    r"\$ \S+ -B -m unittest -q",
    r"OK",
    r"exit status 0",
    r"• The test passes",
    r"What changed in the project",
    r"--- a/basket\.py",
    r"\+\+\+ b/basket\.py",
    r"-    return sum\(prices\[item\] for item in basket\)",
    r"\+    return sum\(prices\[item\] \* count for item, count in basket\.items\(\)\)",
    r"Done in \d+\.\d s; \d+ tokens in, \d+ out\.",
]


def assert_told(text: str, story: list[str] = STORY) -> None:
    """Check that *text* holds what matches each pattern, in this order."""
    position = 0
    for pattern in story:
        found = re.compile(pattern).search(text, position)
        assert found, f"{pattern!r} is missing after {text[:position]!r}, in {text[position:]!r}"
        position = found.end()


def assert_gone(commands: Commands) -> None:
    assert list(commands.scratch.glob("codex-sdk-*")) == []


@pytest.mark.real_cli
@BACKENDS
def test_a_scripted_turn_runs_commands_and_edits_a_file(real: Commands, backend: str) -> None:
    result = real.run("demo", "--backend", backend)

    assert result.errors == ""
    assert_told(result.output)
    assert len([line for line in result.lines if line.startswith("$ ")]) == 2
    assert "\x1b" not in result.output
    assert result.status == 0
    assert_gone(real)


@pytest.mark.real_cli
def test_in_a_terminal_the_same_is_told_in_colours(real: Commands) -> None:
    result = real.run_in_terminal("demo", columns=200)

    assert result.errors == ""
    assert "\x1b[32m+    return sum(prices[item] * count" in result.output
    assert "\x1b[31m-    return sum(prices[item] for" in result.output
    assert_told(re.sub(r"\x1b\[[0-9;]*m", "", result.output))
    assert result.status == 0


@pytest.mark.real_cli
def test_the_project_is_kept_on_request(real: Commands) -> None:
    result = real.run("demo", "--keep")

    folder = Path(result.lines[-1].removeprefix("The project is kept in "))
    assert result.status == 0
    assert f"Project  {folder}" in result.lines
    assert "count for item, count" in (folder / "basket.py").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["basket.py", "test_basket.py"]


@pytest.mark.real_cli
def test_without_a_sandbox_the_scripted_turn_runs_all_the_same(sandboxless: Commands) -> None:
    result = sandboxless.run("demo")

    assert_told(result.output, [r"Sandbox +none: it does not work here", *STORY[4:]])
    assert result.status == 0


CONFIGURATION = """
model_provider = "openai-stand-in"
features.plugins = false
analytics.enabled = false

[model_providers.openai-stand-in]
name = "OpenAI"
base_url = "{url}"
wire_api = "responses"
requires_openai_auth = true
"""


@contextmanager
def openai(commands: Commands, script: object) -> Iterator[BlockingModelServer]:
    """Stand in for OpenAI, for a user who has an API key."""
    with BlockingModelServer(script) as server:  # type: ignore[arg-type]
        codex_home = commands.home / ".codex"
        codex_home.mkdir()
        (codex_home / "config.toml").write_text(CONFIGURATION.format(url=server.url))
        commands.environ["CODEX_API_KEY"] = "sk-of-the-user"
        yield server


@pytest.mark.real_cli
@BACKENDS
def test_with_a_key_the_model_is_a_real_one(real: Commands, backend: str) -> None:
    script = [
        Reply(Reasoning("**Looking**\n\nat it"), RunCommand("cat test_basket.py")),
        ApplyPatch(
            UpdateFile("basket.py", "def total(basket, prices):", "def total(prices, basket):")
        ),
        "I turned the arguments round.",
    ]
    with openai(real, script) as server:
        result = real.run("demo", "--backend", backend)

    assert result.errors == ""
    assert_told(
        result.output,
        [
            r"Model +real \(CODEX_API_KEY is set\)",
            r"\$ cat test_basket\.py",
            r"unittest\.main\(\)",
            "exit status 0",
            r"± basket\.py update",
            r"• I turned the arguments round\.",
            r"-def total\(basket, prices\):",
            r"\+def total\(prices, basket\):",
        ],
    )
    assert result.status == 0
    assert {request.headers["authorization"] for request in server.requests} == {
        "Bearer sk-of-the-user"
    }
    assert_gone(real)


@pytest.mark.real_cli
def test_with_a_key_the_script_can_be_asked_for(real: Commands) -> None:
    with openai(real, []) as server:
        result = real.run("demo", "--scripted")

    assert_told(result.output, [r"Model +scripted \(--scripted\);", *STORY[3:]])
    assert result.status == 0
    assert server.requests == ()


@pytest.mark.real_cli
def test_the_script_has_nothing_to_do_with_the_users_configuration(real: Commands) -> None:
    codex_home = real.home / ".codex"
    codex_home.mkdir()
    (codex_home / "config.toml").write_text("this is = = no TOML")

    result = real.run("demo", "--scripted")

    assert_told(result.output, STORY[3:])
    assert result.status == 0


@pytest.mark.real_cli
def test_a_real_model_does_not_run_without_a_sandbox(sandboxless: Commands) -> None:
    sandboxless.environ["CODEX_API_KEY"] = "key"

    result = sandboxless.run("demo")

    assert "error: sandbox: does not work" in result.errors
    assert result.output == ""
    assert result.status == 1
    assert_gone(sandboxless)


@pytest.mark.real_cli
def test_a_turn_that_fails_is_one_line_and_status_1(real: Commands) -> None:
    with openai(real, HttpReply(400, "no such model")):
        result = real.run("demo")

    assert result.status == 1
    assert re.fullmatch(r"error: .*no such model.*\n", result.errors)
    assert_gone(real)


@pytest.mark.real_cli
@BACKENDS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly_and_leaves_nothing(
    real: Commands, backend: str, number: signal.Signals
) -> None:
    with openai(real, RunCommand("sleep 600 & touch running; wait", timeout=30)):
        with real.start("demo", "--backend", backend) as process:
            real.wait_for_file("codex-sdk-demo-*/running")
            process.send_signal(number)
            output, errors = process.communicate(timeout=TIME_LIMIT)

    assert output.startswith(b"A turn of Codex\n")
    assert errors == b""
    assert process.returncode == 128 + number
    assert_gone(real)


@pytest.mark.real_cli
@BACKENDS
def test_a_reader_that_goes_away_ends_it(real: Commands, backend: str) -> None:
    with openai(real, Reply(Delay(1), RunCommand("true"), Delay(600))):
        with real.start("demo", "--backend", backend) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"A turn of Codex\n"
            process.stdout.close()
            assert process.stderr is not None
            errors = process.stderr.read()
            process.wait(TIME_LIMIT)

    assert errors == b""
    assert process.returncode == 128 + signal.SIGPIPE
    assert_gone(real)


def test_without_a_cli_it_says_so_in_one_line(commands: Commands) -> None:
    commands.environ["CODEX_PATH"] = "/nowhere/codex"

    result = commands.run("demo")

    assert result.errors == (
        "error: no Codex CLI found (CODEX_PATH: no file /nowhere/codex): "
        "correct CODEX_PATH, or unset it\n"
    )
    assert result.output == ""
    assert result.status == 1
    assert_gone(commands)


@pytest.mark.parametrize("missing", ["h11"])
def test_without_the_packages_of_the_script_it_says_so_in_one_line(
    commands: Commands, missing: str
) -> None:
    commands.use_codex_like('if arguments[0] == "login": sys.exit("Not logged in")')
    commands.hide_module(missing)

    result = commands.run("demo")

    assert result.errors == (
        "error: the scripted model needs the package h11: pip install 'codex-sdk-python[testing]', "
        "or set CODEX_API_KEY to use a real model\n"
    )
    assert result.status == 1
    assert_gone(commands)


def test_without_trio_it_says_so_in_one_line(commands: Commands) -> None:
    commands.hide_module("trio")

    result = commands.run("demo", "--backend", "trio")

    assert result.errors == "error: trio is not installed: pip install 'codex-sdk-python[trio]'\n"
    assert result.status == 1


def test_a_cli_that_does_not_work_is_one_line(commands: Commands) -> None:
    commands.use_codex_like('if arguments == ["--version"]: sys.exit("no libc")')

    result = commands.run("demo")

    assert "`codex --version` failed with exit status 1: no libc (use another CLI" in result.errors
    assert result.errors.count("\n") == 1
    assert result.status == 1


def test_a_configuration_that_cannot_be_read_is_one_line(commands: Commands) -> None:
    commands.use_codex_like(
        'if arguments[0] == "login": sys.exit("Error loading configuration: line 1: no good")'
    )

    result = commands.run("demo")

    assert re.fullmatch(r"error: codex_home: .*: line 1: no good \(.*\)\n", result.errors)
    assert result.status == 1


def test_a_scripted_turn_that_fixes_nothing_is_a_failure(commands: Commands) -> None:
    commands.use_codex_like('if arguments[0] == "login": sys.exit("Not logged in")')

    result = commands.run("demo")

    assert_told(result.output, ["scripted", "What changed in the project", "nothing", "Done in"])
    assert (
        result.errors == "error: the turn is complete, but the program was not fixed: see above\n"
    )
    assert result.status == 1


def test_events_are_told_as_they_happen(commands: Commands) -> None:
    commands.use_codex_like(
        """
        def turn():
            item("agent_message", text="Look at me.")
            while not os.path.exists(os.path.join(os.environ["HOME"], "looked")):
                time.sleep(0.01)
        """
    )
    with commands.start("demo") as process:
        assert process.stdout is not None
        while process.stdout.readline() != "• Look at me.\n".encode():
            assert process.poll() is None
        (commands.home / "looked").touch()
        output, errors = process.communicate(timeout=TIME_LIMIT)

    assert b"Done in" in output
    assert errors == b""
    assert process.returncode == 0


def test_all_that_can_happen_is_told(commands: Commands) -> None:
    commands.use_codex_like(
        r"""
        def turn():
            item("error", message="A setting is unknown.")
            item("reasoning", text="Let me think.")
            steps = [{"text": "one", "completed": True}, {"text": "two", "completed": False}]
            item("todo_list", items=steps)
            refused = {"aggregated_output": "", "exit_code": None, "status": "declined"}
            item("command_execution", id="item_1", command="/bin/sh -c 'cat <<X\nhere\nX'", **refused)
            failed = {"aggregated_output": "y\n" * 100, "exit_code": 141, "status": "failed"}
            item("command_execution", id="item_2", command="yes", **failed)
            [folder] = [word[5:] for word in arguments if word.startswith("--cd=")]
            changes = [{"path": folder + "/x", "kind": "add"}, {"path": "/y", "kind": "delete"}]
            item("file_change", changes=changes, status="failed")
            item("web_search", query="why")
            emit({"type": "error", "message": "Reconnecting... 1/5"})
            item("agent_message", text="It is \x1b]0;mine\x07\x1b[2J done.")
        """
    )

    result = commands.run("demo")

    assert result.output[result.output.index("! A setting") : result.output.index("\nWhat")] == TOLD
    assert result.status == 0


TOLD = (
    """\
! A setting is unknown.

  Let me think.

  [x] one
  [ ] two

$ cat <<X
  here
  X
  declined

$ yes
  …
"""
    + "  y\n" * 12
    + """\
  exit status 141

± x add
± /y delete
  failed
  web search
! Reconnecting... 1/5

• It is  done.
"""
)
