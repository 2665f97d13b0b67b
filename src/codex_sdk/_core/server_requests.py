"""What the app-server asks its client for, and what it is answered.

Nothing here waits or decides for anybody: :func:`decided` looks up what was decided beforehand,
:func:`answer_of` puts what a program says into the shape that the protocol has for it, and
:func:`safe_answer` is what the server is told where nobody says anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Union, cast

import attrs

from .. import protocol
from ..exceptions import CodexAppServerError, CodexError, CodexParseError
from .jsonrpc import Request

__all__ = [
    "COMMAND_APPROVAL",
    "ELICITATION",
    "FILE_CHANGE_APPROVAL",
    "PERMISSIONS_APPROVAL",
    "USER_INPUT",
    "ApprovalDecisions",
    "answer_of",
    "decided",
    "safe_answer",
]

COMMAND_APPROVAL = "item/commandExecution/requestApproval"
FILE_CHANGE_APPROVAL = "item/fileChange/requestApproval"
PERMISSIONS_APPROVAL = "item/permissions/requestApproval"
USER_INPUT = "item/tool/requestUserInput"
ELICITATION = "mcpServer/elicitation/request"

_DECISIONS = ("accept", "acceptForSession", "decline", "cancel")
_ELICITATION_ACTIONS = ("accept", "decline", "cancel")
_GRANT_SCOPES = {"accept": "turn", "acceptForSession": "session"}
_NO_GRANT = ("deny", "decline")

_EXECPOLICY = "acceptWithExecpolicyAmendment"
_AMENDMENTS = {
    _EXECPOLICY: "execpolicy_amendment",
    "applyNetworkPolicyAmendment": "network_policy_amendment",
}
"""Decisions that carry something, and the key of what they carry. Verified with 0.80.0 (the first), 0.163.0
and 0.169.0: with the inner key in camel case, the decision is taken for a decline."""

_METHOD_NOT_FOUND = -32601

Decision = Union[str, Mapping[str, Any], None]
_Reader = Callable[[Any, Mapping[str, Any]], Any]
"""Makes an answer of what a program says, and of the params of the request."""


@attrs.frozen(kw_only=True)
class ApprovalDecisions:
    """What a turn is answered when Codex asks for an approval, decided beforehand.

    A field that is ``None`` decides nothing: such a request goes to the handlers, or to ``requests()``, and
    is declined where nobody answers it. Words may be written in snake case or as the protocol has them.

    Attributes:
        command_execution: for each command that needs an approval: ``"accept"``;
            ``"accept_for_session"``, which also approves the same command for the rest of the thread;
            ``"decline"``, after which the turn goes on without it; ``"cancel"``, which interrupts the turn;
            ``"accept_with_execpolicy_amendment"``; or a decision with its details, as in
            ``{"applyNetworkPolicyAmendment": {"network_policy_amendment": {"host": "example.org", "action":
            "allow"}}}``.
        file_change: for each patch that needs an approval, the first four of these words.
        execpolicy_amendment: what ``"accept_with_execpolicy_amendment"`` allows besides the command: all
            commands that begin with these words, as in ``["git", "fetch"]``. Codex stores that in
            ``CODEX_HOME/rules/default.rules``: such commands run **without an approval and outside the
            sandbox in all later sessions**, of every program with this ``CODEX_HOME``. A mapping that holds
            the words under ``"execpolicy_amendment"`` or ``"command"`` will do too. What is sent is
            ``{"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["git", "fetch"]}}``, the one shape
            that takes effect.
        permissions_request: for each request for more permissions: ``"accept"``, for this turn;
            ``"accept_for_session"``, for the rest of the thread; ``"deny"``; or the whole answer, as in
            ``{"permissions": {"network": {"enabled": True}}, "scope": "turn"}``.

    Raises:
        CodexError: a field holds something that Codex would not understand, and would take for a refusal.
    """

    command_execution: Decision = None
    file_change: Decision = None
    execpolicy_amendment: Mapping[str, Any] | Sequence[str] | None = None
    permissions_request: Decision = None

    def __attrs_post_init__(self) -> None:
        for field, method in _DECIDED_BY.items():
            value = getattr(self, field)
            if value is None:
                continue
            try:
                self._answer(method, value, {})
            except CodexError as error:
                raise CodexError(f"ApprovalDecisions.{field} is {value!r}: {error}") from None
        if self.execpolicy_amendment is not None and not self._amends:
            raise CodexError(
                "ApprovalDecisions.execpolicy_amendment is given, but has no effect without "
                'command_execution="accept_with_execpolicy_amendment"'
            )

    @property
    def _amends(self) -> bool:
        return (
            isinstance(self.command_execution, str)
            and _camel(self.command_execution) == _EXECPOLICY
        )

    def _answer(self, method: str, value: Any, params: Mapping[str, Any]) -> Any:
        if method == COMMAND_APPROVAL and self._amends:
            value = {_EXECPOLICY: {_AMENDMENTS[_EXECPOLICY]: _prefix(self.execpolicy_amendment)}}
        return answer_of(Request(0, method, params), value)


_DECIDED_BY = {
    "command_execution": COMMAND_APPROVAL,
    "file_change": FILE_CHANGE_APPROVAL,
    "permissions_request": PERMISSIONS_APPROVAL,
}
_FIELDS = {method: field for field, method in _DECIDED_BY.items()}


def decided(decisions: ApprovalDecisions | None, request: Request) -> Any:
    """Return the answer to *request* that was decided beforehand; ``None``, where none was."""
    field = _FIELDS.get(request.method)
    if decisions is None or field is None:
        return None
    value = getattr(decisions, field)
    return None if value is None else decisions._answer(request.method, value, request.params)


def answer_of(request: Request, value: Any) -> Any:
    """Return *value*, which a program gives for an answer, as the protocol has it.

    Any request can be answered with its response as an object of :mod:`codex_sdk.protocol` or as a mapping,
    approvals with the decision alone, elicitations with the action alone, and questions with a mapping
    from their ids to answers.

    Raises:
        CodexError: it is no answer to this request; says what would be one.
    """
    data = protocol.unstructure(value)
    if request.method not in protocol.SERVER_REQUESTS:
        return data
    read: _Reader = _READERS.get(request.method, _whole)
    return _checked(request.method, read(data, request.params))


def safe_answer(request: Request, *, now: int) -> Any:
    """Return the answer that permits nothing, in the shape that the protocol has for it.

    It is a result even where it refuses: 0.80.0 waits for ever when an approval is answered with an error.

    Args:
        request: what is asked for.
        now: the time, in whole seconds since the epoch, which the server may ask for.

    Raises:
        CodexAppServerError: there is no such method; to be sent in place of a result.
    """
    if request.method == "currentTime/read":
        return {"currentTimeAt": now}
    if request.method in _SAFE_ANSWERS:
        return _SAFE_ANSWERS[request.method]
    raise CodexAppServerError(
        _METHOD_NOT_FOUND, f"this client has no method {request.method}", method=request.method
    )


_DECLINED = "nobody answered this request for an approval"

_SAFE_ANSWERS: Mapping[str, Any] = {
    COMMAND_APPROVAL: {"decision": "decline"},
    FILE_CHANGE_APPROVAL: {"decision": "decline"},
    PERMISSIONS_APPROVAL: {"permissions": {}, "scope": "turn"},
    USER_INPUT: {"answers": {}},
    ELICITATION: {"action": "decline"},
    "item/tool/call": {
        "contentItems": [{"type": "inputText", "text": "this tool is not available"}],
        "success": False,
    },
    "account/chatgptAuthTokens/refresh": {"accessToken": "", "chatgptAccountId": ""},
    "attestation/generate": {"token": ""},
    "applyPatchApproval": {"decision": {"denied": {"rejection": _DECLINED}}},
    "execCommandApproval": {"decision": {"denied": {"rejection": _DECLINED}}},
}


def _command_answer(data: Any, params: Mapping[str, Any]) -> Any:
    return _decision_answer(data, _command_decision, params.get("availableDecisions") or ())


def _file_change_answer(data: Any, _: Mapping[str, Any]) -> Any:
    return _decision_answer(data, _word, ())


def _decision_answer(data: Any, decide: Callable[[Any], Any], offered: Collection[Any]) -> Any:
    data = _mapping(data).get("decision", data)
    # what a newer CLI offers may be a decision that is not known here
    return {"decision": data if data in offered else decide(data)}


def _command_decision(data: Any) -> Any:
    if isinstance(data, str):
        return _word(data, f'"{_EXECPOLICY}" with its execpolicy_amendment')
    name, carried = _only_item(data)
    if name not in _AMENDMENTS:
        raise CodexError(f"a decision with details is one of {', '.join(_AMENDMENTS)}")
    key = _AMENDMENTS[name]
    amendment = _value_under(carried, key, _camel(key))
    return {name: {key: _prefix(amendment) if name == _EXECPOLICY else _network_rule(amendment)}}


def _permissions_answer(data: Any, params: Mapping[str, Any]) -> Any:
    if isinstance(data, Mapping):
        answer = _whole(data)
        return {**answer, "permissions": _whole(answer.get("permissions"))}
    word = _camel(data) if isinstance(data, str) else None
    if word in _GRANT_SCOPES:
        return {"permissions": params.get("permissions") or {}, "scope": _GRANT_SCOPES[word]}
    if word in _NO_GRANT:
        return _SAFE_ANSWERS[PERMISSIONS_APPROVAL]
    raise _unsuitable([*_GRANT_SCOPES, *_NO_GRANT], "the whole answer")


def _user_input_answer(data: Any, params: Mapping[str, Any]) -> Any:
    if not isinstance(data, Mapping):
        raise CodexError("an answer is a mapping from the ids of the questions to what is answered")
    answers = _mapping(data)
    if isinstance(answers.get("answers"), Mapping):
        answers = _mapping(answers["answers"])
    asked = [question.get("id") for question in params.get("questions") or ()]
    if unasked := [name for name in answers if name not in asked]:
        raise CodexError(f"there is no question {unasked[0]!r}; the questions are {asked}")
    return {"answers": {name: _answers(answer) for name, answer in answers.items()}}


def _answers(data: Any) -> Any:
    return _mapping(data) or {"answers": [data] if isinstance(data, str) else data}


def _elicitation_answer(data: Any, _: Mapping[str, Any]) -> Any:
    if isinstance(data, str):
        data = {"action": data}
    answer = _whole(data)
    if answer.get("action") not in _ELICITATION_ACTIONS:
        raise _unsuitable(_ELICITATION_ACTIONS, "a mapping with the action and its content")
    return answer


def _whole(data: Any, _: object = None) -> dict[str, Any]:
    """Take *data* for the whole response."""
    if not isinstance(data, Mapping):
        raise CodexError("an answer is the response, as a mapping or as an object of the protocol")
    return {_camel(key): value for key, value in _mapping(data).items()}


def _mapping(data: Any) -> Mapping[str, Any]:
    """Return *data*, if it is a mapping, or an empty one."""
    return cast("Mapping[str, Any]", data) if isinstance(data, Mapping) else {}


_READERS: Mapping[str, _Reader] = {
    COMMAND_APPROVAL: _command_answer,
    FILE_CHANGE_APPROVAL: _file_change_answer,
    PERMISSIONS_APPROVAL: _permissions_answer,
    USER_INPUT: _user_input_answer,
    ELICITATION: _elicitation_answer,
}


def _checked(method: str, answer: Any) -> Any:
    try:
        protocol.structure(protocol.response_type(method), answer)
    except CodexParseError as error:
        raise CodexError(str(error)) from None
    return answer


def _word(data: Any, *others: str) -> str:
    word = _camel(data) if isinstance(data, str) else None
    if word not in _DECISIONS:
        raise _unsuitable(_DECISIONS, *others)
    return word


def _unsuitable(words: Collection[str], *others: str) -> CodexError:
    return CodexError(f"an answer is one of {', '.join([*map(repr, words), *others])}")


def _only_item(data: Any) -> tuple[str, Any]:
    items = [*_mapping(data).items()]
    if len(items) != 1:
        raise CodexError("a decision is a word, or a mapping with one key")
    return _camel(items[0][0]), items[0][1]


def _value_under(data: Any, *keys: str) -> Any:
    given = _mapping(data)
    for key in keys:
        if key in given:
            return given[key]
    raise CodexError(f"the details of the decision are a mapping with the key {keys[0]!r}")


def _prefix(data: Any) -> list[str]:
    """Return the words that a command has to begin with."""
    key = _AMENDMENTS[_EXECPOLICY]
    if isinstance(data, Mapping):
        data = _value_under(data, key, _camel(key), "command")
    if isinstance(data, (list, tuple)):
        words = cast("Sequence[Any]", data)
        if words and all(isinstance(word, str) and word for word in words):
            return list(words)
    raise CodexError(
        f'"{_EXECPOLICY}" needs an execpolicy_amendment, the words that a command begins with, '
        f'such as ["git", "fetch"], not {data!r}'
    )


def _network_rule(data: Any) -> Mapping[str, str]:
    rule = _mapping(data)
    if isinstance(rule.get("host"), str) and rule.get("action") in ("allow", "deny"):
        return rule
    raise CodexError('a network rule is {"host": …, "action": "allow" or "deny"}')


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    if not first:
        return name  # "_meta" is what the protocol has
    return first + "".join(word[:1].upper() + word[1:] for word in rest)
