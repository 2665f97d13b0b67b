"""What has to be in order for a turn to run: one value for each thing that was looked at."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from .._core.versions import PINNED, VERIFIED, CliVersion, parse_cli_version
from .._io.locate import find_codex
from ..exceptions import CodexNotFoundError
from .cli import Answer, Cli, first_words

__all__ = ["Check", "Status", "check_account", "check_sandbox", "check_version", "find_cli"]

Status = Literal["ok", "warning", "fail"]

_INSTALL = "pip install 'codex-sdk-python[cli]'"
_ANOTHER_CLI = f"{_INSTALL}, or set CODEX_PATH"
_NOT_LOGGED_IN = "Not logged in"
_BAD_CONFIGURATION = "Error loading configuration: "


@attrs.frozen
class Check:
    """What one thing was found to be like.

    Attributes:
        name: what was looked at.
        status: ``"fail"`` prevents a turn; ``"warning"`` does not.
        summary: what was found.
        details: what else there is to know, line by line.
        remedy: what to do about it.
    """

    name: str
    status: Status
    summary: str
    remedy: str | None = None
    details: tuple[str, ...] = ()


def find_cli(time_limit: float) -> tuple[Cli | None, Check]:
    """Find the CLI."""
    try:
        binary = find_codex()
    except CodexNotFoundError as error:
        remedy = "correct CODEX_PATH, or unset it" if os.environ.get("CODEX_PATH") else _ANOTHER_CLI
        return None, Check("cli", "fail", "no Codex CLI found", remedy, error.searched)
    summary = f"{binary.path}, found by {binary.source}"
    return Cli(binary, time_limit=time_limit), Check("cli", "ok", summary)


async def check_version(cli: Cli) -> tuple[CliVersion | None, Check]:
    """Ask the CLI for its version, which is ``None`` if the answer holds none."""
    answer = await cli.ask("--version")
    text = first_words(answer.output)
    if answer.complaint or not text:
        summary = f"`codex --version` {answer.complaint or 'printed nothing'}"
        return None, Check("version", "fail", summary, f"use another CLI: {_ANOTHER_CLI}")
    version = parse_cli_version(text)
    if version in VERIFIED:
        return version, Check("version", "ok", f"{version}, verified with this codex_sdk")
    return version, Check(
        "version",
        "warning",
        f"{text!r} is no version of a Codex CLI; the CLI is used as if it were {PINNED}"
        if version is None
        else f"{version}, with which this codex_sdk is not verified",
        f"should something not work, use one of {', '.join(map(str, VERIFIED))}; {PINNED} comes by "
        f"{_INSTALL}",
    )


async def check_account(cli: Cli) -> tuple[Check, Check]:
    """Ask the CLI whether it is logged in, to which end it has to read its configuration, too."""
    answer = await cli.ask("login", "status")
    return _check_home(cli, answer), _check_login(cli, answer)


def _check_home(cli: Cli, answer: Answer) -> Check:
    """Look at the CLI's home, and at what it says of the configuration there."""
    home = _codex_home(cli.environ)
    reason = first_words(answer.errors)
    if reason.startswith(_BAD_CONFIGURATION):
        summary = f"{home}: {reason.removeprefix(_BAD_CONFIGURATION)}"
        return Check("codex_home", "fail", summary, _remedy_for_home(home))
    if not _is_writable(home):
        summary = f"{home} is not writable, and threads are recorded there"
        remedy = "make it writable, or set CODEX_HOME to a folder that is"
        return Check("codex_home", "fail", summary, remedy)
    return Check("codex_home", "ok", str(home) if home.exists() else f"{home}, made when needed")


def _remedy_for_home(home: Path) -> str:
    if not home.exists():
        return f"mkdir -p {_quoted(home)}, or unset CODEX_HOME"
    return "put the configuration right" if home.is_dir() else "set CODEX_HOME to a folder"


def _is_writable(home: Path) -> bool:
    existing = next((path for path in (home, *home.parents) if path.exists()), home)
    return os.access(existing, os.W_OK)


def _check_login(cli: Cli, answer: Answer) -> Check:
    """Say with what the CLI will authenticate itself; nothing here tries whether it is accepted."""
    if cli.environ.get("CODEX_API_KEY", "").strip():
        return Check("login", "ok", "CODEX_API_KEY is set")
    if answer.worked:
        return Check("login", "ok", first_words(answer.errors) or first_words(answer.output))
    login = f"{_quoted(cli.binary.path)} login"
    if _NOT_LOGGED_IN not in answer.errors:
        summary = f"CODEX_API_KEY is not set, and `codex login status` {answer.complaint}"
        return Check("login", "fail", summary, f"set CODEX_API_KEY, or log in: {login}")
    summary = "CODEX_API_KEY is not set, and the CLI is not logged in"
    if provider := _other_provider(_codex_home(cli.environ)):
        summary += f"; the model provider {provider!r} of config.toml may need neither"
        return Check("login", "warning", summary)
    if cli.environ.get("OPENAI_API_KEY"):
        summary += "; OPENAI_API_KEY is set, but Codex does not use it"
        remedy = f'export CODEX_API_KEY="$OPENAI_API_KEY", or log in: {login}'
        return Check("login", "fail", summary, remedy)
    return Check("login", "fail", summary, f"set CODEX_API_KEY, or log in: {login}")


async def check_sandbox(cli: Cli, version: CliVersion | None, *, cwd: str | None = None) -> Check:
    """Have the CLI run a command that does nothing in its sandbox."""
    answer = await cli.ask(*_sandbox_command(version or PINNED), cwd=cwd)
    if answer.worked:
        return Check("sandbox", "ok", "commands can run in it")
    return Check(
        "sandbox",
        "warning",
        f"does not work, so that the commands of a turn fail: `codex sandbox` {answer.complaint}",
        f"{_sandbox_remedy(version or PINNED)}; in a container that is the sandbox, run threads with "
        'sandbox_mode="danger-full-access"',
    )


def _sandbox_remedy(version: CliVersion) -> str:
    if sys.platform != "linux":
        return "see the documentation of the Codex CLI"
    if version.legacy:
        return "use a kernel with Landlock (5.13 or newer)"
    return (
        "allow unprivileged user namespaces (Ubuntu: "
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0; Docker: "
        "--security-opt seccomp=unconfined --security-opt apparmor=unconfined)"
    )


_OLD_SANDBOXES = {"linux": "linux", "darwin": "macos", "win32": "windows"}


def _sandbox_command(version: CliVersion) -> tuple[str, ...]:
    harmless = ("cmd", "/c", "exit") if sys.platform == "win32" else ("true",)
    kind = (_OLD_SANDBOXES.get(sys.platform, sys.platform),) if version.legacy else ()
    return ("sandbox", *kind, "--", *harmless)


def _codex_home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("CODEX_HOME") or "~/.codex").expanduser()


def _other_provider(home: Path) -> str | None:
    """Return the model provider that the configuration names, if it is not OpenAI."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        settings: dict[str, Any] = tomlkit.parse((home / "config.toml").read_text("utf-8")).unwrap()
    except (OSError, ValueError, TOMLKitError):
        return None  # what is wrong with it, the CLI has said
    provider = settings.get("model_provider")
    return provider if isinstance(provider, str) and provider != "openai" else None


def _quoted(path: str | Path) -> str:
    return shlex.quote(str(path))
