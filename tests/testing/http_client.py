"""A small HTTP client: what a test sends to a server, and what comes back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
import attrs
import h11
from anyio.abc import ByteStream


@attrs.frozen
class Response:
    """A response as it came; ``complete`` tells whether it ended in due form."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[dict[str, Any]]:
        """Return the server-sent events."""
        blocks = self.body.decode().split("\n\n")
        return [json.loads(block.split("data: ", 1)[1]) for block in blocks if block]

    def text(self) -> str:
        """Return the text deltas, joined."""
        return "".join(
            event["delta"]
            for event in self.events()
            if event["type"] == "response.output_text.delta"
        )


class Client:
    """One connection."""

    def __init__(self, stream: ByteStream, host: str) -> None:
        self.stream = stream
        self._host = host
        self._h11 = h11.Connection(h11.CLIENT)

    async def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = {}
    ) -> None:
        all_headers = {"host": self._host, "content-length": str(len(body)), **headers}
        request = h11.Request(method=method, target=path, headers=list(all_headers.items()))
        for event in (request, h11.Data(data=body), h11.EndOfMessage()):
            await self.stream.send(self._h11.send(event) or b"")

    async def receive(self) -> Response | None:
        """Return the next response; ``None`` where the connection ends without one."""
        head = await self._next_event()
        if not isinstance(head, h11.Response):
            return None
        body = b""
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
        headers = {name.decode(): value.decode() for name, value in head.headers}
        complete = isinstance(event, h11.EndOfMessage)
        if complete and self._h11.our_state is h11.DONE:
            self._h11.start_next_cycle()
        return Response(head.status_code, headers, body, complete)

    async def _next_event(self) -> Any:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            try:
                data = await self.stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                data = b""
            try:
                self._h11.receive_data(data)
                if not data:
                    return self._h11.next_event()
            except h11.RemoteProtocolError:
                return None
        return event


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """Connect to the server at *url*."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    async with await anyio.connect_tcp(parts.hostname, parts.port) as stream:
        yield Client(stream, parts.netloc)


async def ask(url: str, prompt: str = "hello") -> Response | None:
    """Send one request to the model, and return the response."""
    async with connected(url) as client:
        await client.send("POST", "/v1/responses", body_of(prompt))
        return await client.receive()


async def ask_for_text(url: str, prompt: str = "hello") -> str:
    """Send one request to the model, and return the text of the answer."""
    response = await ask(url, prompt)
    assert response is not None
    assert response.status == 200, response.body
    return response.text()


def body_of(prompt: str) -> bytes:
    """Return a request with *prompt*, as Codex sends it."""
    content = [{"type": "input_text", "text": prompt}]
    message = {"type": "message", "role": "user", "content": content}
    return json.dumps({"model": "a-model", "input": [message], "stream": True}).encode()
