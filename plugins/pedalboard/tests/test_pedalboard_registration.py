"""The entry module: what it offers, under which names, and that it imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import wavechain_pedalboard
from wavechain.registry.register import Register
from wavechain.registry.specs import StageSpec

# Short names that belong to essentials, which needs no pedalboard.
FOREIGN = {"gain", "invert", "polarity", "resample", "highpass", "lowpass", "low-shelf", "high-shelf", "peak"}


def offered() -> list[StageSpec]:
    register = Register("pedalboard", "wavechain-pedalboard")
    wavechain_pedalboard.wavechain_register(register)
    assert register.summary
    return register.stages


def test_every_stage_is_registered_with_its_extra():
    stages = offered()
    assert len(stages) == 25
    for stage in stages:
        assert (stage.kind, stage.requires, stage.extra) == ("effect", ("pedalboard",), "effects")
        assert stage.summary.endswith(".")
        assert len(stage.summary) < 80


def test_short_names_leave_those_of_essentials_alone():
    assert not {stage.name for stage in offered() if stage.short} & FOREIGN
    assert {stage.full_name for stage in offered() if not stage.short} == {
        "pedalboard.gain",
        "pedalboard.invert",
        "pedalboard.resample",
    }


def test_classes_are_called_as_they_are_registered():
    import importlib

    for stage in offered():
        module, _, name = stage.target.partition(":")
        assert getattr(importlib.import_module(module), name).stage_name() == stage.name


def test_the_entry_module_imports_nothing_heavy():
    code = (
        "import sys, wavechain_pedalboard; "
        "print([name for name in ('numpy', 'pedalboard', 'pydantic', 'soundfile') if name in sys.modules])"
    )
    path = ":".join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    assert done.stdout.strip() == "[]"
