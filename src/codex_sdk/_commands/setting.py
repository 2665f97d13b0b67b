"""What there is on this machine to run the demo's turn with."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs

from .._core.versions import CliVersion
from ..exceptions import CodexError
from ..options import CodexOptions, SandboxMode
from .checks import Check, check_account, check_sandbox, check_version, find_cli
from .cli import Cli
from .scripted import scripted_model

__all__ = ["Setting", "find_setting"]

_TIME_LIMIT = 10.0
"""Seconds for each command of the CLI that is asked about itself. Measured: at most 0.2."""

_DOCTOR = "`python -m codex_sdk doctor`"


@attrs.frozen
class Setting:
    """What the turn runs with, and what there is to say about it.

    Attributes:
        options: for the client.
        sandbox_mode: for the thread.
        scripted: whether the model is the scripted one.
        cli: which CLI it is.
        model: which model it is, and why.
        sandbox: what the commands may do, and why.
    """

    options: CodexOptions
    sandbox_mode: SandboxMode
    scripted: bool
    cli: str
    model: str
    sandbox: str


@asynccontextmanager
async def find_setting(folder: str, *, scripted: bool) -> AsyncGenerator[Setting, None]:
    """Find out what to run a turn in *folder* with; the scripted model runs during the block.

    Raises:
        CodexError: there is no CLI that works, or what is needed for the model is missing.
    """
    cli, version, cli_summary = await _working_cli()
    login = None if scripted else await _login(cli)
    if login is not None and login.status == "ok":
        options = CodexOptions()
        mode, sandbox = await _sandbox(cli, version, folder, scripted=False)
        model = f"real ({login.summary})"
        yield Setting(options, mode, False, cli_summary, model, sandbox)
        return
    async with scripted_model() as options:
        isolated = attrs.evolve(cli, environ=options.env or os.environ)
        mode, sandbox = await _sandbox(isolated, version, folder, scripted=True)
        reason = "--scripted" if scripted else "no key, no login"
        model = f"scripted ({reason}); CLI, commands and edit are real"
        yield Setting(options, mode, True, cli_summary, model, sandbox)


async def _working_cli() -> tuple[Cli, CliVersion | None, str]:
    cli, found = find_cli(_TIME_LIMIT)
    if cli is None:
        where = found.details[0] if len(found.details) == 1 else f"{_DOCTOR} tells where it looked"
        raise CodexError(f"{found.summary} ({where}): {found.remedy}")
    version, answer = await check_version(cli)
    if answer.status == "fail":
        raise _as_error(answer)
    return cli, version, f"{version or 'of unknown version'}, {cli.binary.path}"


async def _login(cli: Cli) -> Check:
    home, login = await check_account(cli)
    if home.status == "fail":
        raise _as_error(home)
    return login


async def _sandbox(
    cli: Cli, version: CliVersion | None, folder: str, *, scripted: bool
) -> tuple[SandboxMode, str]:
    sandbox = await check_sandbox(cli, version, cwd=folder)
    if sandbox.status == "ok":
        return "workspace-write", "commands may write to the project and to temporary files"
    if not scripted:  # a script is known to be harmless, a model is not
        raise _as_error(sandbox)
    return "danger-full-access", f"none: it does not work here, as {_DOCTOR} explains"


def _as_error(check: Check) -> CodexError:
    return CodexError(
        f"{check.name}: {check.summary}{f' ({check.remedy})' if check.remedy else ''}"
    )
