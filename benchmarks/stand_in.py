"""A CLI that replays a file: what reading a turn costs, without what producing it costs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

THREAD_ID = "01a2b3c4-0000-7000-8000-000000000001"


def write_turn(path: Path, events: int) -> None:
    """Write a turn of about *events* events of 100 to 400 bytes, in the mix of a busy turn."""
    with path.open("w", encoding="utf-8") as file:
        for event in _turn(events):
            file.write(json.dumps(event, separators=(",", ":")) + "\n")


def _turn(events: int):  # type: ignore[no-untyped-def]
    yield {"type": "thread.started", "thread_id": THREAD_ID}
    yield {"type": "turn.started"}
    for number in range(events // 4):
        command = {
            "id": f"item_{number}",
            "type": "command_execution",
            "command": f"/bin/bash -lc 'grep -rn pattern_{number} src'",
            "aggregated_output": "",
            "exit_code": None,
            "status": "in_progress",
        }
        yield {"type": "item.started", "item": command}
        output = f"src/module_{number}.py:12: pattern\n" * 4
        yield {"type": "item.updated", "item": {**command, "aggregated_output": output}}
        done = {"aggregated_output": output, "exit_code": 0, "status": "completed"}
        yield {"type": "item.completed", "item": {**command, **done}}
        text = f"Message {number}: " + "words of the agent " * 5
        message = {"id": f"item_m{number}", "type": "agent_message", "text": text}
        yield {"type": "item.completed", "item": message}
    usage = {"input_tokens": 11, "cached_input_tokens": 3, "output_tokens": 7}
    yield {"type": "turn.completed", "usage": usage}


def write_cli(path: Path, turn: Path) -> str:
    """Make an executable that reads its prompt and replays *turn*; returns its path."""
    path.write_text(f"#!/bin/sh\ncat > /dev/null\nexec cat {turn}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def write_python_cli(path: Path, body: str) -> str:
    """Make an executable of a Python script; returns its path."""
    path.write_text(f"#!{sys.executable} -IS\n{body}", encoding="utf-8")
    path.chmod(0o755)
    return str(path)
