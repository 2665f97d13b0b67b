"""Stop a turn in the middle of a command, and go on with the conversation.

python examples/cancel_and_resume.py
"""

import asyncio

from codex_sdk import (
    AbortController,
    Codex,
    CodexAbortError,
    Thread,
    ThreadOptions,
    TurnOptions,
)

PROMPT = "Run `sleep 600` in the shell and tell me when it is done."


async def main() -> None:
    thread = Codex().start_thread(ThreadOptions(sandbox_mode="read-only", skip_git_repo_check=True))
    try:
        await run_until_the_first_command(thread)
    except CodexAbortError as error:
        # By now the CLI, the shell and the `sleep` are gone; the conversation is not.
        print(f"Stopped: {error.reason}")

    turn = await thread.run("I have stopped that. Do not run it again: what did I ask you to do?")
    print(turn.final_response)


async def run_until_the_first_command(thread: Thread) -> None:
    # Whoever holds the controller can stop the turn: another task, another thread, a signal handler.
    # Here the loop itself does; it could as well leave the block, by `break` or by an exception.
    controller = AbortController()
    async with thread.stream(PROMPT, TurnOptions(signal=controller.signal)) as stream:
        async for event in stream:
            if event.type == "item.started" and event.item.type == "command_execution":
                print(f"$ {event.item.command}")
                controller.abort("it takes too long")
        await stream.turn()


asyncio.run(main())
