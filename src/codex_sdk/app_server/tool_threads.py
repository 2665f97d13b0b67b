"""Threads whose tools are Python functions."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from .._runtime.app_server_connection import AppServerConnection
from .._runtime.tool_calls import check_tools_can_be_used
from ..exceptions import CodexError
from ..tools import Tools, ToolSet
from .methods import AppServerMethods

__all__ = ["ToolThreads"]


class ToolThreads(AppServerMethods):
    """Methods that make or load threads, which may have functions for tools.

    Codex calls these functions during the turns of the thread, however the turns are started. Which tools a
    thread has is settled when it is started, and stored with it: what a thread is resumed or forked with are
    the functions for those that it has, found by their names. Of a connection's threads, the few thousand
    that were used last keep their functions, unless they are deleted.
    """

    @abstractmethod
    def _connection(self) -> AppServerConnection:
        """Return the connection; CodexError, if there is none."""

    async def thread_start(self, *, tools: Tools | None = None, **params: Any) -> dict[str, Any]:
        """``thread/start``: Start a thread; the result holds it as ``thread``.

        Takes the fields of ``protocol.ThreadStartParams``, and Python functions as *tools* of the thread
        (see :func:`codex_sdk.tools.tool`), in place of ``dynamic_tools``.

        Raises:
            CodexError: as :meth:`AppServerClient.request` does; the *tools* are none, or two have one name;
                the client was not made with ``experimental_api_enabled=True``, or the CLI that is connected
                has no such tools.
        """
        given = self._usable(tools)
        if given is not None:
            if params.get("dynamic_tools") is not None:
                raise CodexError("thread_start() takes either tools or dynamic_tools, not both")
            params["dynamic_tools"] = given.to_list()
        result = await super().thread_start(**params)
        self._register("thread/start", result, given)
        return result

    async def thread_resume(
        self, thread_id: str, *, tools: Tools | None = None, **params: Any
    ) -> dict[str, Any]:
        """``thread/resume``: Load a stored thread.

        Takes the other fields of ``protocol.ThreadResumeParams``, and the functions for the *tools* that the
        thread was started with. Without them the calls of these tools fail, unless the thread was started
        or resumed with them on this connection before.

        Raises:
            CodexError: as :meth:`thread_start` does.
        """
        given = self._usable(tools)
        if given is None:
            return await super().thread_resume(thread_id, **params)
        registry = self._connection().tools
        before = registry.tools_of(thread_id)
        registry.register(thread_id, given)  # a loaded thread may run a turn that calls at once
        try:
            return await super().thread_resume(thread_id, **params)
        except BaseException:
            registry.register(thread_id, before)
            raise

    async def thread_fork(
        self, thread_id: str, *, tools: Tools | None = None, **params: Any
    ) -> dict[str, Any]:
        """``thread/fork``: Start a thread with the history of another.

        Takes the other fields of ``protocol.ThreadForkParams``. The new thread has the tools of the other;
        *tools* are the functions for them, by default those of the other thread.

        Raises:
            CodexError: as :meth:`thread_start` does.
        """
        given = self._usable(tools)
        registry = self._connection().tools
        result = await super().thread_fork(thread_id, **params)
        inherited = registry.tools_of(thread_id) if given is None else given
        self._register("thread/fork", result, inherited)
        return result

    def _register(self, method: str, result: object, tools: ToolSet | None) -> None:
        connection = self._connection()
        thread_id = connection.part_of(result, method, "thread", "id", of=str)
        connection.tools.register(thread_id, tools)

    def _usable(self, tools: Tools | None) -> ToolSet | None:
        if tools is None:
            return None
        given, connection = ToolSet.of(tools), self._connection()
        check_tools_can_be_used(
            experimental=connection.options.experimental_api_enabled, version=connection.version
        )
        return given
