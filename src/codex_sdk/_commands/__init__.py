"""What ``python -m codex_sdk`` can do; each command is imported when it is asked for."""
