"""The whole program, as a person meets it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wavechain import Audio
from wavechain.testing import music
from wavechain_cli import guard
from wavechain_cli.app import app


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


@pytest.fixture
def wavechain():
    """Runs a command line in this process."""

    def run(*arguments: object) -> Said:
        guard._state["debug"] = False
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def song(tmp_path_factory) -> Path:
    """Four seconds of 16-bit stereo music; do not write to it."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    return music(sample_rate=44_100, seconds=4).write(path)


@pytest.fixture
def read():
    return Audio.read
