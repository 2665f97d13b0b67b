"""Show what Codex does while it does it.

python examples/streaming_example.py ["what to do"]
"""

import asyncio
import sys

from codex_sdk import (
    AgentMessageItem,
    Codex,
    CommandExecutionItem,
    ErrorItem,
    FileChangeItem,
    ItemCompletedEvent,
    ItemStartedEvent,
    ReasoningItem,
    ThreadErrorEvent,
    ThreadEvent,
    ThreadItem,
    ThreadOptions,
    ThreadStartedEvent,
    TurnFailedError,
)

PROMPT = "Find out what this project does, and how its tests are run."


async def main() -> None:
    thread = Codex().start_thread(ThreadOptions(sandbox_mode="read-only", skip_git_repo_check=True))
    async with thread.stream(" ".join(sys.argv[1:]) or PROMPT) as stream:
        async for event in stream:
            show(event)
        try:
            turn = await stream.turn()
        except TurnFailedError as error:
            sys.exit(f"The turn failed: {error}")
    print("Tokens:", turn.usage)


def show(event: ThreadEvent) -> None:
    match event:
        case ThreadStartedEvent(thread_id=thread_id):
            print(f"Thread {thread_id}")
        case ItemStartedEvent(item=CommandExecutionItem(command=command)):
            print(f"$ {command}")
        case ItemCompletedEvent(item=item):
            show_result(item)
        case ThreadErrorEvent(message=message):  # a retry: the turn goes on
            print(f"({message})")
        case _:
            pass


def show_result(item: ThreadItem) -> None:
    match item:
        case AgentMessageItem(text=text):
            print(text)
        case ReasoningItem(text=text):
            print(f"~ {text}")
        case CommandExecutionItem(exit_code=code, aggregated_output=output):
            print(f"  exit code {code}, {len(output)} characters of output")
        case FileChangeItem(changes=changes):
            for change in changes:
                print(f"  {change.kind} {change.path}")
        case ErrorItem(message=message):
            print(f"Warning: {message}")
        case _:
            pass


asyncio.run(main())
