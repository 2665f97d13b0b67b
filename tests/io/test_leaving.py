"""However the block is left and whatever the child is like: nothing of it is left."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from textwrap import dedent

import anyio
import pytest

from codex_sdk._io import process, stopping
from codex_sdk._io.process import ChildProcess

from .conftest import SHAPES, Run, command, until_ready

Survivors = Callable[[], list[str]]
Leave = Callable[[Run, str], Awaitable[None]]

pytestmark = pytest.mark.usefixtures("short_graces")


@pytest.fixture
def long_graces(short_graces: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for who does obey, however slow the machine is: who takes too long is killed."""
    monkeypatch.setattr(process, "SHUTDOWN_BOUND", 60.0)
    monkeypatch.setattr(stopping, "_LEADER_GRACE", 20.0)
    monkeypatch.setattr(stopping, "_PARTING_GRACE", 20.0)


async def by_its_end(run: Run, script: str) -> None:
    async with run(script) as process:
        await until_ready(process)


async def by_an_exception(run: Run, script: str) -> None:
    with pytest.raises(LookupError, match=r"^mine$"):
        async with run(script) as process:
            await until_ready(process)
            raise LookupError("mine")


async def by_a_cancel_scope(run: Run, script: str) -> None:
    with anyio.CancelScope() as scope:
        async with run(script) as process:
            await until_ready(process)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def _holding(run: Run, script: str) -> asyncio.Task[None]:
    held = asyncio.Event()

    async def hold() -> None:
        async with run(script) as process:
            await until_ready(process)
            held.set()
            await asyncio.sleep(600)

    task = asyncio.create_task(hold())
    await held.wait()
    return task


async def by_a_native_cancellation(run: Run, script: str) -> None:
    task = await _holding(run, script)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_a_native_cancellation_and_one_of_the_cleanup(run: Run, script: str) -> None:
    task = await _holding(run, script)
    task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_native_cancellations_until_it_is_over(run: Run, script: str) -> None:
    task = await _holding(run, script)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task


