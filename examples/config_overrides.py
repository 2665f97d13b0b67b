"""Set what has no option of its own: any key of the CLI's config.toml, for a client or for a thread.

python examples/config_overrides.py
"""

import asyncio

from codex_sdk import Codex, CodexOptions, ThreadOptions

CLIENT = CodexOptions(
    config_overrides={
        # Keys are dotted paths; values are what TOML can say: strings, numbers, booleans, lists, mappings.
        "developer_instructions": "Answer in one sentence.",
        "shell_environment_policy": {
            "inherit": "core",
            "set": {"GREETING": "hello from Python"},
        },
    }
)
THREAD = ThreadOptions(
    sandbox_mode="read-only",
    skip_git_repo_check=True,
    config_overrides={
        "developer_instructions": "Answer in one sentence, in French.",  # wins over the client's
    },
)


async def main() -> None:
    codex = Codex(CLIENT)
    turn = await codex.start_thread(THREAD).run(
        'Run `echo "$GREETING"`. What does it print, and what does that mean?'
    )
    for command in turn.commands():
        print(f"$ {command.command}")
        print(command.aggregated_output, end="")
    print(turn.final_response)


asyncio.run(main())
