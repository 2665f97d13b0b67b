"""Entries for the CLI's ``--config``: Python values as TOML.

:class:`~codex_sdk.CodexOptions` and :class:`~codex_sdk.ThreadOptions` encode their
``config_overrides`` by these functions; they are here for programs that run the CLI themselves.
"""

from __future__ import annotations

from ._core.toml import encode_config_override, encode_config_value, merge_config_overrides

__all__ = ["encode_config_override", "encode_config_value", "merge_config_overrides"]
