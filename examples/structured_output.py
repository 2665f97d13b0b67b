"""Answers as data: checked against a JSON Schema, and built into a dataclass.

python examples/structured_output.py
"""

import asyncio
import sys
from dataclasses import dataclass
from typing import Literal

from codex_sdk import Codex, CodexParseError, Thread, ThreadOptions

# OpenAI's strict mode wants every object closed and every property required.
SUMMARY_SCHEMA = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "languages": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["summary", "languages"],
    "additionalProperties": False,
}


@dataclass
class Finding:
    file: str
    severity: Literal["low", "medium", "high"]
    advice: str


async def main() -> None:
    options = ThreadOptions(sandbox_mode="read-only", skip_git_repo_check=True)
    thread = Codex().start_thread(options)
    try:
        await summarize(thread)
        await review(thread)
    except CodexParseError as error:
        sys.exit(f"The answer is not what was asked for: {error}")


async def summarize(thread: Thread) -> None:
    result = await thread.run_json(
        "Look at this directory and summarize it.", output_schema=SUMMARY_SCHEMA
    )
    print("Summary:", result.output["summary"])
    print("Languages:", ", ".join(result.output["languages"]))


async def review(thread: Thread) -> None:
    # The schema is made from the type, in the form that strict mode wants.
    result = await thread.run_typed(
        "Review this directory. Report at most three findings.", output_type=list[Finding]
    )
    for finding in result.output:
        print(f"{finding.severity}: {finding.file}: {finding.advice}")


asyncio.run(main())
