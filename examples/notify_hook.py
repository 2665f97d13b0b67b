"""Have the Codex CLI call a script at the end of each turn: its `notify` setting.

    python examples/notify_hook.py

This file is both sides. Run as above, it is a program that sets itself up as the script and runs a turn.
Called by the CLI, it is the script: the CLI adds one argument, a JSON object that tells which turn has
ended and how, and the script appends it to a log.
"""

import asyncio
import json
import sys
from pathlib import Path

from codex_sdk import Codex, CodexOptions, ThreadOptions

SCRIPT = Path(__file__).resolve()
LOG = Path("codex-notifications.jsonl").resolve()


async def main() -> None:
    notify = [sys.executable, str(SCRIPT), str(LOG)]
    codex = Codex(CodexOptions(config_overrides={"notify": notify}))
    thread = codex.start_thread(ThreadOptions(sandbox_mode="read-only", skip_git_repo_check=True))
    await thread.run("Say hello.")
    show_log()


def show_log() -> None:
    for line in LOG.read_text(encoding="utf-8").splitlines():
        notification = json.loads(line)
        print(f"{notification['type']}: {notification['last-assistant-message']}")


def notified(log: Path, payload: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(payload + "\n")


if len(sys.argv) == 3:
    notified(Path(sys.argv[1]), sys.argv[2])
else:
    asyncio.run(main())
