"""The contract classes in a plugin's own tests: which settings its stages are tried with, and what they do not promise.

An exception is declared there and nowhere else. ``wavechain plugins check`` reads it in the tests of the folder that it
is given, or of the folder that an editable install points to; a plugin from a wheel comes without its tests.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from wavechain.registry import PluginRecord

if TYPE_CHECKING:
    from types import ModuleType

    from wavechain.testing.contract import Contract

FOLDERS = ("tests", "test")


class OwnTests:
    """What was found in the tests of the plugin in *folder*. `troubles` says what could not be read, and why."""

    def __init__(self, folder: Path | None) -> None:
        self.contracts: list[type[Contract]] = []
        self.troubles: list[tuple[str, str]] = []
        tests = next((folder / name for name in FOLDERS if (folder / name).is_dir()), None) if folder else None
        if tests is None:
            return
        if importlib.util.find_spec("pytest") is None:
            self.troubles.append((tests.name, "not read: pytest is not installed"))
            return
        for number, file in enumerate(sorted(tests.rglob("test_*.py"))):
            try:
                module = _imported(file, f"wavechain_own_tests_{number}")
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - pytest's way of skipping a module is no Exception
                said = (str(error).splitlines() or [""])[0]
                self.troubles.append((file.name, f"not read: {type(error).__name__}: {said}"))
            else:
                self.contracts += _contracts(module)

    def of_stage(self, cls: type[Any]) -> list[type[Contract]]:
        """Those that try a stage of this very class."""
        return [each for each in self.contracts if any(type(case) is cls for case in each._cases())]

    def of_plugin(self, module: str) -> list[type[Contract]]:
        """Those for the plugin with this entry module."""
        return [each for each in self.contracts if module in [case for case in each._cases() if isinstance(case, str)]]


def editable_folder(plugin: PluginRecord) -> Path | None:
    """Where an installed plugin is worked on; None for one from a wheel, and for those that come along."""
    if plugin.bundled:
        return None
    try:
        text = importlib.metadata.distribution(plugin.distribution).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    origin: dict[str, Any] = json.loads(text or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(origin["url"]).path))


def _contracts(module: ModuleType) -> Iterator[type[Contract]]:
    from wavechain.testing.contract import OURS, Contract

    for each in vars(module).values():
        if isinstance(each, type) and issubclass(each, Contract) and not each.__module__.startswith(OURS):
            yield each


def _imported(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickle looks up there what a test defines
    with _first_on_path(file.parent):
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    """Test modules import one another by name."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
