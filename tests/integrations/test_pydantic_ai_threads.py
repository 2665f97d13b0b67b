"""How long the app-server keeps the threads of a model."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from pydantic_ai import Agent, ImageUrl

from codex_sdk.integrations._pydantic_ai import images
from codex_sdk.integrations.pydantic_ai_model import CodexModel
from codex_sdk.testing import ModelServer

from .conftest import asyncio_only
from .models import MakeModel, thread_ids


async def loaded(model: CodexModel) -> int:
    """Return how many threads the server has in its memory."""
    answer: Any = await model._servers.here()._client.request("thread/loaded/list", {})
    return len(answer["data"])


@asyncio_only
async def test_threads_that_are_given_up_leave_the_servers_memory(make_model: MakeModel) -> None:
    async with ModelServer(lambda _: "Hi.") as server, make_model(server, kept_threads=1) as model:
        agent = Agent(model)
        for _ in range(3):
            last = await agent.run("Go")
        with anyio.fail_after(20):
            while await loaded(model) != 1:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        again = await agent.run("Go on", message_history=last.all_messages())
    assert len(set(thread_ids(again.all_messages()))) == 1


@asyncio_only
async def test_an_image_that_cannot_be_had_costs_no_thread(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def download(item: ImageUrl, **_: Any) -> dict[str, Any]:
        raise LookupError(item.url)

    monkeypatch.setattr(images, "download_item", download)
    async with ModelServer(["One.", "Two."]) as server, make_model(server) as model:
        agent = Agent(model)
        first = await agent.run("Count")
        history = first.all_messages()
        with pytest.raises(LookupError, match="dot"):
            await agent.run([ImageUrl("https://example.org/dot.png")], message_history=history)
        second = await agent.run("Go on", message_history=history)
        assert await loaded(model) == 1
    assert len(set(thread_ids(second.all_messages()))) == 1
