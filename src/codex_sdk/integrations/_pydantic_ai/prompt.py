"""A conversation as one text: what a model is asked whose thread does not hold the conversation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_ai.tools import ToolDefinition

from .history import Item
from .tools import ToolChoice

__all__ = ["conversation_prompt"]

_ROLES: Mapping[str, str] = {"developer": "system", "user": "user", "assistant": "assistant"}

_ANSWER = (
    "Answer with a JSON object that has the keys tool_calls and final. To call tools, list the calls in "
    "tool_calls, leave final empty, and wait: the results come with the next message. Each call has an id "
    "of its own, the tool's name, and arguments: the JSON object that the tool takes, as a string. These "
    "tools are run for you; do not try to run them yourself."
)
_FINAL = "Once you need no tool any more, leave tool_calls empty and put your answer into final."
_ONLY_CALLS = (
    "Only a tool call is an answer here: tool_calls must not be empty, and final is ignored."
)
_ONE_CALL = "Call one tool at a time."


def conversation_prompt(
    items: Sequence[Item], *, instructions: str, choice: ToolChoice
) -> tuple[str, list[str]]:
    """Return the prompt for the model's next answer, and the URLs of the images in it, in order."""
    images: list[str] = []
    sections = [_section("instructions", instructions)] if instructions else []
    if choice.tools:
        sections += [_section("tools", _tools(choice)), _section("answer", _rules(choice))]
    conversation = [_section(title, text) for title, text in _entries(items, images)]
    if not sections and len(items) == 1 and items[0].get("role") == "user":
        return _joined(items[0]["content"], []), images  # a prompt that needs no setting
    return "\n\n".join([*sections, *conversation]), images


def _section(title: str, text: str) -> str:
    return f"[{title}]\n{text}"


def _tools(choice: ToolChoice) -> str:
    return "\n".join(json.dumps(_tool(tool), ensure_ascii=False) for tool in choice.tools)


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "parameters": tool.parameters_json_schema}


def _rules(choice: ToolChoice) -> str:
    rules = [_ANSWER, _ONLY_CALLS if choice.required else _FINAL]
    return " ".join(rules if choice.parallel else [*rules, _ONE_CALL])


def _entries(items: Sequence[Item], images: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the title and the text of each item, and put what it has of images into *images*."""
    names: dict[str, str] = {}
    for item in items:
        call_id = item.get("call_id", "")
        if item["type"] == "function_call":
            names[call_id] = item["name"]
            yield f"tool call {item['name']} {call_id}", item["arguments"]
        elif item["type"] == "function_call_output":
            title = f"tool result {names.get(call_id, '')} {call_id}".replace("  ", " ")
            yield title, _joined(item["output"], images)
        else:
            yield _ROLES[item["role"]], _joined(item["content"], images)


def _joined(content: str | list[Item], images: list[str]) -> str:
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for part in content:
        if part["type"] == "input_image":
            images.append(part["image_url"])
            texts.append(f"(image {len(images)})")
        else:
            texts.append(part["text"])
    return "\n\n".join(texts)
