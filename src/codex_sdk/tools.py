"""Python functions that Codex calls during a turn."""

from __future__ import annotations

import base64
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, ParamSpec, TypeVar, Union, overload
from warnings import warn

import attrs

from ._core.tool_schema import LIMIT, signature_of, size_of, underlying
from .exceptions import CodexError, CodexWarning

__all__ = ["Tool", "ToolImage", "ToolSet", "Tools", "tool"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_RESERVED = "mcp__"


class Tool(Generic[P, R_co]):
    """A Python function that Codex can call; made by :func:`tool`.

    It can still be called like the function itself.

    Attributes:
        function: the function.
        name: what it is called in Codex.
        description: what the model is told of it.
        input_schema: the JSON Schema of its arguments, as the model is told.
        is_async: whether the function is an async one. Others run in worker threads.
    """

    def __init__(
        self,
        function: Callable[P, R_co],
        *,
        name: str | None = None,
        description: str | None = None,
    ) -> None:
        self.function: Callable[P, R_co] = function
        self.name: str = _name_of(function) if name is None else name
        _check_function(function, self.name)
        _check_name(self.name)
        self._signature = signature_of(function, self.name)
        self.description: str = _description_of(function) if description is None else description
        self.input_schema: Mapping[str, Any] = self._signature.schema
        self.is_async: bool = _is_async(function)
        _warn_of_size(self)
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.name}: {self.function!r}>"

    def read_arguments(self, arguments: object) -> dict[str, Any]:
        """Return the keyword arguments that *arguments*, a JSON object of the model's, stand for.

        Raises:
            CodexParseError: they do not satisfy the schema; the message names the place.
        """
        return self._signature.read(arguments)

    def to_dict(self) -> dict[str, Any]:
        """Return the tool as ``thread/start`` takes it, among its ``dynamicTools``."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "inputSchema": dict(self.input_schema),
        }


@overload
def tool(
    function: Callable[P, R_co], /, *, name: str | None = None, description: str | None = None
) -> Tool[P, R_co]: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None
) -> Callable[[Callable[P, R_co]], Tool[P, R_co]]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
) -> Any:
    """Make a function a tool: something that Codex can call during a turn.

    As in ``@tool``, ``@tool(name="look_up")`` or ``tool(catalogue.look_up)``::

        from typing import Annotated

        @tool
        async def weather(city: Annotated[str, "A city, with its country."], days: int = 1) -> str:
            \"\"\"Forecast the weather.\"\"\"

    The model is told the function's name, its docstring and its parameters. These need types: whatever an
    output type can be made of, and ``Any``. A parameter with a default may be left out. A text in
    ``Annotated[…]``, or the description of a ``msgspec.Meta`` or of a pydantic ``Field`` there, describes
    the parameter. What the model gives is validated and becomes the annotated types; where it does not
    fit, the function is not called, and the model is told what is wrong.

    The result is what the model reads: a string as it is; ``None`` as nothing; a :class:`ToolImage`, or a
    list with some in it, as images; anything else as JSON. An exception is told the model too, by its
    type and message, and the turn goes on.

    An async function runs in the event loop of the connection, and is cancelled when its turn ends. Any
    other runs in a thread, which nothing can stop: when its turn ends, it runs on, and its result is
    dropped.

    Args:
        function: the function, bound method, partial function or callable object.
        name: what it is called in Codex: at most 128 letters (of ASCII), digits, ``_`` and ``-``, not
            beginning with ``mcp__``. By default the function's own name.
        description: what the model is told of it. By default the function's docstring.

    Raises:
        CodexError: the name is not possible, or a parameter has no type, or one that JSON cannot give;
            the message says what to do.
    """
    if function is None:
        return functools.partial(tool, name=name, description=description)
    plain = function.function if isinstance(function, Tool) else function
    return Tool(plain, name=name, description=description)


def _name_of(function: Callable[..., Any]) -> str:
    of_partial = getattr(getattr(function, "func", None), "__name__", None)
    name = getattr(function, "__name__", of_partial)
    if not isinstance(name, str):
        raise CodexError(f"{function!r} has no name: give it one, tool(…, name=…)")
    return name


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise CodexError(
            f"{name!r} cannot be the name of a tool: that is made of at most 128 letters (of ASCII), "
            "digits, `_` and `-`; choose one with tool(name=…)"
        )
    if name.startswith(_RESERVED):
        raise CodexError(
            f"{name!r} cannot be the name of a tool: Codex keeps {_RESERVED} for tools of MCP servers; "
            "choose another with tool(name=…)"
        )


def _check_function(function: object, name: str) -> None:
    if not callable(function):
        raise CodexError(f"{name}: a tool is made of a function, not of {function!r}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise CodexError(f"{name}: a tool has one result: return a list instead of yielding items")


def _is_async(function: Callable[..., Any]) -> bool:
    """Whether a function, a callable object or a static method is async."""
    parts = (function, type(function).__call__, getattr(function, "__func__", None))
    return any(inspect.iscoroutinefunction(part) for part in parts)


def _description_of(function: Callable[..., Any]) -> str:
    return inspect.cleandoc(underlying(function).__doc__ or "")


def _warn_of_size(new: Tool[..., Any]) -> None:
    size = size_of(new.input_schema)
    if size > LIMIT:
        message = (
            f"the schema of the tool {new.name} is {size} bytes long; from one of more than {LIMIT}, Codex "
            "drops all descriptions and then definitions before the model sees it: "
            "give it fewer parameters, simpler ones, or shorter descriptions"
        )
        warn(message, CodexWarning, stacklevel=4)


@attrs.frozen
class ToolImage:
    """An image, as the result of a tool or as a part of that.

    Attributes:
        url: where the model finds it: ``data:``, with the image itself, or ``https:``.
    """

    url: str = attrs.field(repr=lambda url: f"{url[:40]!r}…" if len(url) > 40 else repr(url))

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str = "image/png") -> ToolImage:
        """Return the image whose file holds *data*."""
        return cls(f"data:{media_type};base64,{base64.b64encode(data).decode()}")


class ToolSet:
    """The tools of a thread.

    Attributes:
        tools: the tools, by name.
        max_concurrent_calls: how many of them may run at once on one connection; further calls wait.
    """

    def __init__(self, tools: Iterable[Tool[..., Any]], *, max_concurrent_calls: int = 8) -> None:
        """Make a set of *tools*.

        Eight at once is as many as a model asks for in one breath, and few enough for the threads of
        functions that are not async.

        Raises:
            CodexError: one of them is no tool, two have one name, or no call may ever run.
        """
        if max_concurrent_calls < 1:
            raise CodexError(f"max_concurrent_calls is at least 1, not {max_concurrent_calls}")
        by_name: dict[str, Tool[..., Any]] = {}
        for one in tools:
            _check_tool(one)
            if one.name in by_name:
                raise CodexError(f"two tools are called {one.name}: rename one, tool(…, name=…)")
            by_name[one.name] = one
        self.tools: Mapping[str, Tool[..., Any]] = by_name
        self.max_concurrent_calls = max_concurrent_calls

    @classmethod
    def of(cls, tools: Tools) -> ToolSet:
        """Return *tools* as a set."""
        return tools if isinstance(tools, ToolSet) else cls(tools)

    def __iter__(self) -> Iterator[Tool[..., Any]]:
        return iter(self.tools.values())

    def __len__(self) -> int:
        return len(self.tools)

    def __repr__(self) -> str:
        return f"<ToolSet: {', '.join(self.tools)}>"

    def to_list(self) -> list[dict[str, Any]]:
        """Return the tools as ``thread/start`` takes them for its ``dynamicTools``."""
        return [one.to_dict() for one in self]


def _check_tool(one: object) -> None:
    if isinstance(one, Tool):
        return
    remedy = "decorate it with @tool, or pass tool(…)" if callable(one) else "make one with @tool"
    raise CodexError(f"{one!r} is no tool: {remedy}")


Tools = Union[ToolSet, Iterable[Tool[..., Any]]]
"""What a thread may be given for its tools."""
