"""Let a function decide what Codex may do.

python examples/app_server_approvals.py
"""

import asyncio
import re

from codex_sdk import ApprovalDecisions, AppServerClient, RequestHandlers
from codex_sdk.protocol import CommandExecutionRequestApprovalParams

HARMLESS = re.compile(r"\b(ls|cat|git status|touch)\b")


async def may_run(request: CommandExecutionRequestApprovalParams) -> str:
    # CLIs before 0.100 tell no command here: it was in the item/started notification before.
    allowed = request.command is not None and HARMLESS.search(request.command)
    answer = "accept" if allowed else "decline"
    print(f"{answer}: {request.command}")
    return answer


async def main() -> None:
    async with AppServerClient() as client:
        # The server asks before it runs anything that it does not know to be harmless.
        started = await client.thread_start(cwd=".", approval_policy="untrusted")
        async with client.turn_session(
            started["thread"]["id"],
            "Create the files a.txt and b.txt, and remove README.md.",
            approvals=ApprovalDecisions(file_change="decline"),
            handlers=RequestHandlers(on_command_approval=may_run, timeout=60),
        ) as session:
            async for text in session.text_deltas():
                print(text, end="", flush=True)
        print()
        print(session.final_turn["status"])


asyncio.run(main())
