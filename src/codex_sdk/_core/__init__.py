"""What can be computed without waiting: bytes in, values out.

Nothing here awaits, reads a clock, a file or the environment; tests need no event loop and no process.
"""
