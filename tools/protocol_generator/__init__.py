"""Turns the JSON Schema of the Codex app-server into the module ``codex_sdk.protocol``.

``tools/generate_protocol.py`` is the command. The steps, one module each:

* ``schema``: ask a CLI for its schema, and see what it says of methods and types; ``results`` and
  ``spelling`` mend it where it does not say all, or is wrong;
* ``names``: Python names for what the protocol names;
* ``reading`` and ``annotations``: definitions of the schema become descriptions of classes and aliases
  (``model``); ``places`` sees to it that nothing in the schema is overlooked;
* ``placing``: which file each of them goes to;
* ``writing`` and ``prose``: descriptions become Python;
* ``index``: which name is in which file, and which types belong to a method;
* ``coverage``: the table in ``docs/``;
* ``output`` and ``drift``: all files, and how they differ from those in the repository;
* ``comparing``: what the schema of another CLI has more, less or otherwise.
"""
