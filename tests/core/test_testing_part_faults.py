"""The conformance kit finds what is wrong with recipes and degradations; those without fault it leaves alone."""

from __future__ import annotations

import pytest

from wavechain.testing.checks import (
    DEGRADATION_CHECKS,
    RECIPE_CHECKS,
    DegradationSubject,
    RecipeSubject,
    examine,
)
from wavechain.testing.promises import PROMISES

torch = pytest.importorskip("torch")

import faulty_parts as faulty  # noqa: E402

RECIPES = {
    faulty.Fine: set(),
    faulty.FineWithoutChance: set(),
    faulty.DoublesItsLevel: {"settings-round-trip"},
    faulty.RateIsNoWholeNumber: {"clips-can-be-cut"},
    faulty.NoFrameFits: {"clips-can-be-cut"},
    faulty.WeightsFromNumpy: {"networks-from-the-seed"},
    faulty.NetworkIsAFunction: {"networks-from-the-seed"},
    faulty.MisspeltNetwork: {"turns-name-networks"},
    faulty.NobodysTurn: {"turns-name-networks"},
    faulty.NeverTrained: {"turns-name-networks"},
    faulty.PhasesOfAnotherRun: {"phases-ascend"},
    faulty.PhasesLate: {"phases-ascend"},
    faulty.DoublePrecision: {"batch-in-form"},
    faulty.BatchLast: {"batch-in-form"},
    faulty.LogarithmOfSilence: {"batch-in-form"},
    faulty.ListsOfClips: {"batch-in-form"},
    faulty.Crashes: {"batch-in-form", "input-untouched"},
    faulty.GlobalChance: {"chance-from-the-generators"},
    faulty.SeedOfOneNumber: {"chance-from-the-generators"},
    faulty.NormalizesInPlace: {"input-untouched"},
    faulty.LossNotANumber: {"loss-is-finite"},
    faulty.LossPerItem: {"loss-is-finite"},
    faulty.LossIsAFloat: {"loss-is-finite"},
    faulty.NothingCounts: {"loss-is-finite"},
    faulty.DetachedLoss: {"loss-moves-its-networks"},
    faulty.TurnOfOneTooMany: {"loss-moves-its-networks"},
    faulty.CountsOnTheModule: {"loss-repeats"},
    faulty.FigureIsATensor: {"figures-are-finite"},
    faulty.FigureIsInfinite: {"figures-are-finite"},
    faulty.PreviewOfTheWholeBatch: {"preview-is-sound"},
    faulty.PreviewIsATensor: {"preview-is-sound"},
    faulty.PreviewIsSilentNaN: {"preview-is-sound"},
}
DEGRADATIONS = {
    faulty.FineHiss: set(),
    faulty.FineRarely: set(),
    faulty.FineCut: set(),
    faulty.FineRoom: set(),
    faulty.HissInDouble: {"worsened-keeps-shape"},
    faulty.RingsOn: {"worsened-keeps-shape"},
    faulty.MonoOnly: {"worsened-keeps-shape"},
    faulty.GivesBackOne: {"worsened-keeps-shape"},
    faulty.ShareOfThePeak: {"finite-output"},
    faulty.NoiseOfItsOwn: {"chance-from-the-generators"},
    faulty.AlwaysTheSame: {"chance-from-the-generators"},
    faulty.WorsensInPlace: {"input-untouched"},
    faulty.WantsLessWithoutAWord: {"wanted-as-declared"},
    faulty.SaysItWantsLess: {"wanted-as-declared"},
}


def reports(subject: RecipeSubject | DegradationSubject) -> dict[str, str]:
    checks = RECIPE_CHECKS if isinstance(subject, RecipeSubject) else DEGRADATION_CHECKS
    return {outcome.promise: outcome.text for outcome in examine(subject, checks) if outcome.state == "broken"}


@pytest.mark.parametrize("fault", RECIPES, ids=lambda kind: kind.__name__)
def test_a_recipe_is_called_what_it_is(fault):
    random = torch.get_rng_state()
    found = reports(RecipeSubject(fault()))
    assert set(found) == RECIPES[fault], "\n".join(found.values())
    for promise, text in found.items():
        assert text.startswith(f"{fault()!r} breaks the promise {promise}: {PROMISES[promise][0]}.")
        assert "\n  Try: " in text
    assert torch.equal(random, torch.get_rng_state())


@pytest.mark.parametrize("fault", DEGRADATIONS, ids=lambda kind: kind.__name__)
def test_a_degradation_is_called_what_it_is(fault):
    found = reports(DegradationSubject(fault()))
    assert set(found) == DEGRADATIONS[fault], "\n".join(found.values())


def test_what_is_found_is_said_with_its_turn_and_network():
    text = reports(RecipeSubject(faulty.TurnOfOneTooMany()))["loss-moves-its-networks"]
    assert "\n  learn: the gradient in judge is 0 everywhere.\n" in text
    text = reports(RecipeSubject(faulty.MisspeltNetwork()))["turns-name-networks"]
    assert "names jugde; networks() makes net, judge.\n" in text
    assert "faulty_parts.py:" in reports(RecipeSubject(faulty.Crashes()))["batch-in-form"]


def test_a_degradation_that_fails_on_a_short_clip_says_so_wherever_it_is_tried():
    found = reports(DegradationSubject(faulty.NeedsAWord()))
    assert "worsened-keeps-shape" in found
    assert "window shape cannot be larger than input array shape" in found["worsened-keeps-shape"]
