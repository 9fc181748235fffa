"""Toy recipes as a plugin of their own, recordings to train them on, and runs that are killed."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from wavechain.registry import registry, reset
from wavechain.testing import music

TOYS = ("toy_recipes", "toy_families")
SETTINGS = {"steps": 20, "batch": 2, "validate_every": 7, "validation_clips": 2, "warmup_steps": 3}


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """The folder of a site where the toys are installed."""
    site = tmp_path / "site"
    for name in TOYS:
        named = name.replace("_", "-")
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        shutil.copyfile(Path(__file__).with_name(f"{name}.py"), site / f"{name}.py")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {named}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[wavechain.plugins]\n{named} = {name}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    reset()
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield site
    torch.set_num_threads(threads)
    for name in TOYS:
        sys.modules.pop(name, None)
    reset()


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "takes"
    folder.mkdir()
    for seed in range(4):
        music(sample_rate=8_000, seconds=1, channels=1, seed=seed).write(folder / f"take-{seed}.wav")
    return folder


@pytest.fixture
def training(toys):
    """Settings of a short run: ``training("toy-gan", steps=30)``; ``width`` and the like go to the recipe."""

    def make(name="toy-gan", recipe=None, **settings):
        return registry().load("training")(recipe={"name": name, **(recipe or {})}, **{**SETTINGS, **settings})

    return make


@pytest.fixture
def elsewhere(toys, recordings):
    """Runs a few lines in a process of their own, with `train(name, output, **settings)`; gives its exit code."""

    def run(code, *arguments):
        head = f"""
        import os, signal, sys
        from pathlib import Path
        import torch
        from wavechain.registry import registry
        torch.set_num_threads(1)

        def train(name, output, resume=False, progress=None, say=lambda line: None, **settings):
            made = registry().load("training")(recipe={{"name": name}}, **{{**{SETTINGS!r}, **settings}})
            return made.train([Path({str(recordings)!r})], Path(output), resume=resume, progress=progress, say=say)

        def killer(at):
            def progress(step, steps, losses):
                if step == at:
                    os.kill(os.getpid(), signal.SIGKILL)
            return progress
        """
        path = os.pathsep.join([str(toys), *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            [sys.executable, "-c", dedent(head) + dedent(code), *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    return run
