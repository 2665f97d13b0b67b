from __future__ import annotations

import sys

import anyio
import pytest

from codex_sdk._io.task_groups import open_task_group

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


async def fail(error: BaseException) -> None:
    raise error


async def test_an_error_of_the_body_leaves_as_itself() -> None:
    error, cause = LookupError("mine"), ValueError("why")
    with pytest.raises(LookupError) as caught:
        async with open_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            raise error from cause
    assert caught.value is error
    assert error.__cause__ is cause
    assert error.__context__ is None


async def test_an_error_of_a_task_leaves_as_itself() -> None:
    error = LookupError("mine")
    with pytest.raises(LookupError) as caught:
        async with open_task_group() as tasks:
            tasks.start_soon(fail, error)
            await anyio.sleep_forever()
    assert caught.value is error


async def test_the_context_of_an_error_is_kept() -> None:
    with pytest.raises(LookupError) as caught:
        async with open_task_group():
            try:
                raise ValueError("before")
            except ValueError:
                raise LookupError("after")  # noqa: B904
    assert isinstance(caught.value.__context__, ValueError)


async def test_an_interrupt_leaves_as_itself() -> None:
    with pytest.raises(SystemExit):
        async with open_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            raise SystemExit


async def test_two_errors_stay_a_group() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_task_group() as tasks:
            tasks.start_soon(fail, ValueError())
            tasks.start_soon(fail, LookupError())
    assert sorted(type(error).__name__ for error in caught.value.exceptions) == [
        "LookupError",
        "ValueError",
    ]


@pytest.mark.parametrize("errors", [[ValueError()], [ValueError(), LookupError()]])
async def test_a_group_that_the_body_raised_arrives_as_it_was_raised(
    errors: list[Exception],
) -> None:
    group = ExceptionGroup("the body's", errors)
    with pytest.raises(ExceptionGroup) as caught:
        async with open_task_group() as outer:
            outer.start_soon(anyio.sleep_forever)
            async with open_task_group() as inner:
                inner.start_soon(anyio.sleep_forever)
                raise group
    assert caught.value.message == "the body's"
    assert list(caught.value.exceptions) == errors


async def test_cancellations_beside_an_error_do_not_count() -> None:
    error = LookupError("mine")

    async def fail_when_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise error

    with pytest.raises(LookupError) as caught, anyio.CancelScope() as scope:
        async with open_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            tasks.start_soon(fail_when_cancelled)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            await anyio.sleep_forever()
    assert caught.value is error


async def test_a_cancellation_passes_through() -> None:
    with anyio.CancelScope() as scope:
        async with open_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            scope.cancel()
    assert scope.cancelled_caught


async def test_nothing_happens_where_nothing_is_wrong() -> None:
    done = []

    async def work() -> None:
        await anyio.lowlevel.checkpoint()
        done.append(1)

    async with open_task_group() as tasks:
        tasks.start_soon(work)
    assert done == [1]
