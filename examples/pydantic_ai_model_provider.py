"""Codex as the model of a PydanticAI agent: Codex decides which tools to call, PydanticAI calls them.

python examples/pydantic_ai_model_provider.py
"""

import asyncio
import os

from pydantic import BaseModel
from pydantic_ai import Agent, RunContext

from codex_sdk import ThreadOptions
from codex_sdk.integrations.pydantic_ai_model import CodexModel


class Forecast(BaseModel):
    city: str
    degrees: float
    advice: str


async def main() -> None:
    # Codex itself reads, and no more than that: see the documentation for what is safe by default.
    model = CodexModel(thread_options=ThreadOptions(model=os.environ.get("CODEX_MODEL")))
    agent = Agent(
        model,
        deps_type=dict[str, float],
        output_type=Forecast,
        instructions="Give advice on what to wear. Look the temperature up.",
    )

    @agent.tool
    def temperature(ctx: RunContext[dict[str, float]], city: str) -> float:
        """Return the temperature in a city, in degrees Celsius."""
        return ctx.deps[city]

    async with agent:  # keeps the Codex server for all runs in the block
        for city in ("Oslo", "Lisbon"):
            result = await agent.run(f"I travel to {city}.", deps={"Oslo": -4.0, "Lisbon": 21.5})
            print(f"{result.output.city}, {result.output.degrees} °C: {result.output.advice}")


if __name__ == "__main__":
    asyncio.run(main())
