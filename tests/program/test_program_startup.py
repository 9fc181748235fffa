"""The light path stays light: looking things up never loads what processing needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("numpy", "torch", "pedalboard", "soundfile", "scipy", "soxr", "av", "mutagen", "matplotlib")
PROBE = """
import json, sys
sys.argv = ["wavechain", *json.loads(sys.argv[1])]
from wavechain_cli.app import main
try:
    main()
except SystemExit:
    pass
print(json.dumps([name for name in {heavy!r} if name in sys.modules]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["plugins", "list"],
        ["plugins", "list", "--json"],
        ["plugins", "show", "pedalboard"],
        ["stages", "list"],
        ["presets", "list"],
        ["presets", "show", "podcast"],
        ["--show-completion"],
    ],
)
def test_looking_up_loads_nothing_heavy(arguments):
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stderr.splitlines()[-1]) == []


def test_completion_loads_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), json.dumps([])],
        env={"_WAVECHAIN_COMPLETE": "complete_bash", "COMP_WORDS": "wavechain ru", "COMP_CWORD": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stderr.splitlines()[-1]) == []
    assert "run" in done.stdout


@pytest.mark.parametrize(("set_by_the_user", "threads"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")])
def test_linear_algebra_has_one_thread_unless_told_otherwise(set_by_the_user, threads):
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=()) + "import os; print(os.environ['OPENBLAS_NUM_THREADS'])", "[]"],
        env=environment | set_by_the_user,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == threads


def test_an_effects_only_run_loads_no_torch_and_no_scipy(song, tmp_path):
    arguments = ["run", str(song), str(tmp_path / "o.flac"), "-s", "compressor", "-s", "loudness", "-q"]
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=("torch", "scipy", "matplotlib")), json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stderr.splitlines()[-1]) == []
    assert (tmp_path / "o.flac").exists()
