"""Abort signals: what their holders and their users can count on."""

from __future__ import annotations

import signal
import threading

import anyio
import pytest

from codex_sdk import AbortController, AbortSignal, CodexAbortError


def test_a_new_signal_is_not_aborted_and_has_no_reason() -> None:
    controller = AbortController()
    assert not controller.signal.aborted
    assert controller.signal.reason is None
    controller.signal.throw_if_aborted()


def test_the_signal_keeps_the_very_object_given_as_reason() -> None:
    controller, reason = AbortController(), LookupError("no longer wanted")
    controller.abort(reason)
    assert controller.signal.aborted
    assert controller.signal.reason is reason
    with pytest.raises(CodexAbortError) as caught:
        controller.signal.throw_if_aborted()
    assert caught.value.reason is reason


def test_a_second_abort_replaces_the_reason() -> None:
    controller = AbortController()
    controller.abort("first")
    controller.abort("second")
    assert controller.signal.reason == "second"


def test_an_abort_without_a_reason_still_aborts() -> None:
    controller = AbortController()
    controller.abort()
    assert controller.signal.aborted
    assert controller.signal.reason is None
    with pytest.raises(CodexAbortError, match="Operation aborted"):
        controller.signal.throw_if_aborted()


def test_any_is_aborted_by_the_first_of_its_signals_and_for_its_reason() -> None:
    first, second = AbortController(), AbortController()
    either = AbortSignal.any(first.signal, second.signal)
    assert not either.aborted
    second.abort("the second")
    first.abort("the first")
    assert either.reason == "the second"


def test_any_of_no_signals_is_never_aborted() -> None:
    assert not AbortSignal.any().aborted


def test_a_timeout_signal_has_a_timeout_error_as_its_reason() -> None:
    elapsed = AbortSignal.timeout(0)
    assert elapsed.aborted
    assert isinstance(elapsed.reason, TimeoutError)
    assert elapsed.reason is elapsed.reason
    assert not AbortSignal.timeout(3600).aborted


async def test_wait_returns_at_once_for_an_aborted_signal() -> None:
    controller = AbortController()
    controller.abort()
    await controller.signal.wait()
    await AbortSignal.any(AbortController().signal, controller.signal).wait()


async def test_wait_returns_when_another_thread_aborts() -> None:
    controller = AbortController()
    thread = threading.Thread(target=controller.abort, args=("from a thread",))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(controller.signal.wait)
            await anyio.wait_all_tasks_blocked()
            thread.start()
    thread.join()
    assert controller.signal.reason == "from a thread"


async def test_wait_returns_when_the_time_of_a_timeout_signal_has_come() -> None:
    with anyio.fail_after(5):
        await AbortSignal.any(AbortController().signal, AbortSignal.timeout(0.02)).wait()


async def test_a_cancelled_wait_leaves_nothing_registered() -> None:
    controller = AbortController()
    with anyio.move_on_after(0.01):
        await controller.signal.wait()
    controller.abort()  # would call a stale callback


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_a_signal_handler_may_abort_while_its_own_thread_subscribes() -> None:
    controller = AbortController()
    previous = signal.signal(signal.SIGALRM, lambda *_: controller.abort("alarm"))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for _ in range(20_000):
            with controller.signal.subscribed(lambda: None):
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert controller.signal.reason == "alarm"
