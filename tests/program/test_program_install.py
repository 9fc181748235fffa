"""Installed by pip into an empty environment: the base alone, then the effects on top."""

from __future__ import annotations

import json
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def test_pip_install_gives_a_working_program_and_an_extra_adds_to_it(song, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python, program = tmp_path / "env/bin/python", tmp_path / "env/bin/wavechain"

    def pip(target: str) -> None:
        subprocess.run([python, "-m", "pip", "install", "--quiet", target], check=True, cwd=tmp_path)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)

    pip(str(ROOT))
    done = run("run", song, tmp_path / "o.flac", "-s", "highpass", "-s", "loudness:target_lufs=-16")
    assert (done.returncode, done.stderr.count("error")) == (0, 0)
    (measured,) = [json.loads(line) for line in run("inspect", tmp_path / "o.flac", "--json").stdout.splitlines()]
    assert measured["integrated_lufs"] == pytest.approx(-16, abs=0.1)
    done = run("run", song, tmp_path / "c.flac", "-s", "compressor")
    assert done.returncode == 3
    assert "Try: pip install 'wavechain[effects]'" in done.stderr
    states = {plugin["name"]: plugin["state"] for plugin in json.loads(run("plugins", "list", "--json").stdout)}
    assert (states["pedalboard"], states["av"], states["essentials"]) == ("unavailable", "unavailable", "loaded")

    pip(f"{ROOT}[effects]")
    assert run("run", song, tmp_path / "c.flac", "-s", "compressor").returncode == 0