WAYS = [by_its_end, by_an_exception, by_a_cancel_scope]
NATIVE_WAYS = [
    by_a_native_cancellation,
    by_a_native_cancellation_and_one_of_the_cleanup,
    by_native_cancellations_until_it_is_over,
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("leave", WAYS)
async def test_nothing_is_left(run: Run, survivors: Survivors, leave: Leave, shape: str) -> None:
    await _check(run, survivors, leave, shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("leave", NATIVE_WAYS)
@pytest.mark.parametrize("anyio_backend", [("asyncio", {"debug": True})], ids=["asyncio"])
async def test_nothing_is_left_where_no_shield_holds(
    run: Run, survivors: Survivors, leave: Leave, shape: str
) -> None:
    await _check(run, survivors, leave, shape)


@pytest.mark.usefixtures("long_graces")
async def test_what_an_exited_child_started_in_its_own_group_may_end_by_itself(
    run: Run, survivors: Survivors, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    parting = f"import time; time.sleep(0.3); open({str(done)!r}, 'w').close()"
    async with run(f"subprocess.Popen([sys.executable, '-ISc', {parting!r}]); ready()") as child:
        await child.wait()
    assert done.exists()
    assert survivors() == []


async def test_what_stays_in_the_group_of_an_exited_child_is_ended(
    run: Run, survivors: Survivors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "_PARTING_GRACE", 0.2)
    async with run("subprocess.Popen(['sleep', '600']); ready()") as child:
        await child.wait()
    assert survivors() == []


async def _check(run: Run, survivors: Survivors, leave: Leave, shape: str) -> None:
    tasks = len(anyio.get_running_tasks())
    with anyio.fail_after(20):
        await leave(run, SHAPES[shape])
    assert survivors() == []
    assert len(anyio.get_running_tasks()) == tasks


OBEDIENT = "signal.signal(15, lambda *_: os._exit(7)); ready(); time.sleep(600)"


@pytest.mark.usefixtures("long_graces")
async def test_a_child_is_asked_before_it_is_killed(run: Run) -> None:
    with anyio.CancelScope() as scope:
        async with run(
            "signal.signal(15, lambda *_: os._exit(7)); ready(); time.sleep(600)"
        ) as asked:
            await until_ready(asked)
            scope.cancel()
            await anyio.sleep_forever()
    assert asked.returncode == 7


@pytest.mark.usefixtures("long_graces")
async def test_an_async_generator_that_is_closed_asks_its_child_too(run: Run) -> None:
    async def generate() -> AsyncGenerator[ChildProcess, None]:
        async with run(OBEDIENT) as process:
            await until_ready(process)
            yield process

    generator = generate()
    process = await generator.__anext__()
    await generator.aclose()
    assert process.returncode == 7


@pytest.mark.parametrize("turns", range(12))
@pytest.mark.parametrize("anyio_backend", [("asyncio", {"debug": True})], ids=["asyncio"])
async def test_a_cancellation_right_after_the_start_leaves_nothing(
    run: Run, survivors: Survivors, turns: int
) -> None:
    async def hold() -> None:
        async with run(SHAPES["has a stubborn daemon"]):
            await asyncio.sleep(600)

    task = asyncio.create_task(hold())
    for _ in range(turns):
        await asyncio.sleep(0)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert survivors() == []


HOST = """
import asyncio, os, signal, sys, threading
import anyio
from codex_sdk._io import stopping
from codex_sdk._io.process import new_marker, owned_process

stopping._LEADER_GRACE, stopping._COMMAND_GRACE = 0.2, 0.1
backend = sys.argv[1]
command = sys.argv[2:]

async def hold(then):
    env = {**os.environ, **dict([new_marker()])}
    async with owned_process(command, env=env, input=b"") as process:
        assert (await process.receive()).startswith(b"ready")
        print("ready", flush=True)
        then()
        await anyio.sleep(600)

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
"""

CLEAN_ENDS = {
    "Ctrl-C": "anyio.run(hold, interrupt, backend=backend)",
    "sys.exit": "anyio.run(hold, sys.exit, backend=backend)",
    "a loop that ends": """
        async def main():
            started = anyio.Event()
            if backend == "asyncio":
                global task
                task = asyncio.create_task(hold(started.set))
            else:
                import trio
                trio.lowlevel.spawn_system_task(hold, started.set)
            await started.wait()
        anyio.run(main, backend=backend)
    """,
}

ROUGH_ENDS = {
    "Ctrl-C twice": """
        def twice():
            threading.Timer(0.05, interrupt).start()
            interrupt()
        anyio.run(hold, twice, backend=backend)
    """,
    "a loop in a daemon thread": """
        started = threading.Event()
        options = {"backend": backend}
        threading.Thread(target=anyio.run, args=(hold, started.set), kwargs=options, daemon=True).start()
        started.wait()
    """,
    "a loop that is thrown away": """
        if backend == "asyncio":
            loop = asyncio.new_event_loop()
            task = loop.create_task(hold(loop.stop))
            loop.run_forever()
            del task
            loop.close()
            del loop
        else:
            import queue, trio
            jobs, started = queue.SimpleQueue(), threading.Event()
            done = lambda outcome: None
            trio.lowlevel.start_guest_run(
                hold, started.set, run_sync_soon_threadsafe=jobs.put, done_callback=done
            )
            while not started.is_set():
                jobs.get()()
    """,
}

OWN_AFFAIRS = {
    "a coroutine that is closed where no loop runs takes its child along": """
        if backend == "trio":
            print(True)  # lets nobody have its coroutines
            sys.exit()
        async def main():
            global alive
            env = {**os.environ, **dict([new_marker()])}
            async with owned_process(command, env=env, input=b"") as process:
                await process.receive()
                alive = lambda: os.path.exists(f"/proc/{process.pid}")
                asyncio.get_running_loop().stop()
                await anyio.sleep(600)
        loop = asyncio.new_event_loop()
        task = loop.create_task(main())
        loop.run_forever()
        print(alive(), end=" ")
        try:
            task.get_coro().close()
        except (RuntimeError, anyio.NoEventLoopError):
            print(not alive())
        os._exit(0)
    """,
    "a fork of the host program owns nothing": """
        import atexit
        async def main():
            env = {**os.environ, **dict([new_marker()])}
            async with owned_process(command, env=env, input=b"") as process:
                await process.receive()
                if (pid := os.fork()) == 0:
                    atexit._run_exitfuncs()
                    os._exit(0)
                os.waitpid(pid, 0)
                await anyio.sleep(0.1)
                print(process.live)
        anyio.run(main, backend=backend)
    """,
    "a host program that inherits orphans reaps those of the child": """
        import ctypes
        from pathlib import Path
        async def main():
            env = {**os.environ, **dict([new_marker()])}
            async with owned_process(command, env=env, input=b"") as process:
                await process.receive()
                print(len(children()) == 2, end=" ")
            print(children() == [])
        def children():
            files = Path("/proc/self/task").glob("*/children")
            return " ".join(file.read_text() for file in files).split()
        PR_SET_CHILD_SUBREAPER = 36
        assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        anyio.run(main, backend=backend)
    """,
}

STUBBORN_SHAPES = ["well behaved", "ignores SIGTERM", "has a stubborn daemon"]


@pytest.mark.parametrize("shape", STUBBORN_SHAPES)
@pytest.mark.parametrize("end", CLEAN_ENDS)
def test_the_end_of_the_host_program_leaves_nothing(
    survivors: Survivors, end: str, shape: str, anyio_backend_name: str
) -> None:
    done = _run_host(CLEAN_ENDS[end], shape, anyio_backend_name)
    expected = "KeyboardInterrupt" if end == "Ctrl-C" else ""
    if sys.version_info < (3, 11) and expected and anyio_backend_name == "asyncio":
        expected = "asyncio.exceptions.CancelledError"  # what anyio makes of an interrupt there
    assert done.stdout == "ready\n"
    assert done.stderr.rstrip().rpartition("\n")[2] == expected
    assert survivors() == []


@pytest.mark.parametrize("shape", STUBBORN_SHAPES)
@pytest.mark.parametrize("end", ROUGH_ENDS)
def test_a_rough_end_of_the_host_program_leaves_nothing(
    survivors: Survivors, end: str, shape: str, anyio_backend_name: str
) -> None:
    done = _run_host(ROUGH_ENDS[end], shape, anyio_backend_name)
    assert done.stdout == "ready\n"
    assert survivors() == []


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and inherits orphans")
@pytest.mark.parametrize("affair", OWN_AFFAIRS)
def test_processes_that_are_and_are_not_our_affair(
    survivors: Survivors, affair: str, anyio_backend_name: str
) -> None:
    done = _run_host(OWN_AFFAIRS[affair], "has a stubborn daemon", anyio_backend_name)
    assert done.stderr == ""
    assert set(done.stdout.split()) == {"True"}
    assert survivors() == []


def _run_host(end: str, shape: str, backend: str) -> subprocess.CompletedProcess[str]:
    program = HOST + dedent(end)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, backend, *command(SHAPES[shape])],
        capture_output=True,
        text=True,
        timeout=50,
    )
