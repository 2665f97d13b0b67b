"""Images of a conversation as files, which is how ``codex exec`` takes them."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from mimetypes import guess_extension
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import anyio
from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
)
from pydantic_ai.models import download_item

__all__ = ["image_files", "with_images"]


async def with_images(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Return *messages*, with the images themselves instead of links to them.

    Raises:
        ValueError: an address is one that PydanticAI does not load from.
    """
    return [
        replace(message, parts=[await _with_images(part) for part in message.parts])
        if message.kind == "request"
        else message
        for message in messages
    ]


async def _with_images(part: Any) -> Any:
    if part.part_kind not in ("user-prompt", "tool-return"):
        return part
    content = part.content
    if isinstance(content, (list, tuple)):
        return replace(part, content=[await _loaded(each) for each in cast("list[Any]", content)])
    return replace(part, content=await _loaded(content))


async def _loaded(content: Any) -> Any:
    if not isinstance(content, ImageUrl) or content.url.startswith("data:"):
        return content
    item = await download_item(content, data_format="bytes")
    return BinaryContent(data=item["data"], media_type=item["data_type"])


@asynccontextmanager
async def image_files(urls: Sequence[str]) -> AsyncGenerator[list[Path], None]:
    """Give files with what the ``data:`` URLs hold, for as long as the block lasts."""
    if not urls:
        yield []
        return
    async with anyio.TemporaryDirectory(prefix="codex-sdk-images-") as folder:
        yield [await _write(Path(folder), number, url) for number, url in enumerate(urls, 1)]


async def _write(folder: Path, number: int, url: str) -> Path:
    head, _, payload = url.removeprefix("data:").partition(",")
    media_type = head.partition(";")[0]
    data = b64decode(payload) if head.endswith(";base64") else unquote_to_bytes(payload)
    path = folder / f"image-{number}{guess_extension(media_type) or '.png'}"
    await anyio.Path(path).write_bytes(data)
    return path
