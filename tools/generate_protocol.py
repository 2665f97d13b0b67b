"""Generate ``codex_sdk.protocol`` from the JSON Schema that a Codex CLI prints of its app-server.

    python tools/generate_protocol.py --codex PATH              write the files
    python tools/generate_protocol.py --codex PATH --check      fail if they are not what would be written
    python tools/generate_protocol.py --codex PATH --compare OTHER      tell what another CLI has otherwise

``nox -s protocol`` does the last two with the CLIs that the project knows.
"""

from __future__ import annotations

import argparse
import sys

from protocol_generator.comparing import comparison
from protocol_generator.drift import drift
from protocol_generator.output import ROOT, generated_files, write
from protocol_generator.schema import UnknownSchema, schema_of

_SHOWN_LINES = 100


def main() -> str | None:
    """Do what the command line says; return what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--codex", required=True, help="the CLI whose protocol it is")
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    doing.add_argument("--compare", metavar="CODEX", help="tell what the protocol of this CLI is")
    arguments = parser.parse_args()
    try:
        schema = schema_of(arguments.codex)
        if arguments.compare:
            print("\n".join(comparison(schema, schema_of(arguments.compare))))
            return None
        texts = generated_files(schema)
    except UnknownSchema as error:
        return f"the schema is not what this generator was made for: {error}"
    if not arguments.check:
        write(texts, ROOT)
        return None
    return _report(list(drift(texts, ROOT)), schema.version)


def _report(lines: list[str], version: str) -> str | None:
    if not lines:
        print(f"The generated files are those of Codex CLI {version}.")
        return None
    print("\n".join(lines[:_SHOWN_LINES]))
    return f"{len(lines)} lines differ from what Codex CLI {version} gives: run tools/generate_protocol.py"


if __name__ == "__main__":
    sys.exit(main())
