"""Recipes and degradations with one fault each. `test_testing_part_faults.py` holds the kit to finding them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import field_validator
from torch import nn

from wavechain.params import param
from wavechain.recipes import Degradation, Phase, Recipe, Turn

COUNTED = itertools.count()


class Fine(Recipe):
    """A filter that learns to take noise away, and from half-way on to convince a judge."""

    level: float = param(0.1, ge=0, help="How loud the noise is.")

    sample_rate = property(lambda self: 8_000)
    crop_seconds = property(lambda self: 0.05)

    def networks(self) -> dict[str, Any]:
        return {"net": nn.Conv1d(1, 1, 9, padding=4), "judge": nn.Conv1d(1, 1, 9)}

    def turns(self, step: int, steps: int) -> Sequence[Turn]:
        if 2 * step < steps:
            return [Turn("learn", ("net",))]
        return [Turn("judge", ("judge",)), Turn("convince", ("net",))]

    def phases(self, steps: int) -> Sequence[Phase]:
        return [Phase(0, "net learns"), Phase(-(-steps // 2), "the judge joins")]

    def prepare(self, clips, rngs, surroundings):
        clean = np.stack([clip[:1] for clip in clips])
        noise = np.stack([rng.standard_normal(clean.shape[1:]) for rng in rngs])
        return {"clean": clean, "noisy": (clean + self.level * noise).astype(np.float32)}

    def loss(self, turn, batch, networks):
        mended = networks["net"](batch["noisy"])
        if turn.name == "judge":
            return {"game": networks["judge"](mended.detach()).mean() - networks["judge"](batch["clean"]).mean()}
        parts = {"distance": (mended - batch["clean"]).square().mean(), "_chance": torch.rand(())}
        if turn.name == "convince":
            parts["game"] = -networks["judge"](mended).mean()
        return parts

    def evaluate(self, batch, networks):
        return {"score": -float((networks["net"](batch["noisy"]) - batch["clean"]).square().mean())}

    def preview(self, batch, networks):
        return {"mended": networks["net"](batch["noisy"])[0].numpy()}


class FineWithoutChance(Fine):
    """Draws nothing, tells of nothing, has no judge; a batch of whole numbers."""

    def networks(self):
        return {"net": nn.Embedding(8, 8)}

    def turns(self, step, steps):
        return [Turn("learn", ("net",), repeat=2)]

    def phases(self, steps):
        return ()

    def prepare(self, clips, rngs, surroundings):
        return {"levels": np.stack([np.digitize(clip[0], np.linspace(-1, 1, 7)) for clip in clips])}

    def loss(self, turn, batch, networks):
        return {"surprise": nn.functional.cross_entropy(networks["net"](batch["levels"]).mT, batch["levels"])}

    def evaluate(self, batch, networks):
        return {}

    def preview(self, batch, networks):
        return {}


class DoublesItsLevel(Fine):
    """Turns its level up whenever it is made."""

    @field_validator("level")
    @classmethod
    def _louder(cls, level: float) -> float:
        return 2 * level


class RateIsNoWholeNumber(Fine):
    """A rate in kHz."""

    sample_rate = property(lambda self: 22.05)


class NoFrameFits(Fine):
    """Clips shorter than a sample."""

    crop_seconds = property(lambda self: 1e-5)


class WeightsFromNumpy(Fine):
    """Initialised by chance of its own."""

    def networks(self):
        networks = super().networks()
        nn.init.constant_(networks["net"].bias, float(np.random.default_rng().random()))
        return networks


class NetworkIsAFunction(Fine):
    """A judge without weights."""

    def networks(self):
        return {**super().networks(), "judge": torch.tanh}


class MisspeltNetwork(Fine):
    """A turn of somebody who is not there."""

    def turns(self, step, steps):
        return [Turn("learn", ("net",)), Turn("judge", ("jugde",))]


class NobodysTurn(Fine):
    """Ends with steps in which nothing moves."""

    def turns(self, step, steps):
        return super().turns(step, steps) if step < steps - 1 else []


class NeverTrained(Fine):
    """Makes a judge that never has its turn."""

    def turns(self, step, steps):
        return [Turn("learn", ("net",))]


class PhasesOfAnotherRun(Fine):
    """Phases of a run of four thousand steps, whatever it is told."""

    def phases(self, steps):
        return [Phase(0, "net learns"), Phase(2_000, "the judge joins")]


class PhasesLate(Fine):
    """Does not say how it begins."""

    def phases(self, steps):
        return super().phases(steps)[1:]


class DoublePrecision(Fine):
    """As NumPy's generators give it."""

    def prepare(self, clips, rngs, surroundings):
        return {name: array.astype(np.float64) for name, array in super().prepare(clips, rngs, surroundings).items()}


