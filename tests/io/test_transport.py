"""An app-server's stdio as a transport, and what is told of its end."""

from __future__ import annotations

import anyio
import pytest

from codex_sdk._io.transport import Farewell, how_it_exited, stdio_transport

from .conftest import Run, until_ready

pytestmark = pytest.mark.usefixtures("short_graces")

ECHO = "ready()\nwhile data := os.read(0, 65536): os.write(1, data)"


async def test_lines_go_to_the_process_and_come_back(run: Run) -> None:
    async with run(ECHO, input=None) as process:
        transport = stdio_transport(process)
        await until_ready(process)
        with anyio.fail_after(20):
            await transport.send(b'{"a": 1}\n')
            await transport.send(b'{"b": 2}\n')
            received = b""
            while received.count(b"\n") < 2:
                received += await transport.receive()
    assert received == b'{"a": 1}\n{"b": 2}\n'


@pytest.mark.parametrize(
    ("death", "exit_code", "how"),
    [
        ("os._exit(0)", 0, "the app-server exited with status 0"),
        ("os._exit(3)", 3, "the app-server exited with status 3"),
        ("os.kill(os.getpid(), 9)", -9, "the app-server was ended by SIGKILL"),
    ],
)
async def test_the_end_of_the_process_is_told_with_its_last_words(
    run: Run, death: str, exit_code: int, how: str
) -> None:
    async with run(f"os.write(1, b'x'); os.write(2, b'disk full'); {death}", input=None) as process:
        transport = stdio_transport(process)
        with anyio.fail_after(20):
            assert await transport.receive() == b"x"
            with pytest.raises(anyio.EndOfStream):
                await transport.receive()
            assert await transport.farewell() == Farewell(exit_code, "disk full", how)


async def test_a_process_that_no_longer_reads_breaks_the_sending(run: Run) -> None:
    async with run("os.close(0); ready(); time.sleep(60)", input=None) as process:
        await until_ready(process)
        with anyio.fail_after(20), pytest.raises(anyio.BrokenResourceError, match="exit status"):
            while True:
                await stdio_transport(process).send(b"x\n")


async def test_the_farewell_to_a_process_that_lives_on_is_bounded(run: Run) -> None:
    script = "os.write(2, b'bye'); ready(); os.close(1); time.sleep(60)"
    async with run(script, input=None) as process:
        transport = stdio_transport(process)
        await until_ready(process)
        with anyio.fail_after(20):
            with pytest.raises(anyio.EndOfStream):
                await transport.receive()
            farewell = await transport.farewell()
    assert farewell.exit_code is None
    assert farewell.stderr == "bye"
    assert farewell.how == "the app-server has closed its output, though it still runs"


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    assert how_it_exited(-15) == "the app-server was ended by SIGTERM"
    assert how_it_exited(-99) == "the app-server was ended by signal 99"
