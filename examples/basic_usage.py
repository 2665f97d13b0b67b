"""Two turns of one conversation: Codex looks at the current directory, then answers from what it saw.

python examples/basic_usage.py
"""

import asyncio

from codex_sdk import Codex, ThreadOptions, Turn


async def main() -> None:
    # skip_git_repo_check: Codex wants to be in a Git repository, where its edits can be undone. A
    # thread that may only read can do without.
    options = ThreadOptions(sandbox_mode="read-only", skip_git_repo_check=True)
    thread = Codex().start_thread(options)

    show(await thread.run("List the files in this directory and say what it is about."))
    show(await thread.run("Which of these files should a newcomer read first, and why?"))

    print(f"To go on: CODEX_THREAD_ID={thread.id} python examples/thread_resume.py")


def show(turn: Turn) -> None:
    for command in turn.commands():
        print(f"$ {command.command}")
    print(turn.final_response)
    if turn.turn_usage:
        print(
            f"({turn.turn_usage.input_tokens} tokens in, {turn.turn_usage.output_tokens} tokens out)"
        )
    print()


asyncio.run(main())
