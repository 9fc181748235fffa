"""Imports go one way: wavechain_cli -> wavechain <- wavechain_<plugin>, as pyproject.toml has it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

HOUSE = Path(__file__).parents[2]
ROOTS = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"][
    "pythonpath"
]


def test_every_door_opens_one_way():
    # In a process of its own: the linter changes sys.path and prints through rich.
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(HOUSE / root) for root in ROOTS)}
    linted = subprocess.run(
        [sys.executable, "-c", command], cwd=HOUSE, env=environment, capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr
