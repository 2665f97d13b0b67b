"""What a PydanticAI agent with Codex as its model does, as it happens: thoughts, tools and texts.

python examples/pydantic_ai_streaming.py What is 19 + 23?
"""

import asyncio
import os
import sys

from pydantic_ai import (
    Agent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
)

from codex_sdk import ThreadOptions
from codex_sdk.integrations.pydantic_ai_model import CodexModel


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def show(event: object) -> None:
    match event:
        case PartStartEvent(part=ThinkingPart(content=text)):
            print(f"~ {text}")
        case PartStartEvent(part=TextPart(content=text)):
            print(text, end="", flush=True)
        case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
            print(text, end="", flush=True)
        case FunctionToolCallEvent(part=call):
            print(f"> {call.tool_name}({call.args_as_json_str()})")
        case FunctionToolResultEvent(part=result):
            print(f"< {result.content}")
        case _:
            return


async def main(prompt: str) -> None:
    options = ThreadOptions(model=os.environ.get("CODEX_MODEL"))
    async with CodexModel(thread_options=options) as model:
        async with Agent(model, tools=[add]).run_stream_events(prompt) as events:
            async for event in events:
                show(event)
    print()


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "What is 19 + 23? Use the tool."))
