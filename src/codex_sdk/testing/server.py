"""A model for Codex to talk to, in the test's own process: scripted, without a network, without a key."""

from __future__ import annotations

import atexit
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import anyio
import attrs
from anyio import AsyncContextManagerMixin, to_thread
from anyio.abc import ByteStream, Listener, SocketAttribute, SocketStream, TaskGroup

from ..exceptions import CodexError
from ..options import CodexOptions
from . import routes
from .connection import Disconnected, HttpConnection, HttpRequest
from .gate import Gate
from .home import PrivateHome
from .replies import Conversation, Cut, Delay, HttpReply, Script, ScriptEntry
from .requests import ModelRequest
from .script import Playbook, exhausted_reply
from .wire import Action, actions_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ModelServer"]

TEST_API_KEY = "test-key"


def _not_running() -> CodexError:
    return CodexError("the ModelServer is not running: enter it with `async with`")


def _retry_overrides(retries: int) -> dict[str, Any]:
    provider = "model_providers.codex_sdk"
    return {
        f"{provider}.request_max_retries": retries,
        f"{provider}.stream_max_retries": retries,
    }


class ModelServer(AsyncContextManagerMixin):
    """A scripted model behind OpenAI's Responses API, for as long as its ``async with`` block lasts.

    The server listens on a free port of 127.0.0.1, on the event loop of whoever enters it (asyncio or
    trio), and serves any number of Codex processes at once::

        async with ModelServer([RunCommand("ls"), "There are two files."]) as server:
            codex = Codex(server.codex_options())
            turn = await codex.start_thread().run("What is here?")

        assert turn.final_response == "There are two files."

    *script* is a list of replies, given in the order in which requests arrive; or a function of the
    request, which answers them all; or a mapping from markers to such lists and functions, for
    conversations that go on side by side: a request gets the replies of the marker that its prompt
    contains. *exhausted* answers the requests that the script has no reply left for. By default they
    get HTTP status 400, at which Codex ends the turn at once with an error that says so.

    Leaving the block closes every connection, whatever it waits for, and removes the home directory
    that :meth:`codex_options` hands out. If a function of the script raised, its turn failed with
    HTTP status 400, and leaving the block raises that exception.
    """

    def __init__(self, script: Script = (), *, exhausted: Conversation = exhausted_reply) -> None:
        self._playbook = Playbook(script, exhausted)
        self._requests: list[ModelRequest] = []
        self._other_requests: list[ModelRequest] = []
        self._arrival = anyio.Event()
        self._script_error: Exception | None = None
        self._url: str | None = None
        self._home: PrivateHome | None = None

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        if self._url is not None:
            raise CodexError("a ModelServer can be entered once: make a new one")
        error: BaseException | None = None
        async with (
            anyio.TemporaryDirectory(prefix="codex-sdk-", ignore_cleanup_errors=True) as root,
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as group,
        ):
            try:
                await self._start(Path(root), listener, group)
                yield self
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as raised:  # noqa: BLE001 - raised below, as itself
                error = raised
            group.cancel_scope.cancel("the ModelServer is closed")
        self._raise(error)

    async def _start(self, root: Path, listener: Listener[SocketStream], group: TaskGroup) -> None:
        self._url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/v1"
        self._home = PrivateHome(root)
        # for what a CLI writes that outlives the server, and with it the removal of the directory
        atexit.register(rmtree, root, ignore_errors=True)
        await to_thread.run_sync(self._home.make, self._url)
        group.start_soon(listener.serve, self._serve, group)

    def _raise(self, error: BaseException | None) -> None:
        if self._script_error is not None and (error is None or isinstance(error, Exception)):
            raise self._script_error from error
        if error is not None:
            raise error

    @property
    def url(self) -> str:
        """The base URL, ``http://127.0.0.1:<port>/v1``.

        Raises:
            CodexError: the server has not been entered yet.
        """
        if self._url is None:
            raise _not_running()
        return self._url

    @property
    def requests(self) -> tuple[ModelRequest, ...]:
        """The requests to the model so far, in the order in which they arrived."""
        return tuple(self._requests)

    @property
    def other_requests(self) -> tuple[ModelRequest, ...]:
        """What else was asked for so far: the list of models, a WebSocket, an unknown path."""
        return tuple(self._other_requests)

    async def wait_for_request(self, number: int = 1) -> ModelRequest:
        """Wait until *number* requests to the model have arrived; return the last of these."""
        while len(self._requests) < number:
            await self._arrival.wait()
        return self._requests[number - 1]

    def will_reply(self, *entries: ScriptEntry, when: str | None = None) -> None:
        """Add *entries* to the end of the script; with *when*, to that of the conversation so marked.

        Each entry answers one request.
        """
        self._playbook.extend(entries, when=when)

    @property
    def codex_home(self) -> Path:
        """The ``CODEX_HOME`` of :meth:`codex_options`, with its sessions; removed with the server.

        Raises:
            CodexError: the server has not been entered yet.
        """
        return self._private_home().codex_home

    def _private_home(self) -> PrivateHome:
        if self._home is None:
            raise _not_running()
        return self._home

    def codex_options(self, *, retries: int = 0, **changes: Any) -> CodexOptions:
        """Return options with which a :class:`~codex_sdk.Codex` asks this model, in isolation.

        The environment holds ``PATH``, the locale and what else a program needs to run, and a private
        ``HOME`` and ``CODEX_HOME``: no configuration, login, key or history of the user's. The
        configuration in it keeps newer CLIs from asking GitHub for plugins.

        Args:
            retries: how often Codex tries a request again, and a stream that broke off. Left to itself
                it does so four and five times, for up to half a minute: too long for most tests.
            changes: other fields of :class:`~codex_sdk.CodexOptions`. ``env`` and
                ``config_overrides`` are laid over the server's, entry by entry.

        Raises:
            CodexError: the server has not been entered yet.
        """
        env = self._private_home().environment(os.environ)
        overrides = _retry_overrides(retries) if retries else {}
        overrides.update(changes.pop("config_overrides", None) or {})
        options = CodexOptions(
            base_url=self.url,
            api_key=TEST_API_KEY,
            env={**env, **(changes.pop("env", None) or {})},
            config_overrides=overrides or None,
        )
        return attrs.evolve(options, **changes)

    def environment(self) -> dict[str, str]:
        """Return the whole environment in which an unmodified program asks this model, in isolation.

        For programs that make their own :class:`~codex_sdk.Codex`, and for ``codex exec`` itself. It is the
        environment of :meth:`codex_options`, with a ``CODEX_API_KEY`` that is none; the configuration in
        its ``CODEX_HOME`` names this server as the model's provider, and switches retries off. What else
        a program needs, ``PYTHONPATH`` for instance, is to be added.

        Raises:
            CodexError: the server has not been entered yet.
        """
        return {**self._private_home().environment(os.environ), "CODEX_API_KEY": TEST_API_KEY}

    async def _serve(self, stream: ByteStream) -> None:
        connection = HttpConnection(stream)
        async with stream:
            with suppress(Disconnected):
                reusable = True
                while reusable:
                    reusable = await self._serve_one(connection)

    async def _serve_one(self, connection: HttpConnection) -> bool:
        """Answer one request; say whether another may follow."""
        request = await connection.receive_request()
        await connection.while_connected(partial(self._answer, connection, request))
        return connection.is_reusable

    async def _answer(self, connection: HttpConnection, http: HttpRequest) -> None:
        for action in await self._actions(http):
            if isinstance(action, Delay):
                await anyio.sleep(action.seconds)
            elif isinstance(action, Gate):
                await action.pass_through()
            elif isinstance(action, Cut):
                return
            else:
                await connection.send(action)

    async def _actions(self, http: HttpRequest) -> list[Action]:
        body, refusal = routes.read_body(http)
        scripted = routes.is_for_the_model(http) and refusal is None
        received = self._requests if scripted else self._other_requests
        request = ModelRequest(
            number=len(received) + 1,
            method=http.method,
            path=http.path,
            headers=http.headers,
            json=body,
        )
        received.append(request)
        if scripted:
            self._announce_arrival()
            return await self._scripted_actions(request)
        return actions_of(refusal or routes.standing_reply(http), request)

    def _announce_arrival(self) -> None:
        self._arrival.set()
        self._arrival = anyio.Event()

    async def _scripted_actions(self, request: ModelRequest) -> list[Action]:
        try:
            return actions_of(await self._playbook.reply_to(request), request)
        except Exception as error:  # noqa: BLE001 - the script is the user's code; it is raised on leaving
            if self._script_error is None:
                self._script_error = error
            message = f"the script of ModelServer raised {type(error).__name__}: {error}"
            return actions_of(HttpReply(400, message), request)
