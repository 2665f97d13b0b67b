"""The client of an app-server, beside a bare loop of ``readline`` and ``json.loads`` on the same pipe.

Requests answered one after the other, and a hundred at a time; then turns of 100,000 notifications through
a turn session: completed items, with plain params and with typed payloads, and deltas, which are joined
where they come faster than they are read.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from codex_sdk import AppServerOptions
from codex_sdk.app_server import AppServerClient

from .stand_in import write_python_cli

REQUESTS = 5_000
NOTIFICATIONS = 100_000
TASKS = 100
ROUNDS = 3

SERVER = """
import json, sys

def turn_of(thread, middle):
    def say(method, **params):
        where = {"threadId": thread, "turnId": "u", **params}
        return json.dumps({"method": method, "params": where, "emittedAtMs": 1}) + "\\n"

    notifications = "".join(say(*one[:1], **one[1]) for one in map(middle, range(NOTIFICATIONS)))
    return notifications + say("turn/completed", turn=turn)

def completed(n):
    item = {
        "type": "commandExecution", "id": str(n), "command": "grep -rn pattern src", "cwd": "/",
        "processId": None, "status": "completed", "commandActions": [], "exitCode": 0, "durationMs": 12,
        "aggregatedOutput": "src/module.py:12: pattern\\n" * 4,
    }
    return "item/completed", {"item": item, "completedAtMs": 1}

def delta(n):
    return "item/agentMessage/delta", {"itemId": "i", "delta": f"word {n} "}

turn = {"id": "u", "items": [], "status": "completed", "error": None}
turns = {"items": turn_of("items", completed), "deltas": turn_of("deltas", delta)}
if sys.argv[1:] == ["--version"]:
    print("codex-cli 0.163.0")
    sys.exit()
for line in sys.stdin:
    request = json.loads(line)
    method = request["method"]
    if "id" not in request:
        continue
    result = {"echo": "x" * 50}
    if method == "initialize":
        result = {"userAgent": "t/0.163.0 (x)", "codexHome": "/"}
    if method == "turn/start":
        result = {"turn": {**turn, "status": "inProgress"}}
    sys.stdout.write(json.dumps({"id": request["id"], "result": result}) + "\\n")
    if method == "turn/start":
        sys.stdout.write(turns[request["params"]["threadId"]])
    sys.stdout.flush()
"""

Seconds = tuple[float, float]
"""Of this process's CPU, and of the clock."""


def best(rounds: Iterable[Seconds]) -> Seconds:
    cpu, wall = zip(*rounds, strict=True)
    return min(cpu), min(wall)


class Stopwatch:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def seconds(self) -> Seconds:
        return time.process_time() - self._cpu, time.perf_counter() - self._wall


def bare_requests(cli: str) -> Seconds:
    with subprocess.Popen([cli], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        watch = Stopwatch()
        for number in range(REQUESTS):
            request = {"id": number, "method": "x", "params": {}}
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number
        taken = watch.seconds()
        process.stdin.close()
    return taken


def bare_turn(cli: str, thread_id: str) -> Seconds:
    with subprocess.Popen([cli], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        watch = Stopwatch()
        request = {"id": 1, "method": "turn/start", "params": {"threadId": thread_id}}
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        while json.loads(process.stdout.readline()).get("method") != "turn/completed":
            pass
        taken = watch.seconds()
        process.stdin.close()
    return taken


@asynccontextmanager
async def connected(cli: str) -> AsyncGenerator[AppServerClient, None]:
    async with AppServerClient(AppServerOptions(codex_path_override=cli)) as client:
        await client.request("x")
        yield client


async def requests(cli: str, tasks: int) -> Seconds:
    async def ask(client: AppServerClient) -> None:
        for _ in range(REQUESTS // tasks):
            await client.request("x")

    async with connected(cli) as client:
        watch = Stopwatch()
        async with anyio.create_task_group() as group:
            for _ in range(tasks):
                group.start_soon(ask, client)
        return watch.seconds()


async def turn(cli: str, thread_id: str, typed: bool) -> Seconds:
    async with connected(cli) as client:
        watch = Stopwatch()
        async with client.turn_session(thread_id, "go") as session:
            async for notification in session.notifications():
                if typed:
                    notification.payload  # noqa: B018
        return watch.seconds()


def show(what: str, taken: Seconds, bare: Seconds, number: int) -> None:
    print(
        f"{what:34} {number / taken[1]:8,.0f} a second, {bare[1] / taken[1]:5.2f} times the bare loop's; "
        f"{taken[0] / number * 1e6:6.1f} µs CPU each, {taken[0] / bare[0]:5.2f} times"
    )


def main() -> None:
    with TemporaryDirectory() as folder:
        cli = write_python_cli(Path(folder, "codex"), f"NOTIFICATIONS = {NOTIFICATIONS}\n{SERVER}")
        bare = best(bare_requests(cli) for _ in range(ROUNDS))
        show("requests, bare loop", bare, bare, REQUESTS)
        for backend in ("asyncio", "trio"):
            run = partial(anyio.run, backend=backend)
            for tasks in (1, TASKS):
                taken = best(run(requests, cli, tasks) for _ in range(ROUNDS))
                show(f"requests, {tasks} at a time, {backend}", taken, bare, REQUESTS)
        for thread_id, forms in (("items", (False, True)), ("deltas", (False,))):
            bare = best(bare_turn(cli, thread_id) for _ in range(ROUNDS))
            show(f"{thread_id}, bare loop", bare, bare, NOTIFICATIONS)
            for backend in ("asyncio", "trio"):
                run = partial(anyio.run, backend=backend)
                for typed in forms:
                    taken = best(run(turn, cli, thread_id, typed) for _ in range(ROUNDS))
                    name = f"{thread_id}{', typed' if typed else ''}, {backend}"
                    show(name, taken, bare, NOTIFICATIONS)
