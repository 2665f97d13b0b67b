"""A model for the demo that needs no key and no network: what it will say is known beforehand."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..exceptions import CodexError
from ..options import CodexOptions
from .project import FIX, PROGRAM, test_command

if TYPE_CHECKING:
    from ..testing.replies import Reply, RunCommand
    from ..testing.requests import ModelRequest

__all__ = ["scripted_model"]


@asynccontextmanager
async def scripted_model() -> AsyncGenerator[CodexOptions, None]:
    """Run the scripted model during the block, and yield options with which Codex asks it.

    Raises:
        CodexError: the package that it needs is not installed.
    """
    try:
        from ..testing import ModelServer
    except ImportError as error:
        raise CodexError(
            f"the scripted model needs the package {error.name}: pip install 'codex-sdk-python[testing]', "
            "or set CODEX_API_KEY to use a real model"
        ) from error
    async with ModelServer([_look, _repair, _verify, _conclude]) as server:
        yield server.codex_options()


def _look(_: ModelRequest) -> Reply:
    from ..testing import Reply

    return Reply("I'll run the test, to see how it fails.", _run_test())


def _repair(_: ModelRequest) -> Reply:
    from ..testing import ApplyPatch, Reply, UpdateFile

    finding = "total() adds up the prices, but not how many there are of each item. I'll fix that."
    return Reply(finding, ApplyPatch(UpdateFile(PROGRAM, *FIX)))


def _verify(_: ModelRequest) -> Reply:
    from ..testing import Reply

    return Reply("And once more:", _run_test())


def _run_test() -> RunCommand:
    from ..testing import RunCommand

    return RunCommand(test_command(), timeout=30)  # the usual ten are few on a machine that is busy


def _conclude(request: ModelRequest) -> str:
    outputs = request.function_outputs()
    if not outputs or "OK" not in outputs[-1].text:
        return "The test still fails, and a scripted model has no other idea."
    return "The test passes: total() now multiplies each price by the number of items."
