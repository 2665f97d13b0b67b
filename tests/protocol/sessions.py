"""Sessions with the app-server of a real CLI, over nothing but a pipe."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from codex_sdk import CodexOptions, protocol
from codex_sdk._core.versions import parse_cli_version

Calls = Generator[protocol.Request[Any], Any, None]


class Session:
    """A session that reads as values of the protocol whatever the server writes.

    Attributes:
        met: the methods of the requests that were answered, and of all that the server sent.
    """

    def __init__(self, process: subprocess.Popen[str], *, lenient: bool) -> None:
        self._process = process
        self._lenient = lenient
        self._last_id = 0
        self.met: set[str] = set()
        self.answers: dict[str, Callable[[Any], protocol.ProtocolObject]] = {}

    def call(self, request: protocol.Request[Any]) -> Any:
        """Return the result of a request."""
        self._last_id += 1
        params = protocol.unstructure(request)
        self._send({"id": self._last_id, "method": request.method, "params": params})
        while True:
            message = self._receive()
            if "method" not in message and message["id"] == self._last_id:
                assert "result" in message, f"{request}: {message}"
                self.met.add(request.method)
                return protocol.structure_result(request, message["result"], lenient=self._lenient)

    def make(self, calls: Calls) -> None:
        """Make calls, each with what came of the one before."""
        result = None
        while True:
            try:
                request = calls.send(result)
            except StopIteration:
                return
            result = self.call(request)

    def until(self, method: str) -> protocol.ProtocolObject:
        """Wait for a notification."""
        while True:
            message = self._receive()
            if message.get("method") == method:
                payload = protocol.notification_payload(
                    method, message["params"], lenient=self._lenient
                )
                assert isinstance(payload, protocol.ProtocolObject)
                return payload

    def notify(self, method: str) -> None:
        self._send({"method": method})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the app-server has ended"
        message: dict[str, Any] = json.loads(line)
        method = message.get("method", "")
        if "id" in message and method:
            payload = protocol.request_payload(method, message["params"], lenient=self._lenient)
            self._meet(method, payload)
            self._send({"id": message["id"], "result": self._answer(method, payload)})
        elif method and not method.startswith("codex/event/"):  # as 0.80.0 says everything again
            params = message.get("params")
            self._meet(method, protocol.notification_payload(method, params, lenient=self._lenient))
        return message

    def _meet(self, method: str, payload: object) -> None:
        if not isinstance(payload, protocol.UnknownPayload):
            self.met.add(method)
        elif not self._lenient:
            raise AssertionError(f"{method} is not known")

    def _answer(self, method: str, payload: object) -> dict[str, Any]:
        answer = self.answers[method](payload)
        assert isinstance(answer, protocol.response_type(method))
        return protocol.unstructure(answer)


@contextmanager
def session(codex: str, options: CodexOptions, cwd: Path) -> Iterator[Session]:
    """Run an app-server that asks the model of *options*."""
    provider = {"name": "m", "base_url": options.base_url, "wire_api": "responses"}
    overrides = {
        "model_provider": "m",
        **{f"model_providers.m.{k}": v for k, v in provider.items()},
    }
    flags = [f"--config={key}={json.dumps(value)}" for key, value in overrides.items()]
    text = subprocess.check_output([codex, "--version"], text=True, env=options.env)
    lenient = str(parse_cli_version(text)) != protocol.CODEX_VERSION
    with subprocess.Popen(
        [codex, "app-server", *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env=options.env,
        cwd=cwd,
    ) as process:
        try:
            yield Session(process, lenient=lenient)
        except BaseException:
            process.kill()
            raise
        finally:
            assert process.stdin
            process.stdin.close()  # which ends the server, and all that it runs
            process.wait(timeout=30)
