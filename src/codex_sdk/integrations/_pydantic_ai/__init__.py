"""The parts of :class:`~codex_sdk.integrations.pydantic_ai_model.CodexModel`."""
