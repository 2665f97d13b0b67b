"""Task groups whose errors can be caught by a plain ``except``."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import anyio
from anyio.abc import TaskGroup

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

__all__ = ["is_cancellation", "open_task_group"]


@asynccontextmanager
async def open_task_group() -> AsyncGenerator[TaskGroup, None]:
    """Open an anyio task group that a lone error leaves as itself.

    anyio wraps whatever is raised inside a task group. That layer, and no other, is taken off again
    where it holds a single error (cancellations that came along with it do not count): a group that the
    body or a task has raised itself arrives as it was raised.
    """
    try:
        async with anyio.create_task_group() as task_group:
            yield task_group
    except BaseExceptionGroup as group:
        errors = [error for error in group.exceptions if not is_cancellation(error)]
        if len(errors) != 1:
            raise
        _raise_unchanged(errors.pop())


def _raise_unchanged(error: BaseException) -> None:
    context = error.__context__  # a raise inside an except block would put the group there
    try:
        raise error
    finally:
        error.__context__ = context
        del error  # its traceback holds this frame


def is_cancellation(error: BaseException) -> bool:
    """Return whether *error* is the event loop's cancellation, or a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return all(map(is_cancellation, group.exceptions))
    return isinstance(error, anyio.get_cancelled_exc_class())
