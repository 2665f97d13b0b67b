"""Callbacks instead of a loop: one for each kind of event or item that is of interest.

python examples/hooks_streaming.py
"""

import asyncio

from codex_sdk import (
    AgentMessageItem,
    Codex,
    CommandExecutionItem,
    ThreadErrorEvent,
    ThreadEvent,
    ThreadHooks,
    ThreadOptions,
    ThreadStartedEvent,
    TurnCompletedEvent,
)


class Report:
    """Counts the events of a turn and prints the ones worth reading."""

    def __init__(self) -> None:
        self.events = 0

    def count(self, event: ThreadEvent) -> None:
        self.events += 1

    def started(self, event: ThreadStartedEvent) -> None:
        print(f"Thread {event.thread_id}")

    def command(self, item: CommandExecutionItem) -> None:
        print(f"[{item.status}] $ {item.command}")

    async def message(self, item: AgentMessageItem) -> None:
        await asyncio.sleep(0)  # a hook may be async: the next event waits until it is done
        print(item.text)

    def retry(self, event: ThreadErrorEvent) -> None:
        print(f"({event.message})")

    def completed(self, event: TurnCompletedEvent) -> None:
        print(f"{event.usage.output_tokens} tokens of output")


async def main() -> None:
    report = Report()
    hooks = ThreadHooks(
        on_event=report.count,
        on_thread_started=report.started,
        on_item_type={"command_execution": report.command, "agent_message": report.message},
        on_error=report.retry,
        on_turn_completed=report.completed,
    )
    thread = Codex().start_thread(ThreadOptions(sandbox_mode="read-only", skip_git_repo_check=True))
    turn = await thread.run_with_hooks("How many files are in this directory?", hooks=hooks)
    print(f"{report.events} events, {len(turn.items)} items")


asyncio.run(main())
