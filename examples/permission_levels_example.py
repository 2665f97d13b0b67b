"""The same request under different permissions: what may Codex's commands write?

    python examples/permission_levels_example.py [LEVEL ...]

The levels are read-only, workspace-write and danger-full-access. The last one gives the model's commands
everything that you may do yourself, and is tried only if it is named.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import cast

from codex_sdk import Codex, SandboxMode, ThreadOptions

PROMPT = "Run `echo hello > hello.txt` once, whatever comes of it, and say whether it worked."


async def main() -> None:
    for level in sys.argv[1:] or ["read-only", "workspace-write"]:
        with tempfile.TemporaryDirectory() as workspace:
            await try_to_write(cast(SandboxMode, level), Path(workspace))


async def try_to_write(level: SandboxMode, workspace: Path) -> None:
    options = ThreadOptions(
        sandbox_mode=level,
        working_directory=workspace,
        # In the workspace-write sandbox, commands may also write to these directories (here: none)
        # and, if this is set, use the network.
        additional_directories=[],
        network_access_enabled=False,
        skip_git_repo_check=True,
    )
    turn = await Codex().start_thread(options).run(PROMPT)
    print(f"{level}:")
    for command in turn.commands():
        print(f"  {command.command} -> {command.status}, exit code {command.exit_code}")
    print(f"  hello.txt {'is there' if (workspace / 'hello.txt').exists() else 'is not there'}")
    print(f"  Codex says: {turn.final_response}")


asyncio.run(main())
