"""Two turns at the same time on one app-server, each with its own notifications.

python examples/app_server_turn_session.py
"""

import anyio

from codex_sdk import ApprovalDecisions, AppServerClient, AppServerOptions


async def follow(client: AppServerClient, prompt: str) -> None:
    thread = await client.thread_start(cwd=".", approval_policy="on-request")
    async with client.turn_session(
        thread["thread"]["id"],
        prompt,
        approvals=ApprovalDecisions(command_execution="accept", file_change="accept_for_session"),
    ) as session:
        words = 0
        async for notification in session.notifications():
            if notification.method == "item/agentMessage/delta":
                words += 1
            elif notification.method == "item/started":
                print(f"{prompt} {notification.params['item']['type']}")
        turn = await session.wait()
    print(f"{prompt} {turn['status']}, in {words} pieces")


async def main() -> None:
    async with AppServerClient(AppServerOptions(request_timeout=60)) as client:
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(follow, client, "What is here?")
            task_group.start_soon(follow, client, "Who are you?")


anyio.run(main)
