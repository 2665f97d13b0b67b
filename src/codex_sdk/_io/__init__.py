"""The operating system: finding the CLI, owning a process, the files that a turn needs.

Nothing here knows what a turn or an event is. What leaves these modules is bytes, values and
:class:`~codex_sdk.CodexError`; an ``OSError`` or an error of anyio's streams never does.
"""
