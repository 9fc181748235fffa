"""A contract class checks everything, and nothing can be taken away from it unnoticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wavechain import Effect, Processor, Spec, param, pointwise
from wavechain.testing import (
    DegradationContract,
    EffectContract,
    LoaderContract,
    PluginContract,
    RecipeContract,
    WriterContract,
    checks,
)
from wavechain.testing.contract import ContractError
from wavechain.testing.promises import PROMISES

REASON = "It moves sound in time, as people ask of it."


class Quieter(Effect):
    """Turns it down."""

    factor: float = param(0.5, ge=0, le=1, help="How far.")

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block * self.factor)


def contract(base: type = EffectContract, **members: object) -> type:
    return type("TestQuieter", (base,), {"stage": Quieter(), "__module__": __name__, **members})


def refusal(base: type = EffectContract, **members: object) -> str:
    with pytest.raises(ContractError) as caught:
        contract(base, **members)
    return str(caught.value)


def test_there_is_a_test_for_every_promise():
    made = contract()
    for promise in checks.STREAM_CHECKS:
        assert callable(getattr(made, f"test_{promise.replace('-', '_')}"))


def test_every_check_is_about_a_promise_and_every_promise_is_checked():
    lists = (checks.STREAM_CHECKS, checks.TRANSFORM_CHECKS, checks.MODEL_CHECKS)
    lists = (*lists, checks.LOADER_CHECKS, checks.WRITER_CHECKS, checks.PLUGIN_CHECKS)
    lists = (*lists, checks.RECIPE_CHECKS, checks.DEGRADATION_CHECKS)
    assert {promise for each in lists for promise in each} == set(PROMISES)


@pytest.mark.parametrize("replacement", [None, lambda self, stage: None, property(lambda self: None)])
def test_a_check_cannot_be_overridden(replacement):
    text = refusal(test_streamed_is_whole=replacement)
    assert text == (
        "TestQuieter overrides test_streamed_is_whole, which belongs to EffectContract. "
        'Try: exceptions = {"streamed-is-whole": "why"}.'
    )


def test_a_check_cannot_be_overridden_through_another_class():
    mixin = type("Mixin", (), {"test_pickles": lambda self: None})
    with pytest.raises(ContractError, match="overrides test_pickles"):
        type("TestQuieter", (mixin, EffectContract), {"stage": Quieter()})


@pytest.mark.parametrize("name", ["__test__", "pytest_generate_tests", "_checks", "_cases", "_subject"])
def test_the_tests_cannot_be_kept_from_running(name):
    assert f"overrides {name}" in refusal(**{name: False})


def test_an_exception_needs_a_promise_and_a_reason():
    assert "no promise is called 'latency'. Try: latency-by-impulse." in refusal(exceptions={"latency": REASON})
    assert "has no reason" in refusal(exceptions={"latency-by-impulse": "slow"})


def test_what_is_missing_is_asked_for():
    assert "names no stage" in refusal(stage=None)
    assert "is not a Chainable object" in refusal(stage=Quieter)
    assert "is not a Loader object" in refusal(LoaderContract)
    assert "is not a Writer object" in refusal(WriterContract, suffix=".wav")
    assert "is not a Recipe object" in refusal(RecipeContract)
    assert "is not a Degradation object" in refusal(DegradationContract)
    assert "names no plugin" in refusal(PluginContract)


def test_a_run_reports_like_a_colleague_and_lists_what_is_left_out(tmp_path):
    (tmp_path / "quiet_stage.py").write_text(
        '''"""Turns it down."""
import numpy as np
from wavechain import Effect, param, pointwise

class Quieter(Effect):
    factor: float = param(0.5, ge=0, le=1, help="How far.")

    def open(self, spec):
        return pointwise(spec, lambda block: block * np.float32(self.factor) + np.float32(0.1 + (block.shape[-1] == 1)))
''',
        encoding="utf-8",
    )
    (tmp_path / "test_quiet.py").write_text(
        f"""
from quiet_stage import Quieter
from wavechain.testing import EffectContract

class TestQuieter(EffectContract):
    stages = [Quieter(), Quieter(factor=0.1)]
    exceptions = {{"silence-stays-silent": "{REASON}", "pickles": "{REASON}"}}

    def test_of_its_own(self, stage):
        assert stage.factor < 1
""",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join([str(tmp_path), *map(str, filter(None, sys.path))]), "PATH": ""},
    )
    assert "wavechain: promises that are not made" in done.stdout
    assert f"TestQuieter: silence-stays-silent: {REASON}" in done.stdout
    assert (
        "TestQuieter: an exception from pickles is declared, and the promise is kept. Try: take it out" in done.stdout
    )
    assert (
        "Quieter(factor=0.5) breaks the promise streamed-is-whole: however the input is cut into blocks, "
        "the output is the same.\n  Input: audio 48000 Hz, 2 channels, 2 frames, in blocks of 1, over and over.\n"
        "  Output step 0, channel 0: "
    ) in done.stdout
    assert "test_of_its_own" not in done.stdout
    assert done.returncode == 1
    assert Path(tmp_path / "quiet_stage.py").exists()


def test_exceptions_are_listed_when_tests_are_spread_over_processes(tmp_path):
    pytest.importorskip("xdist")
    (tmp_path / "conftest.py").write_text(
        "from wavechain.testing.summary import pytest_testnodedown\n", encoding="utf-8"
    )
    (tmp_path / "test_noting.py").write_text(
        "from wavechain.testing.summary import note_exception\n"
        "def test_noting(request):\n"
        "    note_exception(request.config, 'TestIt', 'pickles', 'It cannot.')\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": ""},
    )
    assert "TestIt: pickles: It cannot." in done.stdout
    assert "1 passed" in done.stdout
