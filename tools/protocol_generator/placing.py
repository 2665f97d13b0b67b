"""Which file a type goes to: that of the methods which need it, or ``common`` if those have several files.

What no method needs goes to ``unlisted``. So all files import from ``common``, ``unlisted`` imports from
any, and none from one that imports it.
"""

from __future__ import annotations

from collections.abc import Mapping

from .model import Type, parts_of
from .names import field_name
from .schema import Method, Schema

_COMMON = "common"
_UNLISTED = "unlisted"

_FILES = {
    "account_limits": "account/rateLimits account/rateLimitResetCredit account/usage",
    "approval": """
        item/commandExecution/requestApproval item/fileChange/requestApproval
        item/permissions/requestApproval item/tool/requestUserInput applyPatchApproval
        execCommandApproval
    """,
    "command": "command process",
    "config": "config configRequirements experimentalFeature permissionProfile",
    "dynamic_tool": "item/tool/call",
    "guardian": """
        item/autoApprovalReview autoApprovalReview guardianWarning thread/approveGuardianDeniedAction
    """,
    "hook": "hook hooks",
    "mcp": "mcpServer mcpServerStatus config/mcpServer",
    "model": "model modelProvider collaborationMode",
    "plugin": "plugin marketplace",
    "remote": "remoteControl attestation",
    "server": """
        initialize server serverRequest warning configWarning deprecationNotice currentTime feedback mock
    """,
    "thread_attachment": "thread/attachment thread/attachmentOwner",
    "thread_goal": "thread/goal",
    "thread_history": """
        thread/list thread/read thread/loaded thread/search thread/searchOccurrences thread/turns
        thread/items thread/revert thread/reverted thread/inject_items thread/compact thread/compacted
        thread/archive thread/archived thread/unarchive thread/unarchived thread/delete thread/deleted
        memory rollout
    """,
    "thread_queue": "thread/queue",
    "thread_realtime": "thread/realtime thread/timeline",
    "thread_section": "threadSection thread/section",
    "thread_settings": """
        thread/settings thread/metadata thread/memoryMode thread/prediction thread/project
        thread/environment
    """,
    "thread_resume": "thread/resume thread/fork",
    "thread_terminal": "thread/backgroundTerminals thread/shellCommand",
    "turn": "turn error",
    "windows": "windows windowsSandbox",
}
"""The methods whose types have a file that is not named for the first part of the method's own name.

Each entry is a method or the beginning of some; of several that fit, the longest counts.
"""

_FILE_OF_BEGINNING = {
    tuple(beginning.split("/")): file
    for file, beginnings in _FILES.items()
    for beginning in beginnings.split()
}


def place_types(types: Mapping[str, Type], schema: Schema) -> dict[str, list[Type]]:
    """Return the types of each file, with every type after all that it is made of."""
    parts = {name: parts_of(types[name]) for name in sorted(types)}
    needed: dict[str, set[str]] = {name: set() for name in parts}
    for method in schema.methods():
        for root in filter(None, (method.params_class, method.result)):
            for name in _within(root, parts):
                needed[name].add(_file_of(method))
    places = {name: _place(files) for name, files in needed.items()}
    files: dict[str, list[Type]] = {}
    for name in _parts_first(parts, schema):
        files.setdefault(places[name], []).append(types[name])
    return dict(sorted(files.items()))


def _within(root: str, parts: Mapping[str, list[str]]) -> set[str]:
    """Return *root* and all that it is made of."""
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(parts[name])
    return seen


def _file_of(method: Method) -> str:
    words = tuple(method.name.split("/"))
    for length in range(len(words), 0, -1):
        if file := _FILE_OF_BEGINNING.get(words[:length]):
            return file
    return field_name(words[0])


def _place(files: set[str]) -> str:
    if not files:
        return _UNLISTED
    return next(iter(files)) if len(files) == 1 else _COMMON


def _parts_first(parts: Mapping[str, list[str]], schema: Schema) -> list[str]:
    """Return all names, method by method, each after what it is made of."""
    roots = [name for method in schema.methods() for name in (method.params_class, method.result)]
    order: dict[str, None] = {}

    def add(name: str) -> None:
        if name not in order:
            for part in parts[name]:
                add(part)
            order[name] = None

    for name in (*filter(None, roots), *parts):
        add(name)
    return list(order)
