"""The real CLI, started by hand: what the SDK does, in the fewest lines."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import attrs

from codex_sdk import CodexOptions


@attrs.frozen
class Finished:
    """What a run of ``codex exec`` wrote, and how it ended."""

    exit_code: int
    events: list[dict[str, Any]]
    stderr: str

    @property
    def items(self) -> list[dict[str, Any]]:
        """The completed items, without their ids and without the CLI's warnings."""
        return [
            {name: value for name, value in event["item"].items() if name != "id"}
            for event in self.events
            if event["type"] == "item.completed" and event["item"]["type"] != "error"
        ]

    @property
    def error(self) -> str:
        """The message of ``turn.failed``, with straight apostrophes."""
        last = self.events[-1]
        assert last["type"] == "turn.failed", last
        return str(last["error"]["message"]).replace("\u2019", "'")

    @property
    def reconnections(self) -> int:
        """How often the CLI said that it tried again."""
        return sum(
            event["type"] == "error" and event["message"].startswith("Reconnecting")
            for event in self.events
        )


async def codex_exec(
    codex: str, options: CodexOptions, *arguments: str, prompt: str = "hello", cwd: Path
) -> Finished:
    """Run one turn."""
    provider = {
        "name": '"codex_sdk"',
        "base_url": json.dumps(options.base_url),
        "wire_api": '"responses"',
        "requires_openai_auth": "true",
    }
    table = ",".join(f"{name}={value}" for name, value in provider.items())
    overrides = [
        f"{key}={json.dumps(value)}" for key, value in (options.config_overrides or {}).items()
    ]
    config = ['model_provider="codex_sdk"', f"model_providers.codex_sdk={{{table}}}", *overrides]
    command = [
        *(codex, "exec", "--experimental-json", "--skip-git-repo-check", f"--cd={cwd}"),
        *(f"--config={entry}" for entry in config),
        *arguments,
    ]
    env = {**(options.env or {}), "CODEX_API_KEY": options.api_key or ""}
    done = await anyio.run_process(command, input=prompt.encode(), env=env, check=False)
    lines = done.stdout.decode().split("\n")
    return Finished(
        exit_code=done.returncode,
        events=[json.loads(line) for line in lines if line],
        stderr=done.stderr.decode().replace("Reading prompt from stdin...\n", ""),
    )


@cache
def is_legacy(codex: str) -> bool:
    """Say whether *codex* is of the generation of 0.80."""
    version = subprocess.run(
        [codex, "--version"], capture_output=True, text=True, check=True
    ).stdout
    return int(version.split()[-1].split(".")[1]) < 100
