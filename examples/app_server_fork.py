"""One conversation that goes on in two ways: a fork has the history of its thread, and a life of its own.

python examples/app_server_fork.py
"""

import asyncio

from codex_sdk import AppServerClient, protocol


async def main() -> None:
    async with AppServerClient() as client:
        # A typed call: the protocol's classes for params, and for results.
        started = await client.call(protocol.ThreadStartParams(cwd=".", sandbox="read-only"))
        original = started.thread.id
        print(await ask(client, original, "Think of a number, and tell me."))

        fork = (await client.thread_fork(original))["thread"]["id"]
        print(f"Original: {await ask(client, original, 'Double it.')}")
        print(f"Fork:     {await ask(client, fork, 'Square it.')}")

        page = await client.thread_list(limit=2)
        print(
            f"Stored: {sorted(thread['id'] for thread in page['data']) == sorted([original, fork])}"
        )


async def ask(client: AppServerClient, thread_id: str, prompt: str) -> str:
    await client.turn_start(thread_id, prompt)
    text = ""
    async for notification in client.notifications():
        payload = notification.payload
        if isinstance(payload, protocol.AgentMessageDeltaNotification):
            text += payload.delta
        elif isinstance(payload, protocol.TurnCompletedNotification):
            break
    return text


asyncio.run(main())
