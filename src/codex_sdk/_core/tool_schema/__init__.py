"""Python functions as tools: what Codex is told of their parameters, and how arguments are read."""

from __future__ import annotations

from .signature import Signature, signature_of, underlying
from .wording import LIMIT, size_of

__all__ = ["LIMIT", "Signature", "signature_of", "size_of", "underlying"]
