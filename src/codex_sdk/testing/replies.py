"""The replies that a :class:`~codex_sdk.testing.ModelServer` gives: frozen values, made of steps.

A reply is one response of the model to one request. Codex asks again after each tool call, with the
tool's output, so that a turn in which the model runs a command takes two replies::

    ModelServer([Reply(Reasoning("Let me look."), RunCommand("ls")), "There are two files."])
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Union

import attrs

from ..events import Usage
from .gate import Gate

if TYPE_CHECKING:
    from .requests import ModelRequest

MAX_DELAY = 600.0
"""Ten minutes: longer than any test should take, so that a slip of the unit is an error."""

DEFAULT_USAGE = Usage(input_tokens=10, cached_input_tokens=0, output_tokens=5)
"""The tokens that a reply reports by default: some, so that a test which drops them can tell."""


def _initialize(value: object, **fields: object) -> None:
    """Do what the ``__init__`` that attrs writes does, for a frozen class with one of its own."""
    for name, content in fields.items():
        object.__setattr__(value, name, content)


def _between(lower: float, upper: float) -> Callable[[object, object, Any], None]:
    """Return an attrs validator for numbers in a range."""

    def validate(_: object, attribute: object, number: Any) -> None:
        if not lower <= number <= upper:
            raise ValueError(f"{number} is not between {lower} and {upper}")

    return validate


@attrs.frozen
class Delay:
    """The model thinks for this many seconds (at most ten minutes)."""

    seconds: float = attrs.field(validator=_between(0, MAX_DELAY))


@attrs.frozen
class Cut:
    """The response breaks off: the last step of a reply, or the last part of a message.

    The connection is closed in the middle; as the first step, before there is any response. With
    ``clean=True`` the HTTP response ends in due form, but before the model has said that it is complete.
    """

    clean: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen
class Failed:
    """The model reports ``response.failed``; the last step of a reply.

    Codex tries again at most codes, if it may (``retries`` of :meth:`ModelServer.codex_options`), but
    not at ``"context_length_exceeded"`` and ``"insufficient_quota"``, nor do newer CLIs at
    ``"invalid_prompt"``.
    """

    code: str = "server_error"
    message: str = "the model failed"


@attrs.frozen
class Incomplete:
    """The model stops early with ``response.incomplete``; the last step of a reply."""

    reason: str = "max_output_tokens"


def _check_parts(parts: tuple[object, ...]) -> None:
    for index, part in enumerate(parts):
        if not isinstance(part, (str, Delay, Gate, Cut)):
            raise TypeError(
                f"a part of a message is a string, Delay, Gate or Cut, not {part!r:.100}"
            )
        if isinstance(part, Cut) and index + 1 < len(parts):
            raise ValueError("nothing can follow Cut(), which ends the reply")


@attrs.frozen(init=False)
class Message:
    """A message of the model. Each string is sent as a delta of its own.

    Delays and gates may stand between the strings, and a cut at the end:
    ``Message("Hel", Delay(0.1), "lo")``.
    """

    parts: tuple[Union[str, Delay, Gate, Cut], ...]

    def __init__(self, *parts: Union[str, Delay, Gate, Cut]) -> None:
        _check_parts(parts)
        _initialize(self, parts=parts)

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(part for part in self.parts if isinstance(part, str))


@attrs.frozen
class Reasoning:
    """The summary of a piece of reasoning.

    Codex takes a first line in ``**bold**`` for its title.
    """

    summary: str


@attrs.frozen
class FunctionCall:
    """The model calls a tool that takes JSON arguments.

    Attributes:
        name: the tool's name, as in the request's ``tools``.
        arguments: the arguments; a string is sent as it is, whether it is JSON or not.
        namespace: the namespace that holds the tool, if one does.
        call_id: under what id the output comes back; by default a new one.
    """

    name: str
    arguments: Union[Mapping[str, Any], str] = attrs.field(factory=dict[str, Any])
    namespace: str | None = attrs.field(default=None, kw_only=True)
    call_id: str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class CustomToolCall:
    """The model calls a tool that takes free text, such as ``apply_patch``.

    Attributes:
        name: the tool's name, as in the request's ``tools``.
        input: the text.
        namespace: the namespace that holds the tool, if one does.
        call_id: under what id the output comes back; by default a new one.
    """

    name: str
    input: str
    namespace: str | None = attrs.field(default=None, kw_only=True)
    call_id: str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class RunCommand:
    """The model runs a shell command, with whichever tool for that the request offers.

    Attributes:
        command: a line for the shell.
        workdir: where to run it; by default in the thread's working directory.
        timeout: for how many seconds the call waits for the command; by default ten. CLIs before
            0.100 then kill the command. Newer ones let it run on in the background, where it is never
            reported as completed, and wait for half a minute at the most.
    """

    command: str
    workdir: str | None = attrs.field(default=None, kw_only=True)
    timeout: float | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class AddFile:
    """A new file, as part of a patch. Codex ends its last line with a newline in any case."""

    path: str
    content: str


@attrs.frozen
class UpdateFile:
    """A changed file, as part of a patch: the lines *old*, found once in it, become the lines *new*."""

    path: str
    old: str
    new: str


@attrs.frozen
class DeleteFile:
    """A deleted file, as part of a patch."""

    path: str


FileChange = Union[AddFile, UpdateFile, DeleteFile]


@attrs.frozen(init=False)
class ApplyPatch:
    r"""The model edits files, with whichever tool for that the request offers.

    Takes changes, as in ``ApplyPatch(AddFile("a.txt", "A\n"), DeleteFile("b.txt"))``, or one string: a
    patch in Codex's own format, sent as it is.
    """

    changes: tuple[Union[FileChange, str], ...]

    def __init__(self, *changes: Union[FileChange, str]) -> None:
        if not changes:
            raise ValueError("a patch needs a change")
        if len(changes) > 1 and any(isinstance(change, str) for change in changes):
            raise TypeError("a patch is one string, or changes: AddFile, UpdateFile, DeleteFile")
        _initialize(self, changes=changes)


@attrs.frozen
class CallMcpTool:
    """The model calls a tool of an MCP server that Codex is configured with.

    The tool's name differs by CLI and model; this finds it.
    """

    server: str
    tool: str
    arguments: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen
class WebSearch:
    """The model has searched the web (which it does by itself: no output comes back)."""

    query: str


@attrs.frozen
class OutputItem:
    """Any other item of the Responses API's ``output``, sent as it is."""

    item: Mapping[str, Any]


