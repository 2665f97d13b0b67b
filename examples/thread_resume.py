"""Go on with an earlier conversation: the one that CODEX_THREAD_ID names, or the last one.

python examples/thread_resume.py
CODEX_THREAD_ID=… python examples/thread_resume.py
"""

import asyncio
import os
import sys

from codex_sdk import Codex, CodexError, ThreadOptions


async def main() -> None:
    codex = Codex()
    # Codex keeps what was said, not the options: a thread that is resumed needs its options again.
    options = ThreadOptions(sandbox_mode="read-only", skip_git_repo_check=True)
    try:
        if thread_id := os.environ.get("CODEX_THREAD_ID"):
            thread = codex.resume_thread(thread_id, options)
        else:
            thread = codex.resume_last_thread(options)
        turn = await thread.run("Where were we? Answer in one sentence.")
    except CodexError as error:  # no such thread, among other things
        sys.exit(f"{type(error).__name__}: {error}")
    print(f"Thread {thread.id}")
    print(turn.final_response)


asyncio.run(main())
