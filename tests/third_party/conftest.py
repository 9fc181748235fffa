"""The tests of the plugins are collected where the plugins are installed; `test_third_party` runs them anyway."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def _is_installed(name: str) -> bool:
    try:
        return bool(distribution(name))
    except PackageNotFoundError:
        return False


collect_ignore = [path.name for path in Path(__file__).parent.glob("wavechain-*") if not _is_installed(path.name)]