def _has_type(_: object, attribute: object, event: Mapping[str, Any]) -> None:
    if not isinstance(event.get("type"), str):
        raise ValueError(f"an event of the Responses API has a 'type', unlike {event!r:.100}")


@attrs.frozen
class ServerEvent:
    """Any other event of the Responses API's stream, sent as it is. It must have a ``"type"``."""

    event: Mapping[str, Any] = attrs.field(validator=_has_type)


ToolCall = Union[FunctionCall, CustomToolCall, RunCommand, ApplyPatch, CallMcpTool]
Output = Union[Message, Reasoning, ToolCall, WebSearch, OutputItem]
Ending = Union[Failed, Incomplete, Cut]
Step = Union[str, Output, ServerEvent, Delay, Gate, Ending]

_STEP_TYPES = (
    str,
    Message,
    Reasoning,
    FunctionCall,
    CustomToolCall,
    RunCommand,
    ApplyPatch,
    CallMcpTool,
    WebSearch,
    OutputItem,
    ServerEvent,
    Delay,
    Gate,
    Failed,
    Incomplete,
    Cut,
)


def ends_reply(step: Step) -> bool:
    """Say whether nothing can follow *step*, not even the completion of the response."""
    if isinstance(step, Message):
        return bool(step.parts) and isinstance(step.parts[-1], Cut)
    return isinstance(step, (Failed, Incomplete, Cut))


def _check_steps(steps: tuple[object, ...]) -> None:
    for index, step in enumerate(steps):
        if not isinstance(step, _STEP_TYPES):
            raise TypeError(f"a step of a reply is a string or one of the steps, not {step!r:.100}")
        if ends_reply(step) and index + 1 < len(steps):
            raise ValueError(f"nothing can follow {step!r}, which ends the reply")


@attrs.frozen(init=False)
class Reply:
    """One response of the model: its steps, in order, and the tokens that it reports.

    A string is short for a :class:`Message`. Without an ending of its own (``Failed``, ``Incomplete``,
    ``Cut``), the response ends as complete. ``usage=None``: no tokens are reported.
    """

    steps: tuple[Step, ...]
    usage: Usage | None

    def __init__(self, *steps: Step, usage: Usage | None = DEFAULT_USAGE) -> None:
        _check_steps(steps)
        _initialize(self, steps=steps, usage=usage)


@attrs.frozen
class HttpReply:
    """A plain HTTP response instead of a stream: what a server in trouble, or a proxy, answers.

    Attributes:
        status: the HTTP status.
        body: a mapping is sent as JSON; a string or bytes as they are. By default an error object in
            the form of OpenAI's.
        headers: further headers, or other values for the usual ones.
    """

    status: int = attrs.field(validator=_between(200, 599))
    body: Union[Mapping[str, Any], str, bytes, None] = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], kw_only=True)


ReplyLike = Union[Step, Reply, HttpReply]
"""A reply, or the only step of one."""

Responder = Callable[["ModelRequest"], Union[ReplyLike, Awaitable[ReplyLike]]]
"""Makes the reply to a request: a plain or an async function, called in the server's event loop."""

ScriptEntry = Union[ReplyLike, Responder]
"""What answers one request."""

Conversation = Union[ReplyLike, Responder, Iterable[ScriptEntry]]
"""What answers the requests of a conversation.

Each entry of an iterable (a list, or a generator, which is asked as the requests come) answers one
request, a reply by itself answers one too, and a function by itself answers all."""

Script = Union[Conversation, Mapping[str, Conversation]]
"""What answers the requests that a server gets: all of them, or by a marker that their prompt contains."""


def is_reply(value: object) -> bool:
    """Say whether *value* is a reply or a step of one."""
    return isinstance(value, (Reply, HttpReply, *_STEP_TYPES))


def as_reply(value: ReplyLike) -> Union[Reply, HttpReply]:
    """Return *value* as a reply.

    Raises:
        TypeError: it is none, and no step of one.
    """
    if isinstance(value, (Reply, HttpReply)):
        return value
    if is_reply(value):
        return Reply(value)
    raise TypeError(f"a reply is a string, a step, a Reply or an HttpReply, not {value!r:.100}")
