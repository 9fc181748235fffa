"""Imports go one way: wavechain_cli -> wavechain <- wavechain_<plugin>, as pyproject.toml has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).parents[2]


def test_every_door_opens_one_way():
    # In a process of its own: the linter changes sys.path and prints through rich.
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    linted = subprocess.run([sys.executable, "-c", command], cwd=HOUSE, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr
