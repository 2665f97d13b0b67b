"""A turn with a skill: instructions in a SKILL.md, which the model is given when the input names them.

python examples/app_server_skill_input.py [.agents/skills/greet/SKILL.md]
"""

import asyncio
import sys
from pathlib import Path

from codex_sdk import AppServerClient


async def main(skill: Path) -> None:
    name = skill.parent.name
    async with AppServerClient() as client:
        found = await client.skills_list(cwds=["."], force_reload=True)
        print(
            "Skills:", sorted(skill["name"] for entry in found["data"] for skill in entry["skills"])
        )

        started = await client.thread_start(cwd=".", sandbox="read-only")
        await client.turn_start(
            started["thread"]["id"],
            [
                {"type": "text", "text": f"Use ${name} with me."},
                {"type": "skill", "name": name, "path": skill},
            ],
        )
        async for notification in client.notifications():
            if notification.method == "item/agentMessage/delta":
                print(notification.params["delta"], end="", flush=True)
            elif notification.method == "turn/completed":
                print()
                break


def skill_file() -> Path:
    """Return the skill that is asked for; write it, if there is none."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else ".agents/skills/greet/SKILL.md").resolve()
    if not path.exists():
        path.parent.mkdir(parents=True)
        path.write_text(
            f"---\nname: {path.parent.name}\ndescription: Greets.\n---\nGreet the user in Latin.\n",
            encoding="utf-8",
        )
    return path


asyncio.run(main(skill_file()))