class BatchLast(Fine):
    """The items of the batch along its last axis."""

    def prepare(self, clips, rngs, surroundings):
        return {name: np.moveaxis(each, 0, -1) for name, each in super().prepare(clips, rngs, surroundings).items()}


class LogarithmOfSilence(Fine):
    """Minus infinity where nobody talks."""

    def prepare(self, clips, rngs, surroundings):
        batch = super().prepare(clips, rngs, surroundings)
        with np.errstate(divide="ignore"):
            return {**batch, "level": np.log(np.maximum(np.abs(batch["clean"]) - 0.1, 0))}


class ListsOfClips(Fine):
    """A list in place of an array."""

    def prepare(self, clips, rngs, surroundings):
        return {**super().prepare(clips, rngs, surroundings), "names": ["music"] * len(clips)}


class GlobalChance(Fine):
    """Noise that no run would hear again."""

    def prepare(self, clips, rngs, surroundings):
        batch = super().prepare(clips, rngs, surroundings)
        return {**batch, "noisy": batch["noisy"] + np.float32(np.random.default_rng().random())}


class SeedOfOneNumber(Fine):
    """A seed between 0 and 1, rounded down."""

    def prepare(self, clips, rngs, surroundings):
        return super().prepare(clips, [np.random.default_rng(int(rng.random())) for rng in rngs], surroundings)


class NormalizesInPlace(Fine):
    """Brings the trainer's own clips to full scale."""

    def prepare(self, clips, rngs, surroundings):
        for clip in clips:
            clip /= np.abs(clip).max()
        return super().prepare(clips, rngs, surroundings)


class LossNotANumber(Fine):
    """The root of something negative."""

    def loss(self, turn, batch, networks):
        return {
            **super().loss(turn, batch, networks),
            "root": -1 * (networks["net"].bias.square().sum() + 1).neg().sqrt(),
        }


class LossPerItem(Fine):
    """Not averaged."""

    def loss(self, turn, batch, networks):
        mended = networks["net"](batch["noisy"])
        return {**super().loss(turn, batch, networks), "items": (mended - batch["clean"]).square().mean(dim=(1, 2))}


class LossIsAFloat(Fine):
    """A number that has forgotten where it came from."""

    def loss(self, turn, batch, networks):
        return {name: float(part.detach()) for name, part in super().loss(turn, batch, networks).items()}


class NothingCounts(Fine):
    """All of it only shown."""

    def loss(self, turn, batch, networks):
        return {f"_{name}": part for name, part in super().loss(turn, batch, networks).items()}


class DetachedLoss(Fine):
    """The judge's opinion, of sound that nobody made."""

    def loss(self, turn, batch, networks):
        if turn.name == "convince":
            return {"game": -networks["judge"](networks["net"](batch["noisy"]).detach()).mean()}
        return super().loss(turn, batch, networks)


class TurnOfOneTooMany(Fine):
    """Says that the judge moves when the net learns."""

    def turns(self, step, steps):
        return [Turn("learn", ("net", "judge")), Turn("judge", ("judge",))]


class CountsOnTheModule(Fine):
    """A loss that weighs more each time."""

    def loss(self, turn, batch, networks):
        return {name: part * (1 + next(COUNTED)) for name, part in super().loss(turn, batch, networks).items()}


class FigureIsATensor(Fine):
    """Figures as torch has them."""

    def evaluate(self, batch, networks):
        return {"error": networks["net"](batch["noisy"]).square().mean()}


class FigureIsInfinite(Fine):
    """The decibels of nothing."""

    def evaluate(self, batch, networks):
        return {"gain-db": -float("inf")}


class PreviewOfTheWholeBatch(Fine):
    """Three items at once."""

    def preview(self, batch, networks):
        return {"mended": networks["net"](batch["noisy"]).numpy()}


class PreviewIsATensor(Fine):
    """Sound as torch has it."""

    def preview(self, batch, networks):
        return {"mended": networks["net"](batch["noisy"])[0]}


