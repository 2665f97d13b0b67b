"""Which reply answers which request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from inspect import isawaitable
from itertools import chain, repeat
from typing import Union, cast

from .replies import (
    Conversation,
    HttpReply,
    Reply,
    ReplyLike,
    Script,
    ScriptEntry,
    as_reply,
    is_reply,
)
from .requests import ModelRequest

__all__ = ["Playbook", "exhausted_reply"]


def exhausted_reply(request: ModelRequest) -> HttpReply:
    """Return an answer that ends the turn at once and says why: Codex does not repeat a bad request."""
    message = (
        "the script of ModelServer has no reply left "
        f"for request {request.number}, whose prompt is {request.prompt!r:.200}"
    )
    return HttpReply(400, message)  # a CLI shows the body as it is


class Playbook:
    """The script of a server as it stands: each conversation's entries that are not used yet.

    A request belongs to the conversation whose marker is in the latest of its user texts that holds a
    marker at all; to the one without a marker where none does.
    """

    def __init__(self, script: Script, exhausted: Conversation) -> None:
        self._exhausted = exhausted
        self._unmarked: Iterator[ScriptEntry] = iter(())
        self._marked: dict[str, Iterator[ScriptEntry]] = {}
        if isinstance(script, Mapping):
            for marker, conversation in cast("Mapping[str, Conversation]", script).items():
                self.extend(conversation, when=marker)
        else:
            self.extend(script)

    def extend(self, conversation: Conversation, *, when: str | None = None) -> None:
        """Have *conversation* follow what the one with the marker *when* has left."""
        entries = _entries(conversation)
        if when is None:
            self._unmarked = chain(self._unmarked, entries)
        else:
            self._marked[when] = chain(self._marked.get(when, ()), entries)

    async def reply_to(self, request: ModelRequest) -> Union[Reply, HttpReply]:
        """Return the next reply of the conversation to which *request* belongs.

        Raises:
            Exception: what a function or a generator of the script raised.
        """
        entry = next(self._conversation(request), None)
        if entry is None:
            entry = next(_entries(self._exhausted), exhausted_reply)
        if not callable(entry):
            return as_reply(entry)
        reply = entry(request)
        if isawaitable(reply):
            reply = await reply
        return as_reply(reply)

    def _conversation(self, request: ModelRequest) -> Iterator[ScriptEntry]:
        for text in reversed(request.user_texts()):
            for marker, entries in self._marked.items():
                if marker in text:
                    return entries
        return self._unmarked


def _entries(conversation: Conversation) -> Iterator[ScriptEntry]:
    if is_reply(conversation):
        return iter((cast("ReplyLike", conversation),))
    if callable(conversation):
        return repeat(conversation)
    if isinstance(conversation, (list, tuple)):
        for entry in cast("list[object]", conversation):
            _check_entry(entry)
    return iter(cast("Iterable[ScriptEntry]", conversation))


def _check_entry(entry: object) -> None:
    if not (is_reply(entry) or callable(entry)):
        raise TypeError(
            "an entry of a script is a string, a step, a Reply, an HttpReply or a function of the request, "
            f"not {entry!r:.100}"
        )
