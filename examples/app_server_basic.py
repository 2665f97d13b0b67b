"""A turn on an app-server: the text as it is written, and what else the server tells.

python examples/app_server_basic.py "What is in this directory?"
"""

import asyncio
import sys

from codex_sdk import AppServerClient, AppServerOptions


async def main() -> None:
    prompt = " ".join(sys.argv[1:]) or "What is in this directory?"
    # The server runs as long as the block, and serves any number of threads. A request that it does
    # not answer within a minute raises AppServerTimeoutError.
    async with AppServerClient(AppServerOptions(request_timeout=60)) as client:
        print(f"Codex {client.server_info.version}")
        started = await client.thread_start(cwd=".", sandbox="read-only")
        thread_id = started["thread"]["id"]
        print(f"Thread {thread_id}, model {started['model']}")

        await client.turn_start(thread_id, prompt)  # answers at once; the turn goes on
        async for notification in client.notifications():
            if notification.method == "item/agentMessage/delta":
                print(notification.params["delta"], end="", flush=True)
            elif notification.method == "turn/completed":
                print(f"\nThe turn is {notification.params['turn']['status']}.")
                break


asyncio.run(main())
