"""Codex as a tool of a PydanticAI agent, which hands over what has to be done in a repository.

The agent's own model is Codex too, so that one login will do; any other works as well:
AGENT_MODEL=openai:gpt-5 python examples/pydantic_ai_handoff.py
"""

import asyncio
import os

from pydantic_ai import Agent
from pydantic_ai.messages import ToolReturnPart

from codex_sdk import ThreadOptions
from codex_sdk.integrations.pydantic_ai import codex_handoff_tool
from codex_sdk.integrations.pydantic_ai_model import CodexModel


async def main() -> None:
    model = os.environ.get("CODEX_MODEL")
    tool = codex_handoff_tool(
        thread_options=ThreadOptions(
            model=model,
            sandbox_mode="workspace-write",
            skip_git_repo_check=True,
            working_directory=".",
        ),
        include_items=True,
        items_limit=20,
        timeout_seconds=600,
    )
    agent = Agent(
        os.environ.get("AGENT_MODEL") or CodexModel(thread_options=ThreadOptions(model=model)),
        tools=[tool],
        instructions="Hand work in the repository over by the codex_handoff tool. Then report.",
    )
    async with agent:
        result = await agent.run("Have a file NOTES.md written that says what this project does.")
    for message in result.all_messages():
        for part in message.parts:
            if isinstance(part, ToolReturnPart):
                for item in part.content["items"]:
                    print(f"- {item['type']}: {item.get('status', '')}")
    print(result.output)


if __name__ == "__main__":
    asyncio.run(main())
