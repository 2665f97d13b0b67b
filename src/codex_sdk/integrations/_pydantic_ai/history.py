"""PydanticAI's messages as items of OpenAI's Responses API, which is what a Codex thread is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    BinaryContent,
    CachePoint,
    CompactionPart,
    FilePart,
    ImageUrl,
    ModelMessage,
    ModelRequestPart,
    ModelResponsePart,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryFeedbackPart,
    SpeechPart,
    SystemPromptPart,
    TextContent,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)

__all__ = ["Item", "content_parts", "history_items", "instructions_text", "tool_output"]

Item = dict[str, Any]
"""A JSON object: an item of a conversation, or a part of an item's content."""


def history_items(messages: Sequence[ModelMessage]) -> list[Item]:
    """Return the items that stand for *messages*; equal histories give equal items.

    Thoughts are left out, since they are the model's own affair, and so are the marks that PydanticAI
    makes for itself.

    Raises:
        UserError: a message holds what Codex cannot be shown, or a text that cannot be encoded.
    """
    return [item for message in messages for part in message.parts for item in _items(part)]


def _items(part: ModelRequestPart | ModelResponsePart) -> Iterator[Item]:
    match part:
        case ToolReturnPart() | NativeToolReturnPart():
            yield _output(part.tool_call_id, tool_output(part))
        case ToolCallPart() | NativeToolCallPart():
            yield {
                "type": "function_call",
                "call_id": part.tool_call_id,
                "name": part.tool_name,
                "arguments": _encodable(part.args_as_json_str()),
            }
        case SpeechPart() | FilePart():
            raise UserError(f"Codex cannot be shown {type(part).__name__}")
        case _ if part.part_kind == "retry-prompt":
            yield from _legacy_retry(part)
        case _:
            yield from _messages(part)


def _messages(part: ModelRequestPart | ModelResponsePart) -> Iterator[Item]:
    match part:
        case SystemPromptPart() | CompactionPart():
            if part.content:
                yield _message("developer", [_text("input_text", part.content)])
        case UserPromptPart():
            yield _message("user", content_parts(part.content))
        case TextPart():
            if part.content:
                yield _message("assistant", [_text("output_text", part.content)])
        case RetryFeedbackPart():
            yield _message("user", [_text("input_text", part.model_response())])
        case _:
            return


def _legacy_retry(part: Any) -> Iterator[Item]:
    """Yield what a retry of a history without preparation says: the part's class is deprecated."""
    if part.tool_name is None:
        yield _message("user", [_text("input_text", part.model_response())])
    else:
        yield _output(part.tool_call_id, part.model_response())


def _output(call_id: str, output: str | list[Item]) -> Item:
    if isinstance(output, str):
        output = _encodable(output)
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def _message(role: str, content: list[Item]) -> Item:
    return {"type": "message", "role": role, "content": content}


def _text(kind: str, text: str) -> Item:
    return {"type": kind, "text": _encodable(text)}


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"Codex cannot be shown the lone surrogate at position {error.start} of {text!r:.100}; "
            "decode its source with errors='replace'"
        ) from error
    return text


def content_parts(content: str | Sequence[UserContent]) -> list[Item]:
    """Return the parts of a user's message.

    Raises:
        UserError: it holds something that is neither a text nor an image.
    """
    contents = [content] if isinstance(content, str) else content
    return [_content_part(part) for part in contents if not isinstance(part, CachePoint)]


def _content_part(content: Any) -> Item:
    match content:
        case str():
            return _text("input_text", content)
        case TextContent():
            return _text("input_text", content.content)
        case ImageUrl():
            return {"type": "input_image", "image_url": content.url}
        case BinaryContent() if content.is_image:
            return {"type": "input_image", "image_url": content.data_uri}
        case _:
            raise UserError(f"Codex takes texts and images, not {type(content).__name__}")


def tool_output(part: ToolReturnPart | NativeToolReturnPart) -> str | list[Item]:
    """Return what a tool gave back: a text, or the parts of it where there are images too."""
    parts = content_parts(part.content_items(mode="str"))
    if any(item["type"] == "input_image" for item in parts):
        return parts
    return part.model_response_str()


def instructions_text(messages: Sequence[ModelMessage], parts: Sequence[Any] | None) -> str:
    """Return the instructions that hold for a request: *parts*, or those of the newest message.

    Raises:
        UserError: they cannot be encoded.
    """
    if parts is not None:
        return _encodable("\n\n".join(part.content for part in parts if part.content))
    for message in reversed(messages):
        if message.kind == "request":
            return _encodable(message.instructions or "")
    return ""
