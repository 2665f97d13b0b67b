"""``python -m codex_sdk`` itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

import codex_sdk

from .conftest import TIME_LIMIT, Commands


def test_the_version_is_printed_without_importing_what_it_does_not_need(commands: Commands) -> None:
    script = (
        "import sys\n"
        "from codex_sdk.__main__ import main\n"
        "try:\n    main(['--version'])\n"
        "finally:\n    print(*{name.partition('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, capture_output=True, env=commands.environ, text=True, timeout=TIME_LIMIT
    )

    version, modules = done.stdout.splitlines()
    assert version == f"codex_sdk {codex_sdk.__version__}"
    assert set(modules.split()).isdisjoint({"anyio", "attrs", "cattrs", "msgspec", "pydantic"})
    assert done.returncode == 0


def test_the_help_names_the_commands(commands: Commands) -> None:
    result = commands.run("--help")

    assert result.status == 0
    assert "doctor" in result.output
    assert "demo" in result.output


@pytest.mark.parametrize("command", ["doctor", "demo"])
def test_each_command_has_help_that_names_its_exit_status(commands: Commands, command: str) -> None:
    result = commands.run(command, "--help")

    assert result.status == 0
    assert "Exit status" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["operate"],
        ["doctor", "--timeout", "0"],
        ["doctor", "--timeout", "nan"],
        ["doctor", "--timeout", "soon"],
        ["demo", "--backend", "curio"],
    ],
)
def test_wrong_use_is_explained_with_exit_status_2(
    commands: Commands, arguments: list[str]
) -> None:
    result = commands.run(*arguments)

    assert result.status == 2
    assert result.output == ""
    assert "usage: python -m codex_sdk" in result.errors
