"""Check a built wheel, from an environment in which it is installed without its extras."""

from __future__ import annotations

import sys
import zipfile
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path
from pkgutil import walk_packages

import codex_sdk

NEED_EXTRAS = (
    "codex_sdk.__main__",
    "codex_sdk._io.websocket_protocol",
    "codex_sdk.integrations",
    "codex_sdk.testing",
)


def check_contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names}
    info = f"codex_sdk_python-{version('codex-sdk-python')}.dist-info"
    assert folders == {"codex_sdk", info}, folders
    assert "codex_sdk/py.typed" in names
    assert f"{info}/licenses/LICENSE" in names
    strays = [name for name in names if "/vendor/" in name or "__pycache__" in name]
    assert not strays, strays


def check_imports() -> None:
    """Import everything that needs no extra, from the installed wheel."""
    assert "site-packages" in (codex_sdk.__file__ or "")
    for name in codex_sdk.__all__:
        getattr(codex_sdk, name)
    for module in walk_packages(codex_sdk.__path__, "codex_sdk."):
        if not module.name.startswith(NEED_EXTRAS):
            import_module(module.name)
    plugins = {point.value for point in entry_points(group="pytest11")}
    assert "codex_sdk.testing.pytest_plugin" in plugins


if __name__ == "__main__":
    check_contents(Path(sys.argv[1]))
    check_imports()
    print(f"codex-sdk-python {version('codex-sdk-python')} works without its extras")
