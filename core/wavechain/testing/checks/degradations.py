"""What a degradation promises those who draw from it: the same fault for the same chance, and a clip left alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from wavechain.recipes import Degradation, Surroundings
from wavechain.stream import Block
from wavechain.testing.signals import music, noise, silence
from wavechain.testing.subject import PartSubject

RATES = (8_000, 44_100, 96_000)
SHORT = (1, 2, 30, 700)
SEEDS = range(6)
OTHERS = 100  # what happens to one clip in twenty happens to one of these
NAMES = ("worsened", "wanted")


@cache
def _clips() -> tuple[tuple[str, int, Block], ...]:
    """(what it is, sample rate, waveform): music and silence at any rate, mono and stereo, and next to nothing."""
    clips = []
    for rate in RATES:
        for channels in (1, 2):
            where = f"{rate} Hz, {channels} channels"
            clips.append((f"music, {where}", rate, music(sample_rate=rate, seconds=0.6, channels=channels).waveform))
            clips.append(
                (f"silence, {where}", rate, silence(sample_rate=rate, seconds=0.3, channels=channels).waveform)
            )
    what, rate, whole = clips[0]
    clips += [(f"{frames} frames of {what}", rate, np.ascontiguousarray(whole[:, :frames])) for frames in SHORT]
    return tuple(clips)


@dataclass(eq=False)
class DegradationSubject(PartSubject):
    """A degradation, to be tried on music and silence."""

    stage: Degradation

    def apply(self, clip: Block, rate: int, rng: np.random.Generator, around: Surroundings) -> tuple[Block, Block]:
        made: Any = self.stage.apply(clip, rate, rng, around)
        if not isinstance(made, tuple) or [type(each) for each in made] != [np.ndarray, np.ndarray]:
            fact = f"apply() gives {type(made).__name__}, not a tuple of two arrays."
            raise self.broken("worsened-keeps-shape", fact)
        return made

    def heard(self) -> Iterator[tuple[str, Block, tuple[Block, Block]]]:
        """(what it is, the clip that was given, what came of it), every other time with noise around."""
        for what, rate, clip in _clips():
            for seed in SEEDS:
                around = Surroundings([noise(sample_rate=rate, seconds=0.2).waveform[0]] if seed % 2 else ())
                given = clip.copy()
                yield what, given, self.apply(given, rate, np.random.default_rng(seed), around)

    def by_chance(self, seed: int) -> tuple[tuple[Block, Block], bool]:
        """What comes of music, and whether chance had to do with it."""
        _, rate, clip = _clips()[0]
        rng = np.random.default_rng(seed)
        before = rng.bit_generator.state
        return self.apply(clip.copy(), rate, rng, Surroundings()), before != rng.bit_generator.state


def worsened_keeps_shape(subject: DegradationSubject) -> None:
    for what, clip, sounds in subject.heard():
        for name, sound in zip(NAMES, sounds, strict=True):
            if sound.shape != clip.shape or sound.dtype != np.float32:
                fact = f"Of {what}, {name} is {sound.dtype} of shape {sound.shape}, not float32 of {clip.shape}."
                raise subject.broken("worsened-keeps-shape", fact)


def finite_output(subject: DegradationSubject) -> None:
    for what, _, sounds in subject.heard():
        for name, sound in zip(NAMES, sounds, strict=True):
            if not np.isfinite(sound).all():
                raise subject.broken("finite-output", f"Of {what}, {name} is not finite.")


def chance_from_the_generators(subject: DegradationSubject) -> None:
    for seed in SEEDS:
        first, again = subject.by_chance(seed)[0], subject.by_chance(seed)[0]
        for name, one, two in zip(NAMES, first, again, strict=True):
            if not np.array_equal(one, two):
                fact = f"What is {name} differs the second time, from seed {seed}."
                raise subject.broken("chance-from-the-generators", fact)
    (usual, _), drawn = subject.by_chance(0)
    if drawn and all(np.array_equal(usual, subject.by_chance(seed)[0][0]) for seed in range(1, OTHERS)):
        fact = f"It draws from the generator, and makes the same of {OTHERS} seeds."
        raise subject.broken("chance-from-the-generators", fact)


def input_untouched(subject: DegradationSubject) -> None:
    kept = {what: clip for what, _, clip in _clips()}
    for what, clip, _ in subject.heard():
        if not np.array_equal(kept[what], clip):
            raise subject.broken("input-untouched", f"apply() changes {what}, which it is given.")


def wanted_as_declared(subject: DegradationSubject) -> None:
    changed = next((what for what, clip, (_, wanted) in subject.heard() if not np.array_equal(clip, wanted)), "")
    says = subject.stage.changes_wanted
    if bool(changed) != says:
        found = f"of {changed}, something else is wanted" if changed else "the clip itself is wanted, each time"
        raise subject.broken("wanted-as-declared", f"changes_wanted is {says}; {found}.")
