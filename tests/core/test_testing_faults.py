"""The conformance kit finds what authors get wrong, and calls it by the right name; what is right it leaves alone."""

from __future__ import annotations

import re

import faulty_stages as faulty
import pytest

from wavechain.stages import Stage
from wavechain.testing.checks import MODEL_CHECKS, STREAM_CHECKS, TRANSFORM_CHECKS, Checks, examine
from wavechain.testing.promises import PROMISES
from wavechain.testing.subject import Subject

# Each fault, and the promises that are broken with it and by nothing else.
EFFECTS = {
    faulty.Float64Output: {"float32-blocks"},
    faulty.TransposedInMemory: {"float32-blocks"},
    faulty.FramesFirst: {"declared-shape"},
    faulty.MonoBecomesStereo: {"declared-shape"},
    faulty.WrongLength: {"length-law"},
    faulty.LosesTheLastBlock: {"length-law"},
    faulty.IgnoresFlush: {"length-law"},
    faulty.MakesNaN: {"finite-output"},
    faulty.DividesByLevel: {"finite-output"},
    faulty.OutSpecLies: {"out-spec"},
    faulty.NormalizesEachBlock: {"streamed-is-whole"},
    faulty.DependsOnTheFirstBlock: {"streamed-is-whole"},
    faulty.ForgetsItsState: {"streamed-is-whole"},
    faulty.CrashesOnOneFrame: {"short-signals", "streamed-is-whole"},
    faulty.AlwaysCrashes: {"runs"},
    faulty.CrashesOnMono: {"channel-counts"},
    faulty.NeedsTheLength: {"unknown-length"},
    faulty.WrongLatency: {"latency-by-impulse"},
    faulty.LatencyTooLarge: {"latency-by-impulse"},
    faulty.CutTail: {"tail-rings-out"},
    faulty.CutSlapback: {"tail-rings-out"},
    faulty.EndlessTail: {"tail-ends", "silence-stays-silent"},
    faulty.CountsFramesAt44100: {"sounds-alike-at-any-rate"},
    faulty.KnowsTwoRates: {"sample-rates"},
    faulty.AddsDc: {"silence-stays-silent"},
    faulty.HidesNaN: {"nan-is-not-hidden"},
    faulty.HidesNaNAhead: {"nan-is-not-hidden"},
    faulty.StateOnTheClass: {"leaves-no-trace"},
    faulty.UnseededChance: {"same-every-time"},
    faulty.EditsInPlace: {"input-untouched"},
    faulty.ScratchInTheModule: {"same-in-two-threads"},
    faulty.SetUpElsewhere: {"same-in-a-spawned-process"},
    faulty.Leaks: {"bounded-memory"},
    faulty.AnalysisLeaks: {"bounded-memory"},
    faulty.Unpicklable: {"pickles"},
    faulty.WithoutHelp: {"parameters-documented"},
    faulty.WithoutUnit: {"parameters-documented"},
    faulty.Mutable: {"settings-frozen"},
    faulty.TakesAnything: {"settings-frozen"},
}
TRANSFORMS = {
    faulty.InverseIsShifted: {"inverse-comes-back"},
    faulty.InverseDependsOnBlocks: {"inverse-streamed-is-whole"},
    faulty.InverseTakesAnything: {"mismatch-refused"},
    faulty.InverseLeaks: {"inverse-bounded-memory"},
    faulty.ApproximatesNothing: {"inverse-comes-back"},
    faulty.ApproximatesLater: {"inverse-comes-back"},
    faulty.WithoutRecipe: {"features-described"},
    faulty.LogarithmIsLate: {"latency-by-impulse"},
}
MODELS = {
    faulty.SamplesByChance: {"samples-from-the-seed"},
    faulty.CannotSample: {"capabilities-true"},
    faulty.ModelIsLate: {"process-keeps-time", "latency-by-impulse"},
    faulty.DerivativeIsLate: {"process-keeps-time", "latency-by-impulse"},
    faulty.ModelOfHalfTheSound: {"process-keeps-time", "latency-by-impulse"},
}
FINE = {
    faulty.Fine: STREAM_CHECKS,
    faulty.FineFilter: STREAM_CHECKS,
    faulty.FineLate: STREAM_CHECKS,
    faulty.FineLookAhead: STREAM_CHECKS,
    faulty.FineNoise: STREAM_CHECKS,
    faulty.FineEcho: STREAM_CHECKS,
    faulty.FineRinging: STREAM_CHECKS,
    faulty.FineFrames: TRANSFORM_CHECKS,
    faulty.FineApproximation: TRANSFORM_CHECKS,
    faulty.FineLogarithm: TRANSFORM_CHECKS,
    faulty.FineModel: MODEL_CHECKS,
    faulty.FineDerivative: MODEL_CHECKS,
    faulty.FineSampler: MODEL_CHECKS,
}


def reports(stage: Stage, checks: Checks) -> dict[str, str]:
    """What the kit says about a stage: promise -> report."""
    outcomes = examine(Subject(stage, examples=5), checks)
    return {outcome.promise: outcome.text for outcome in outcomes if outcome.state == "broken"}


@pytest.mark.parametrize("fine", FINE, ids=lambda kind: kind.__name__)
def test_a_stage_without_fault_passes(fine):
    assert reports(fine(), FINE[fine]) == {}


@pytest.mark.parametrize("fault", EFFECTS, ids=lambda kind: kind.__name__)
def test_a_faulty_effect_is_called_what_it_is(fault, monkeypatch):
    monkeypatch.setattr(faulty.SetUpElsewhere, "gain", 0.5)
    found = reports(fault(), STREAM_CHECKS)
    assert set(found) == EFFECTS[fault], "\n".join(found.values())
    for promise, text in found.items():
        assert text.startswith(f"{fault()!r} breaks the promise {promise}: {PROMISES[promise][0]}.")
        assert "\n  Try: " in text


@pytest.mark.parametrize("fault", TRANSFORMS, ids=lambda kind: kind.__name__)
def test_a_faulty_transform_is_called_what_it_is(fault):
    found = reports(fault(), TRANSFORM_CHECKS)
    assert set(found) == TRANSFORMS[fault], "\n".join(found.values())


@pytest.mark.parametrize("fault", MODELS, ids=lambda kind: kind.__name__)
def test_a_faulty_model_is_called_what_it_is(fault):
    found = reports(fault(), MODEL_CHECKS)
    assert set(found) == MODELS[fault], "\n".join(found.values())


def test_a_model_that_takes_features_must_know_its_own():
    subject = Subject(faulty.ModelOfOtherColumns(), before=[faulty.FineFrames()], examples=5)
    found = {outcome.promise for outcome in examine(subject, MODEL_CHECKS) if outcome.state == "broken"}
    assert found == {"mismatch-refused"}


def test_the_smallest_input_that_shows_a_fault_is_reported():
    text = reports(faulty.ForgetsItsState(), STREAM_CHECKS)["streamed-is-whole"]
    assert "2 frames, in blocks of 1, 1." in text or "2 frames, in blocks of 1, over and over." in text
    assert re.search(r"Output step 1, channel 0: \S+ in one block, \S+ in blocks; ", text)
