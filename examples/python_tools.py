"""Functions of your program that Codex calls.

python examples/python_tools.py
"""

import asyncio
import sys
from typing import Annotated

from codex_sdk import Codex, CodexError, CodexOptions, ThreadOptions
from codex_sdk.tools import tool

ORDERS = {"A-17": {"item": "kettle", "shipped": False}, "A-18": {"item": "lamp", "shipped": True}}


# Codex is told the name, the docstring and the parameters. What it gives is checked against the types;
# what the function returns it is given as JSON.
@tool
def find_order(
    number: Annotated[str, "As printed on the invoice, such as A-17."],
) -> dict[str, object]:
    """Look up an order."""
    return ORDERS[number]  # the model is told of a KeyError, too


# An async function is cancelled when the turn ends; a plain one runs in a thread of its own.
@tool
async def ship_order(number: str, express: bool = False) -> str:
    """Ship an order that has not been shipped."""
    print(f"Shipping {number}{' by express' if express else ''}.")
    await asyncio.sleep(0.1)
    ORDERS[number]["shipped"] = True
    return "shipped"


async def main() -> None:
    options = ThreadOptions(sandbox_mode="read-only", skip_git_repo_check=True)
    async with Codex(CodexOptions(backend="app-server")) as codex:
        thread = codex.start_thread(options, tools=[find_order, ship_order])
        turn = await thread.run("Ship the orders A-17 and A-18, unless they are on their way.")
        print(turn.final_response)


try:
    asyncio.run(main())
except CodexError as error:
    sys.exit(f"{type(error).__name__}: {error}")
