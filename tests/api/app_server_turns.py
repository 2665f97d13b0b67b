"""A fake app-server with turns, for the tests of turn sessions and of their requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

from codex_sdk import AppServerOptions
from codex_sdk.app_server import AppServerClient, RequestHandlers
from codex_sdk.testing import FakeAppServer
from codex_sdk.testing.app_server_messages import ClientRequest, ServerRequest

THREAD, OTHER = "t-1", "t-2"


class Turns:
    """The turns of a fake app-server and its client, each on a thread of its own."""

    def __init__(self, server: FakeAppServer, client: AppServerClient) -> None:
        self.server = server
        self.client = client
        self._numbers = count(1)
        server.on("turn/start", self._start)
        server.on("turn/interrupt", self.interrupt)

    async def _start(self, request: ClientRequest) -> dict[str, Any]:
        return await self.begin(request.params["threadId"], f"u-{next(self._numbers)}")

    async def begin(self, thread_id: str, turn_id: str) -> dict[str, Any]:
        """Tell that a turn has started, and return the answer to ``turn/start``."""
        turn = {"id": turn_id, "status": "inProgress", "items": []}
        await self.server.notify("turn/started", {"threadId": thread_id, "turn": turn})
        return {"turn": turn}

    async def interrupt(self, request: ClientRequest) -> dict[str, Any]:
        """End the turn that the client asks to be interrupted."""
        await self.end(request.params["threadId"], request.params["turnId"], "interrupted")
        return {}

    async def tell(self, method: str, thread_id: str, turn_id: str, **params: Any) -> None:
        """Notify the client of something in a turn."""
        await self.server.notify(method, {"threadId": thread_id, "turnId": turn_id, **params})

    async def say(self, thread_id: str, turn_id: str, text: str) -> None:
        """Say a piece of a message."""
        await self.tell("item/agentMessage/delta", thread_id, turn_id, itemId="i", delta=text)

    async def end(self, thread_id: str, turn_id: str, status: str = "completed") -> None:
        """End a turn."""
        turn = {"id": turn_id, "status": status, "items": [], "error": None}
        await self.server.notify("turn/completed", {"threadId": thread_id, "turn": turn})

    async def ask(self, method: str, thread_id: str, turn_id: str, **params: Any) -> Any:
        """Ask the client something about a turn, and return its answer."""
        return await (await self.begin_asking(method, thread_id, turn_id, **params)).answer()

    async def begin_asking(
        self, method: str, thread_id: str, turn_id: str, **params: Any
    ) -> ServerRequest:
        """Ask the client something about a turn."""
        common = {"threadId": thread_id, "turnId": turn_id, "itemId": "i", "startedAtMs": 0}
        return await self.server.begin_asking(method, {**common, **params})

    @property
    def interrupted(self) -> list[Any]:
        """What the client has asked to be interrupted."""
        return [call.params for call in self.server.requests if call.method == "turn/interrupt"]


@asynccontextmanager
async def turns(
    version: str = "0.163.0", *, handlers: RequestHandlers | None = None, **options: Any
) -> AsyncIterator[Turns]:
    """Connect a client and a server whose turns do what the test says."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(FakeAppServer(version=version))
        client = AppServerClient(
            AppServerOptions(**options), handlers=handlers, connect=server.connect
        )
        await stack.enter_async_context(client)
        yield Turns(server, client)
