"""What goes through a child's pipes, and when its end is the end."""

from __future__ import annotations

import os
import signal
from io import FileIO

import anyio
import pytest

from codex_sdk import CodexError
from codex_sdk._io import leader, pipes
from codex_sdk._io.process import ChildProcess

from .conftest import SHAPES, Run, output, until_ready


@pytest.fixture(params=["pipes", "relayed pipes", "no process files"], autouse=True)
def plumbing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run each test in the way of each platform: Linux; Windows; and systems without process files."""
    monkeypatch.setattr(pipes, "RELAYED", request.param == "relayed pipes")
    if request.param != "pipes":
        monkeypatch.setattr(leader, "open_process_file", lambda pid: None)
    return request.param


async def test_input_is_fed_while_output_is_read(run: Run) -> None:
    script = """
    size = 0
    while data := sys.stdin.buffer.read(65536):
        size += len(data)
        os.write(1, data)
    os.write(2, b"%d" % size)
    """
    prompt = os.urandom(5 << 20)
    async with run(script, input=prompt) as process:
        assert await output(process) == prompt
        assert await process.wait() == 0
        assert await process.stderr() == str(5 << 20)


async def test_a_child_that_does_not_read_its_input_is_no_hindrance(run: Run) -> None:
    async with run("ready(); os.close(0)", input=bytes(5 << 20)) as process:
        assert await output(process) == b"ready\n"
        assert await process.wait() == 0


async def test_a_child_that_waits_before_it_reads_gets_everything(run: Run) -> None:
    script = "ready(); time.sleep(0.2); print(len(sys.stdin.buffer.read()))"
    async with run(script, input=bytes(5 << 20)) as process:
        assert await output(process) == b"ready\n%d\n" % (5 << 20)


async def test_the_tail_of_stderr_is_complete_once_the_child_has_exited(run: Run) -> None:
    script = "os.write(2, b'x' * (4 << 20) + b'the last words'); os._exit(7)"
    async with run(script) as process:
        assert await process.wait() == 7
        tail = await process.stderr()
    assert len(tail) == 16 * 1024
    assert tail.endswith("xxxthe last words")
    assert process.stderr_tail == tail


async def test_the_tail_of_stderr_can_be_had_while_the_child_runs(run: Run) -> None:
    async with run("os.write(2, b'so far'); ready(); time.sleep(600)") as process:
        await until_ready(process)
        with anyio.fail_after(20):
            while process.stderr_tail != "so far":  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert await process.stderr() == "so far"


async def test_bytes_that_are_no_utf8_are_replaced(run: Run) -> None:
    async with run(SHAPES["writes no UTF-8 to stderr"]) as process:
        await until_ready(process)
    assert process.stderr_tail == "\ufffd\ufffd caf\ufffd"


@pytest.mark.parametrize("code", ["time.sleep(600)", "while True: os.write(1, bytes(9999))"])
async def test_a_daemon_that_holds_the_pipes_is_not_waited_for(run: Run, code: str) -> None:
    script = (
        f"os.write(2, b'e'); daemon('ready()\\n{code}'); os.write(1, b'last words'); os._exit(5)"
    )
    async with run(script) as process:
        assert (await output(process)).lstrip(b"\0").startswith(b"last words")
        assert await process.wait() == 5
        assert await process.stderr() == "e"


async def test_a_child_that_closes_its_output_has_not_exited(run: Run) -> None:
    async with run(SHAPES["closes stdout early"]) as process:
        assert await output(process) == b"ready\n"
        assert process.live
        assert process.returncode is None
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
async def test_the_exit_status_of_a_child_that_a_signal_ended_is_negative(
    run: Run, number: signal.Signals
) -> None:
    async with run(f"os.kill(os.getpid(), {number})") as process:
        assert await process.wait() == -number
        assert not process.live
    assert process.returncode == -number


async def test_any_number_of_tasks_may_wait(run: Run) -> None:
    statuses = []

    async def wait(process: ChildProcess) -> None:
        statuses.append(await process.wait())

    async with run("sys.stdin.read(); sys.exit(3)", input=None) as process:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(wait, process)
            await anyio.wait_all_tasks_blocked()
            await process.close_stdin()
        statuses.append(await process.wait())
    assert statuses == [3, 3, 3, 3]
    assert await process.wait() == 3


async def test_a_cancelled_read_loses_nothing(run: Run) -> None:
    script = "for i in range(2000): os.write(1, b'%04d' % i); i % 100 or time.sleep(0.001)"
    received = b""
    async with run(script) as process:
        with anyio.fail_after(20):
            while len(received) < 8000:
                with anyio.move_on_after(0.0001):
                    received += await process.receive()
    assert received == b"".join(b"%04d" % i for i in range(2000))


async def test_a_conversation(run: Run) -> None:
    async with run(
        "for line in sys.stdin: print(line.upper(), end='', flush=True)", input=None
    ) as process:
        for word in ["one\n", "two\n"]:
            await process.send(word.encode())
            assert await process.receive() == word.upper().encode()
        await process.close_stdin()
        assert await process.wait() == 0
        with pytest.raises(CodexError, match="closed its input"):
            await process.send(b"three\n")


async def test_leaving_a_conversation_lets_the_child_end_by_itself(run: Run) -> None:
    script = "signal.signal(15, signal.SIG_IGN); ready(); sys.stdin.read(); os.write(2, b'bye'); sys.exit(4)"
    async with run(script, input=None) as process:
        await until_ready(process)
    assert process.returncode == 4
    assert process.stderr_tail == "bye"


async def test_a_child_that_is_stopped_never_reads_the_end_of_half_a_prompt(
    run: Run, short_graces: None
) -> None:
    script = """
    stubborn()
    ready()
    time.sleep(0.1)  # the pipe is full, and more is to come
    while os.read(0, 4096): time.sleep(0.01)
    os.write(2, b"read it all")
    """
    async with run(script, input=bytes(10 << 20)) as process:
        await until_ready(process)
    assert process.returncode == -signal.SIGKILL
    assert process.stderr_tail == ""


async def test_writing_to_a_child_that_does_not_read_raises_once_it_is_gone(run: Run) -> None:
    async with run("ready(); time.sleep(0.2); os._exit(0)", input=None) as process:
        await until_ready(process)
        with anyio.fail_after(20), pytest.raises(CodexError, match="closed its input"):
            while True:
                await process.send(bytes(1 << 20))


async def test_a_child_cannot_get_far_ahead_of_its_reader(run: Run) -> None:
    script = """
    os.set_blocking(1, False)
    written, until = 0, time.monotonic() + 0.5
    while not written or time.monotonic() < until:
        try:
            written += os.write(1, bytes(4096))
        except BlockingIOError:
            time.sleep(0.01)
    os.write(2, b"%d" % written)
    """
    async with run(script) as process:
        await process.wait()
        assert 0 < int(await process.stderr()) < 2 << 20


async def test_one_reader_at_a_time(run: Run) -> None:
    async with run("time.sleep(600)") as process:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(process.receive)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(CodexError, match="another task is reading"):
                await process.receive()
            tasks.cancel_scope.cancel()


async def test_a_block_that_is_cancelled_can_still_talk_under_a_shield(run: Run) -> None:
    script = "for line in sys.stdin: print(line, end='', flush=True); os.write(2, bytes(1 << 20))"
    with anyio.CancelScope() as scope:
        async with run(script, input=None) as process:
            scope.cancel()
            with anyio.CancelScope(shield=True), anyio.fail_after(20):
                for _ in range(3):
                    await process.send(b"x\n")
                    assert await process.receive() == b"x\n"
                await process.close_stdin()
                assert await process.wait() == 0
                assert len(await process.stderr()) == 16 * 1024


@pytest.mark.usefixtures("short_graces")
async def test_whoever_waits_for_a_pipe_that_is_closed_is_woken(run: Run) -> None:
    async def read() -> None:
        with pytest.raises(anyio.EndOfStream):
            await process.receive()

    async def write() -> None:
        with pytest.raises(CodexError, match="closed its input"):
            await process.send(bytes(10 << 20))

    async with anyio.create_task_group() as tasks:
        async with run("ready(); time.sleep(600)", input=None) as process:
            await until_ready(process)
            tasks.start_soon(read)
            tasks.start_soon(write)
            await anyio.wait_all_tasks_blocked()


async def test_what_others_write_after_the_child_has_exited_is_read_within_limits(
    monkeypatch: pytest.MonkeyPatch, plumbing: str
) -> None:
    if plumbing == "relayed pipes":
        pytest.skip("reads from a pipe of its own")
    monkeypatch.setattr(pipes, "_LAST_WORDS", 500)
    reading, writing = os.pipe()
    reader = pipes.Reader(FileIO(reading, "rb"))
    os.write(writing, bytes(1000))
    reader.expect_end()
    assert await reader.receive() == bytes(1000)
    os.write(writing, bytes(1000))
    assert await reader.receive() == b""
    reader.close()
    os.close(writing)


async def test_after_the_block_reading_is_at_its_end(run: Run) -> None:
    async with run(SHAPES["well behaved"]) as process:
        await until_ready(process)
    with pytest.raises(anyio.EndOfStream):
        await process.receive()
    with pytest.raises(CodexError):
        await process.send(b"x")