class PreviewIsSilentNaN(Fine):
    """Nothing, divided by its peak."""

    def preview(self, batch, networks):
        return {"mended": np.full((1, 400), np.nan, np.float32)}


class Crashes(Fine):
    """Takes every clip for stereo."""

    def prepare(self, clips, rngs, surroundings):
        return {"clean": np.stack([clip[[0, 1]] for clip in clips])}


# -- degradations ------------------------------------------------------------------------------------------------------


class FineHiss(Degradation):
    """Noise."""

    level: float = param(0.1, ge=0, help="How loud it is.")

    def apply(self, waveform, sample_rate, rng, surroundings):
        return waveform + (self.level * rng.standard_normal(waveform.shape)).astype(np.float32), waveform


class FineRarely(FineHiss):
    """Noise on one clip in twenty, as a share of its peak."""

    def apply(self, waveform, sample_rate, rng, surroundings):
        if rng.random() < 0.95:
            return waveform.copy(), waveform
        return super().apply(waveform, sample_rate, rng, surroundings)


class FineCut(Degradation):
    """No chance in it: cut off at half of full scale."""

    def apply(self, waveform, sample_rate, rng, surroundings):
        return np.clip(waveform, -0.5, 0.5), waveform


class FineRoom(FineHiss):
    """Quieter, and that is wanted."""

    changes_wanted: ClassVar[bool] = True

    def apply(self, waveform, sample_rate, rng, surroundings):
        return super().apply(waveform, sample_rate, rng, surroundings)[0], np.float32(0.5) * waveform


class HissInDouble(FineHiss):
    """Noise, in double precision."""

    def apply(self, waveform, sample_rate, rng, surroundings):
        return waveform + self.level * rng.standard_normal(waveform.shape), waveform


class RingsOn(FineHiss):
    """An echo behind the end of the clip."""

    def apply(self, waveform, sample_rate, rng, surroundings):
        return np.pad(waveform, ((0, 0), (0, int(rng.integers(1, 9))))), waveform


class MonoOnly(FineHiss):
    """One sound of two channels."""

    def apply(self, waveform, sample_rate, rng, surroundings):
        return super().apply(waveform.mean(axis=0, keepdims=True), sample_rate, rng, surroundings)[0], waveform


class GivesBackOne(FineHiss):
    """What is heard, and nothing of what is wanted."""

    def apply(self, waveform, sample_rate, rng, surroundings):
        return super().apply(waveform, sample_rate, rng, surroundings)[0]


class ShareOfThePeak(FineHiss):
    """Silence divided by silence."""

    def apply(self, waveform, sample_rate, rng, surroundings):
        heard, wanted = super().apply(waveform, sample_rate, rng, surroundings)
        with np.errstate(invalid="ignore", divide="ignore"):
            return heard / np.abs(waveform).max(), wanted


class NeedsAWord(FineHiss):
    """Not for clips shorter than 256 frames."""

    def apply(self, waveform, sample_rate, rng, surroundings):
        np.lib.stride_tricks.sliding_window_view(waveform[0], 256)
        return super().apply(waveform, sample_rate, rng, surroundings)


class NoiseOfItsOwn(FineHiss):
    """Chance that nobody handed in."""

    def apply(self, waveform, sample_rate, rng, surroundings):
        return super().apply(waveform, sample_rate, np.random.default_rng(), surroundings)


class AlwaysTheSame(FineHiss):
    """Draws, and uses none of it."""

    def apply(self, waveform, sample_rate, rng, surroundings):
        return super().apply(waveform, sample_rate, np.random.default_rng(int(rng.random())), surroundings)


class WorsensInPlace(FineHiss):
    """Adds to what it is given."""

    def apply(self, waveform, sample_rate, rng, surroundings):
        kept = waveform.copy()
        waveform += super().apply(waveform, sample_rate, rng, surroundings)[0] - kept
        return waveform.copy(), waveform


class WantsLessWithoutAWord(FineHiss):
    """Wants it quieter, and does not say so."""

    def apply(self, waveform, sample_rate, rng, surroundings):
        return super().apply(waveform, sample_rate, rng, surroundings)[0], np.float32(0.5) * waveform


class SaysItWantsLess(FineHiss):
    """Says that it wants something else, and never does."""

    changes_wanted: ClassVar[bool] = True
