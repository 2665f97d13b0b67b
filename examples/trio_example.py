"""The same on trio: two conversations side by side, within one time limit.

pip install trio
python examples/trio_example.py
"""

import trio

from codex_sdk import Codex, ThreadOptions

QUESTIONS = {
    "files": "Which files are in this directory?",
    "purpose": "What is this directory for? Answer in one sentence.",
}
TIME_LIMIT = 300.0
"""Seconds for both together."""


async def main() -> None:
    codex = Codex()
    with trio.move_on_after(TIME_LIMIT) as limit:
        async with trio.open_nursery() as nursery:
            for name, question in QUESTIONS.items():
                nursery.start_soon(ask, codex, name, question)
    if limit.cancelled_caught:  # nothing runs any more: leaving the nursery has stopped both turns
        print(f"No answer within {TIME_LIMIT:g} seconds.")


async def ask(codex: Codex, name: str, question: str) -> None:
    thread = codex.start_thread(ThreadOptions(sandbox_mode="read-only", skip_git_repo_check=True))
    async with thread.stream(question) as stream:
        async for event in stream:
            if event.type == "item.started" and event.item.type == "command_execution":
                print(f"{name}: $ {event.item.command}")
        turn = await stream.turn()
    print(f"{name}: {turn.final_response}")


trio.run(main)
