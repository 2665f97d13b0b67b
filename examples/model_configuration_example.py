"""Choose the model, how much it thinks, and the endpoint that serves it.

python examples/model_configuration_example.py
CODEX_MODEL=… OPENAI_BASE_URL=https://… CODEX_API_KEY=… python examples/model_configuration_example.py
"""

import asyncio
import os

from codex_sdk import Codex, CodexOptions, ModelReasoningEffort, ThreadOptions

PROMPT = "What is the largest prime below 100? Answer with the number alone."
EFFORTS: tuple[ModelReasoningEffort, ...] = ("low", "high")


async def main() -> None:
    # Nothing of this need be given. What is None is left to the CLI's configuration and login; the key
    # reaches the CLI through its environment, never its command line.
    codex = Codex(
        CodexOptions(
            base_url=os.environ.get("OPENAI_BASE_URL"),
            api_key=os.environ.get("CODEX_API_KEY"),
        )
    )
    for effort in EFFORTS:
        thread = codex.start_thread(
            ThreadOptions(
                model=os.environ.get("CODEX_MODEL"),
                model_reasoning_effort=effort,
                web_search_mode="disabled",
                sandbox_mode="read-only",
                skip_git_repo_check=True,
            )
        )
        turn = await thread.run(PROMPT)
        print(f"{effort} effort: {turn.final_response}")
        if turn.usage:
            print(f"  {turn.usage.reasoning_output_tokens} tokens of reasoning")


asyncio.run(main())
