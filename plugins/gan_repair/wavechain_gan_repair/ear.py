"""Is this a voice, and is it in a room? Heard from how levels change, by a few small perceptrons.

A room makes sounds end slowly while it lets them begin as fast as ever: falls of a band's level are slower than rises.
Speech sways more deeply than music, and some four times a second.

    levels    of `BANDS` bands between 150 Hz and 10 kHz, in dB, a column each 12 ms. The level itself does not matter
    traits    of a few seconds of levels: how often a band that sounds falls, and rises, by more than so many dB in so
              many columns; how much of the sway of the whole is slow, syllabic or fast; how deep it goes
    chances   that of a voice, and that of a voice in a room, from the traits

The weights are in ``ear.json``; ``tools/fit_ear.py`` fits them to the corpus of repairnet, worsened by the trainer's
degradations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wavechain.stream import Block
from wavechain_gan_repair.around import Around

BANDS, LOWEST_HZ, HIGHEST_HZ = 24, 150.0, 10_000.0
COLUMN_SECONDS = 512 / 44_100
FEWEST = 172  # columns, two seconds: less tells nothing
BEFORE, AFTER, EVERY = 516, 172, 64  # columns: six seconds before and two after are listened to, and again so often

LAGS = (3, 6, 12, 24)  # columns
STEPS_DB = (6.0, 12.0, 18.0, 24.0)
ABOVE_FLOOR_DB, BELOW_PEAK_DB = 15.0, 25.0  # a band sounds while it is that far above its quietest, below its loudest
SWAYS_HZ = (0.2, 1.0, 3.0, 8.0, 20.0)
QUIET_DB = 25.0

Levels = NDArray[np.float32]


class Chances(NamedTuple):
    """0 to 1 each."""

    voice: float
    voice_in_room: float


class Ear:
    """For spectra of one kind. Shape (channels, 2, hops, bins), of *hz_per_bin*."""

    def __init__(self, bins: int, hz_per_bin: float) -> None:
        edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) / hz_per_bin
        self._edges: NDArray[np.int64] = np.unique(np.round(edges[edges < bins]).astype(np.int64))
        self._sizes = np.diff(self._edges)

    def levels(self, spectra: Block) -> Levels:
        """All channels together. -> (bands, hops)"""
        power = np.square(spectra).sum(axis=(0, 1))
        bands = np.add.reduceat(power, self._edges, axis=1)[:, :-1] / self._sizes
        return 10 * np.log10(bands.T + np.float32(1e-12))

    def chances(self, levels: Levels) -> Chances:
        """Where there is too little to tell, it may be a voice or not, and is in no room."""
        if levels.shape[1] < FEWEST or levels.shape[0] < 2:
            return Chances(0.5, 0.0)
        logits = perceive(traits(levels), weights("ear"))
        return Chances(*(float(chance) for chance in 1 / (1 + np.exp(-logits))))


class Hearing:
    """What is heard around each stretch of a stream, told once the two seconds after it have come.

    Shape   stretches (channels, 2, hops, bins), all of the same *hops*
    """

    def __init__(self, ear: Ear, hops: int) -> None:
        self._ear, self._hops = ear, hops
        self._around: Around[Levels] = Around(BEFORE // hops, AFTER // hops)
        self._heard = Chances(0.0, 0.0)
        self._sum, self._told = np.zeros(len(self._heard)), 0

    def push(self, stretch: Block, inside: int) -> Iterator[Chances]:
        """Takes one in, of which *inside* hops belong to the stream; one is told, or none yet."""
        return map(self._hear, self._around.push(self._ear.levels(stretch)[:, :inside]))

    def rest(self) -> Iterator[Chances]:
        """Those that still wait."""
        return map(self._hear, self._around.rest())

    @property
    def mean(self) -> Chances | None:
        """Of all that was told, if anything was."""
        return Chances(*(float(each) for each in self._sum / self._told)) if self._told else None

    def _hear(self, heard: tuple[int, list[Levels], int]) -> Chances:
        told, around, _ = heard
        if told * self._hops % EVERY == 0:
            self._heard = self._ear.chances(np.concatenate(around, axis=1))
        self._told += 1
        self._sum += self._heard
        return self._heard


def traits(levels: Levels) -> NDArray[np.float64]:
    """(bands, hops) -> what is heard in them; its length is fixed."""
    floor, peak = np.quantile(levels, (0.05, 0.95), axis=1, keepdims=True)
    sounds = (levels > floor + ABOVE_FLOOR_DB) & (levels > peak - BELOW_PEAK_DB)
    found: list[float] = []
    for lag in LAGS:
        fall = levels[:, :-lag] - levels[:, lag:]
        for change in (fall[sounds[:, :-lag]], -fall[sounds[:, lag:]]):
            found += [float(np.log(((change > step).sum() + 1) / (change.size + 20))) for step in STEPS_DB]
            found.append(float(change.mean()) if change.size else 0.0)
    whole = 10 * np.log10((10 ** (levels / 10)).sum(axis=0) + 1e-9)
    found += _sways(whole)
    found += [float((whole < whole.max() - QUIET_DB).mean()), float((peak - floor).mean())]
    found += [float((peak - floor).std()), float(np.abs(np.diff(levels, axis=1)).mean())]
    return np.array(found)


def _sways(whole: NDArray[np.float64]) -> list[float]:
    """How much of the level's modulation lies between two of `SWAYS_HZ`."""
    power = np.square(np.abs(np.fft.rfft((whole - whole.mean()) * np.hanning(whole.size))))
    hz = np.fft.rfftfreq(whole.size, COLUMN_SECONDS)
    all_of_it = power[1:].sum() + 1e-9
    return [float(power[(hz > low) & (hz <= high)].sum() / all_of_it) for low, high in pairwise(SWAYS_HZ)]


def perceive(
    traits: NDArray[np.float64], weights: dict[str, NDArray[np.float64]], within: float = np.inf
) -> NDArray[np.float64]:
    """What perceptrons of one hidden layer, side by side, say in the mean: logits.

    within  of their spread, that traits count for at most
    Shape   (..., traits) -> (..., logits)
    """
    scaled = np.clip((traits - weights["mean"]) / weights["scale"], -within, within)
    hidden = scaled @ weights["enter"] + weights["enter_bias"]
    logits: NDArray[np.float64] = hidden / (1 + np.exp(-hidden)) @ weights["leave"] + weights["leave_bias"]
    return logits


@cache
def weights(name: str) -> dict[str, NDArray[np.float64]]:
    """Of `perceive`, from a file of this package."""
    text = resources.files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8")
    return {key: np.array(values) for key, values in json.loads(text).items()}
