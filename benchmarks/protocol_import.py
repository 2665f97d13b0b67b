"""What the app-server's protocol costs at first use: nothing where ``codex exec`` is used."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median

ROUNDS = 11

PROGRAM = """
import json, sys, time
{before}
start = time.process_time()
{measured}
taken = time.process_time() - start
parts = sum(name.startswith("codex_sdk.protocol") for name in sys.modules)
print(json.dumps([taken * 1e3, parts]))
"""

CLIENT = "from codex_sdk.app_server import AppServerClient"

SESSION = """
from codex_sdk import protocol
item = {"type": "agentMessage", "id": "i", "text": "x"}
command = {"type": "commandExecution", "id": "c", "command": "ls", "cwd": "/", "status": "completed",
           "commandActions": []}
turn = {"id": "u", "items": [], "status": "completed"}
where = {"threadId": "t", "turnId": "u"}
usage = dict.fromkeys(("cachedInputTokens", "inputTokens", "outputTokens", "reasoningOutputTokens",
                       "totalTokens"), 1)
for method, params in {
    "turn/started": {"threadId": "t", "turn": turn},
    "item/started": {**where, "item": command, "startedAtMs": 1},
    "item/agentMessage/delta": {**where, "itemId": "i", "delta": "x"},
    "item/commandExecution/outputDelta": {**where, "itemId": "c", "delta": "x"},
    "item/completed": {**where, "item": item, "completedAtMs": 1},
    "thread/tokenUsage/updated": {**where, "tokenUsage": {"last": usage, "total": usage}},
    "turn/completed": {"threadId": "t", "turn": turn},
}.items():
    payload = protocol.notification_payload(method, params, lenient=True)
    assert not isinstance(payload, protocol.UnknownPayload), method
request = {**where, "itemId": "c", "startedAtMs": 1}
protocol.request_payload("item/commandExecution/requestApproval", request, lenient=True)
protocol.unstructure(protocol.ThreadStartParams(cwd="."))
protocol.unstructure(protocol.TurnStartParams(thread_id="t", input=[]))
"""


def milliseconds(before: str, measured: str) -> tuple[float, int]:
    """Return the CPU time of *measured*, after *before*, and how many modules of the protocol were loaded."""
    program = PROGRAM.replace("{before}", before).replace("{measured}", measured)
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    taken, parts = json.loads(printed.stdout)
    return taken, parts


CASES = {
    "import asyncio": ("", "import asyncio"),
    "from codex_sdk import Codex": ("", "from codex_sdk import Codex, ThreadOptions, TurnOptions"),
    CLIENT: ("import asyncio", CLIENT),
    "import codex_sdk.protocol": ("import codex_sdk", "import codex_sdk.protocol"),
    "a usual session, everything typed": (CLIENT, SESSION),
}


def main() -> None:
    rounds = [[milliseconds(*case) for case in CASES.values()] for _ in range(ROUNDS)]
    medians = [median(one for one, _ in results) for results in zip(*rounds, strict=True)]
    for name, taken, (_, parts) in zip(CASES, medians, rounds[0], strict=True):
        print(
            f"{name:48} {taken:6.1f} ms CPU, {taken / medians[0]:4.2f} times `import asyncio`; "
            f"{parts} modules of the protocol"
        )
