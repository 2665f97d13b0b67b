"""Figures: ``python -m benchmarks [NAME …]``; all of them by default.

Every figure stands beside that of a bare counterpart from the same run, since the machine's own speed
says nothing. CPU is that of this process; the children's is not counted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from . import (
    app_server,
    backends,
    concurrent_turns,
    import_time,
    protocol_import,
    stream,
    turn_overhead,
)

BENCHMARKS: dict[str, Callable[[], None]] = {
    "stream": stream.main,
    "import_time": import_time.main,
    "turn_overhead": turn_overhead.main,
    "concurrent_turns": concurrent_turns.main,
    "app_server": app_server.main,
    "backends": backends.main,
    "protocol_import": protocol_import.main,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        return 2
    for name in names or BENCHMARKS:
        print(f"\n== {name}")
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
