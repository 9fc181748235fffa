"""Promises that every bundled stage keeps, whoever wrote it."""

from __future__ import annotations

import sys

import pytest

from wavechain.params import parameters
from wavechain.registry import registry

STAGES = [spec for spec in registry().stages() if spec.bundled]


@pytest.mark.parametrize("spec", STAGES, ids=lambda spec: spec.full_name)
def test_errors_call_a_stage_by_its_registered_name(spec):
    if spec.kind not in ("loader", "writer"):
        assert registry().load(spec).stage_name() == spec.name


@pytest.mark.parametrize("spec", STAGES, ids=lambda spec: spec.full_name)
def test_every_parameter_says_what_it_does(spec):
    for parameter in parameters(registry().load(spec)):
        assert parameter.help.endswith("."), f"{spec.full_name}.{parameter.name}"
        unit = {"hz": "Hz", "db": "dB", "seconds": "s", "ms": "ms", "lufs": "LUFS", "dbfs": "dBFS", "dbtp": "dBTP"}
        suffix = parameter.name.rpartition("_")[2]
        if suffix in unit:
            assert parameter.unit.startswith(unit[suffix]), f"{spec.full_name}.{parameter.name}"


@pytest.mark.parametrize("spec", STAGES, ids=lambda spec: spec.full_name)
def test_every_stage_has_a_summary_and_documentation(spec):
    assert 10 <= len(spec.summary) <= 90
    stage = registry().load(spec)
    assert stage.__doc__ or sys.modules[stage.__module__].__doc__
