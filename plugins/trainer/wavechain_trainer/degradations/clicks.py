"""Clicks and crackle: scratches, dust, static, and samples that a digital link got wrong.

Conventions: each click stands so many dB above what sounds around it; crackle lies below the level of the whole clip.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from wavechain import param
from wavechain.recipes import Degradation, Surroundings
from wavechain.stream import Block
from wavechain_trainer.degradations.levels import active_rms
from wavechain_trainer.degradations.spans import Span, draw_log, within

_AROUND_SECONDS = 0.02
_PAUSE_DB = -40.0  # in pauses a click is measured against this much below the level of the clip


class Clicks(Degradation):
    """Add single clicks, and at times a bed of crackle."""

    per_second: Annotated[Span, within(0.01, 1000)] = param(
        (0.5, 30.0), unit="1/s", help="How many clicks a second, drawn from this range; at least one falls in a clip."
    )
    length: Annotated[tuple[int, int], within(1, 10_000)] = param(
        (1, 40), unit="frames", help="How long a click lasts, drawn from this range."
    )
    level_db: Annotated[Span, within(-60, 80)] = param(
        (6.0, 30.0), unit="dB", help="How far its peak stands above the level around it, drawn from this range."
    )
    crackle: float = param(0.3, ge=0, le=1, help="How often there is crackle as well.")

    def apply(
        self, waveform: Block, sample_rate: int, rng: np.random.Generator, surroundings: Surroundings
    ) -> tuple[Block, Block]:
        channels, frames = waveform.shape
        level = active_rms(waveform, sample_rate)
        if level == 0:
            return waveform.copy(), waveform
        count = max(1, int(rng.poisson(draw_log(rng, self.per_second) * frames / sample_rate)))
        starts = rng.integers(0, frames, count)
        around = _level_around(waveform, starts, max(1, int(_AROUND_SECONDS * sample_rate)))
        peaks = np.maximum(around, level * 10 ** (_PAUSE_DB / 20)) * 10 ** (rng.uniform(*self.level_db, count) / 20)
        pulses = _pulses(count, self.length, rng) * peaks[:, None]
        bed = np.zeros(frames + pulses.shape[1], dtype=np.float64)
        np.add.at(bed, starts[:, None] + np.arange(pulses.shape[1]), pulses)
        if rng.random() < self.crackle:
            _add_crackle(bed[: frames + 1], sample_rate, level, rng)
        # A scratch across a stereo groove is in both channels, rarely equally.
        gains = np.ones((channels, 1)) if channels == 1 else rng.uniform(0.2, 1.0, (channels, 1))
        return waveform + (gains / gains.max() * bed[:frames]).astype(np.float32), waveform


def _level_around(waveform: Block, starts: NDArray[np.int64], reach: int) -> NDArray[np.float64]:
    """RMS over *reach* frames to either side of each start. (count,)"""
    summed = np.zeros(waveform.shape[1] + 1)
    np.cumsum(np.einsum("cf,cf->f", waveform, waveform) / waveform.shape[0], out=summed[1:])
    low, high = np.maximum(starts - reach, 0), np.minimum(starts + reach, waveform.shape[1])
    power = (summed[high] - summed[low]) / np.maximum(high - low, 1)
    around: NDArray[np.float64] = np.sqrt(np.maximum(power, 0))
    return around


def _pulses(count: int, length: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """*count* clicks of peak 1, one a row, zeros after each: ringing ones that die away, and steps that hold."""
    lengths = rng.integers(length[0], length[1] + 1, (count, 1))
    time = np.arange(length[1])
    turns = rng.uniform(0, 0.4, (count, 1))  # of its ringing, per frame
    ringing = np.cos(2 * np.pi * turns * time) * np.exp(-3 * time / lengths)
    shape = np.where(rng.random((count, 1)) < 0.25, 1.0, ringing)
    pulses: NDArray[np.float64] = np.where(time < lengths, shape, 0.0) * rng.choice([-1.0, 1.0], (count, 1))
    return pulses


def _add_crackle(bed: NDArray[np.float64], sample_rate: int, level: float, rng: np.random.Generator) -> None:
    """Many small ones: 100 to 1500 a second, one or two frames long, a few of them much larger than most."""
    count = int(draw_log(rng, (100.0, 1500.0)) * bed.size / sample_rate)
    starts = rng.integers(0, bed.size - 1, count)
    heights = rng.laplace(0, level * 10 ** (rng.uniform(-25, -5) / 20), count)
    np.add.at(bed, starts, heights)
    np.add.at(bed, starts + 1, -0.5 * heights)
