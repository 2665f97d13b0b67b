"""Change the course of a turn while it runs, and end another one in the middle.

python examples/steer_and_interrupt.py
"""

import asyncio

from codex_sdk import Codex, CodexOptions, Thread, ThreadOptions, TurnFailedError


async def main() -> None:
    # One app-server for all turns of the block: it can be told things while a turn runs.
    async with Codex(CodexOptions(backend="app-server")) as codex:
        thread = codex.start_thread(ThreadOptions(sandbox_mode="read-only"))
        await steer(thread)
        await interrupt(thread)
        turn = await thread.run("What did I ask you to do?")
        print(turn.final_response)


async def steer(thread: Thread) -> None:
    async with thread.stream("Run `sleep 2`, then name a colour.") as stream:
        async for event in stream:
            if event.type == "item.started" and event.item.type == "command_execution":
                print(f"$ {event.item.command}")
                # The model gets this with the command's output.
                await thread.steer("Name an animal instead.")
            elif event.type == "item.updated" and event.delta is not None:
                print(event.delta, end="", flush=True)  # what is new of a message or of an output
        await stream.turn()
    print()


async def interrupt(thread: Thread) -> None:
    async with thread.stream("Run `sleep 600`.") as stream:
        async for event in stream:
            if event.type == "item.started" and event.item.type == "command_execution":
                print(f"$ {event.item.command}")
                await thread.interrupt()  # as any other task could
        try:
            await stream.turn()
        except TurnFailedError as error:
            print(f"The turn has ended: {error}")
    # By now its command has, too. Leaving the block early would have done the same.


asyncio.run(main())
