"""The requests that a :class:`~codex_sdk.testing.ModelServer` has received, as values."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import attrs

__all__ = ["InputImage", "ModelRequest", "ToolOutput"]

Json = Any
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})


class Headers(dict[str, str]):
    """HTTP headers, by their names in lower case. ``repr()`` hides the values of the secret ones."""

    def __repr__(self) -> str:
        shown = {name: "<secret>" if name in _SECRET_HEADERS else self[name] for name in self}
        return repr(shown)


@attrs.frozen
class ToolOutput:
    """What Codex answered to a tool call: the texts of the answer, joined."""

    call_id: str
    text: str


@attrs.frozen
class InputImage:
    """An image that the model was shown, by its URL: as a rule one that holds the data itself."""

    url: str = attrs.field(repr=lambda url: f"{url[:40]!r}…" if len(url) > 40 else repr(url))

    @property
    def media_type(self) -> str:
        """Such as ``"image/png"``; ``""`` where the URL does not say."""
        if not self.url.startswith("data:"):
            return ""
        return self.url[len("data:") :].partition(",")[0].partition(";")[0]

    @property
    def data(self) -> bytes:
        """The image file's content.

        Raises:
            ValueError: the URL refers to the image instead of holding it.
        """
        head, comma, payload = self.url.partition(",")
        if not (head.startswith("data:") and comma):
            raise ValueError(f"this image is not in the request: {self.url}")
        return b64decode(payload) if head.endswith(";base64") else unquote_to_bytes(payload)


@attrs.frozen(eq=False, kw_only=True, repr=False)
class ModelRequest:
    """One request of Codex to the model.

    Everything that Codex knows of the conversation is in each request: the texts and outputs of earlier
    turns too, in order.

    Attributes:
        number: 1 for the first request that the server received, and so on.
        method: the HTTP method.
        path: the URL's path and query.
        headers: by their names in lower case. ``repr()`` hides the values of the secret ones.
        json: the body; ``None`` if there was none.
    """

    number: int
    method: str
    path: str
    headers: Mapping[str, str] = attrs.field(converter=Headers)
    json: Json = None

    def __repr__(self) -> str:
        start = f"<ModelRequest {self.number}: {self.method} {self.path}"
        return (
            f"{start}, model {self.model!r}, prompt {self.prompt!r:.200}>"
            if self.model
            else f"{start}>"
        )

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self._body.get("model") or "")

    @property
    def instructions(self) -> str:
        """The base instructions. Newer CLIs send some models these as the first developer message."""
        instructions = self._body.get("instructions")
        return (
            instructions if isinstance(instructions, str) else "".join(self.developer_texts()[:1])
        )

    @property
    def prompt(self) -> str:
        """The last of the user's texts: the prompt of the turn.

        Codex puts texts of its own before it, in the user's name: its environment, ``AGENTS.md``.
        """
        return next(reversed(self.user_texts()), "")

    @property
    def output_schema(self) -> Json:
        """The JSON Schema that the answer must satisfy, or ``None``."""
        return _within(self.json, "text", "format", "schema")

    def user_texts(self) -> tuple[str, ...]:
        """Return the texts of the user's messages, in order; what Codex adds in their name included."""
        return self._texts("user", "input_text")

    def developer_texts(self) -> tuple[str, ...]:
        """Return the texts of the developer messages, which Codex writes, in order."""
        return self._texts("developer", "input_text")

    def assistant_texts(self) -> tuple[str, ...]:
        """Return the texts of the model's own earlier messages, in order."""
        return self._texts("assistant", "output_text")

    def images(self) -> tuple[InputImage, ...]:
        """Return the images in the user's messages, in order."""
        return tuple(
            InputImage(part["image_url"])
            for part in self._parts("user")
            if part.get("type") == "input_image" and isinstance(part.get("image_url"), str)
        )

    def function_outputs(self) -> tuple[ToolOutput, ...]:
        """Return what Codex answered to the model's tool calls so far, in order."""
        return tuple(
            ToolOutput(str(item.get("call_id")), _output_text(item.get("output")))
            for item in self.items()
            if str(item.get("type")).endswith("_output") and item.get("call_id") is not None
        )

    def tool_names(self) -> tuple[str, ...]:
        """Return the names of the tools that the model may call.

        A tool in a namespace is ``"namespace.tool"``; one without a name (``web_search``) goes by its type.
        """
        return tuple(
            f"{namespace}.{name}" if namespace else name
            for namespace, tool in self.tools()
            if (name := str(tool.get("name") or tool.get("type")))
        )

    def tools(self) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
        """Yield each tool that the model may call, with the namespace that holds it, if one does."""
        yield from _flattened(self._body.get("tools"))
        for item in self.items():
            if item.get("type") == "additional_tools":
                yield from _flattened(item.get("tools"))

    def items(self) -> tuple[Mapping[str, Any], ...]:
        """Return the items of the request's ``input``: the conversation so far."""
        items = self._body.get("input")
        if isinstance(items, str):
            return ({"type": "message", "role": "user", "content": items},)
        return _mappings(items)

    @property
    def _body(self) -> Mapping[str, Any]:
        body: object = self.json
        return cast("Mapping[str, Any]", body) if isinstance(body, Mapping) else {}

    def _texts(self, role: str, kind: str) -> tuple[str, ...]:
        return tuple(
            str(part.get("text", "")) for part in self._parts(role) if part.get("type") == kind
        )

    def _parts(self, role: str) -> Iterator[Mapping[str, Any]]:
        for item in self.items():
            if item.get("role") == role:
                content = item.get("content")
                if isinstance(content, str):
                    yield {
                        "type": "output_text" if role == "assistant" else "input_text",
                        "text": content,
                    }
                yield from _mappings(content)


def _within(value: Json, *keys: str) -> Json:
    """Return what nested mappings hold under *keys*; ``None`` where one of them is missing."""
    for key in keys:
        value = cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else None
    return value


def _mappings(value: Json) -> tuple[Mapping[str, Any], ...]:
    """Return the mappings of a list; nothing where it is no list."""
    if not isinstance(value, list):
        return ()
    items = cast("list[object]", value)
    return tuple(cast("Mapping[str, Any]", item) for item in items if isinstance(item, Mapping))


def _flattened(tools: Json) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    for tool in _mappings(tools):
        if tool.get("type") == "namespace":
            for inner in _mappings(tool.get("tools")):
                yield str(tool.get("name")), inner
        else:
            yield None, tool


def _output_text(output: Json) -> str:
    if isinstance(output, str):
        return output
    return "".join(str(part.get("text", "")) for part in _mappings(output))
