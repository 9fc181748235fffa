"""What a repair changes besides the fault: the waveform of a clean input, loudness, the balance of octaves."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from wavechain.dsp.loudness import LoudnessMeter
from wavechain.stream import Block
from wavechain_evaluation.metric import Metric

_LEAST_DB = -200.0
_LOWEST_OCTAVE_HZ = 62.5
_PRESENT_DB = -60.0


class Change(Metric):
    """Power of the difference over power of the reference. -26 dB is 5 % of the amplitude, -40 dB is 1 %.

    With a clean input, which is its own reference, this is the damage. -200 for equal waveforms.
    """

    higher_is_better: ClassVar[bool] = False

    def __call__(self, reference: Block, estimate: Block, sample_rate: int) -> float:
        wanted = reference.astype(np.float64)
        power, rest = float(np.vdot(wanted, wanted)), float(np.square(estimate - wanted).sum())
        if power == 0:
            return math.nan
        return max(_LEAST_DB, 10 * math.log10(rest / power)) if rest > 0 else _LEAST_DB


class LoudnessChange(Metric):
    """Distance of the two integrated loudnesses (EBU R 128), up or down alike; NaN where one cannot be measured."""

    unit: ClassVar[str] = "LU"
    higher_is_better: ClassVar[bool] = False
    keeps_level: ClassVar[bool] = True

    def __call__(self, reference: Block, estimate: Block, sample_rate: int) -> float:
        found = []
        for waveform in (reference, estimate):
            meter = LoudnessMeter(sample_rate, waveform.shape[0])
            meter.feed(np.ascontiguousarray(waveform))
            found.append(float(meter.integrated_lufs()))
        return abs(found[1] - found[0]) if all(map(math.isfinite, found)) else math.nan


class BalanceChange(Metric):
    """Levels of octave bands, each relative to the whole signal: the mean distance from those of the reference.

    Bands are centred at 62.5 Hz and its octaves; those more than 60 dB below the whole reference do not count, and
    in the estimate none is taken for lower than that.
    """

    higher_is_better: ClassVar[bool] = False

    def __call__(self, reference: Block, estimate: Block, sample_rate: int) -> float:
        wanted, found = (_octaves_db(waveform, sample_rate) for waveform in (reference, estimate))
        counted = wanted > _PRESENT_DB
        if not counted.any():
            return math.nan
        return float(np.abs(np.maximum(found, _PRESENT_DB) - wanted)[counted].mean())


def _octaves_db(waveform: Block, sample_rate: int) -> NDArray[np.float64]:
    """Power of each octave band over that of all of them, in dB."""
    spectrum = np.fft.rfft(waveform.astype(np.float64))
    power = (spectrum.real**2 + spectrum.imag**2).sum(axis=0)
    frequencies = np.fft.rfftfreq(waveform.shape[-1], 1 / sample_rate)
    count = max(1, int(math.log2(sample_rate / 2 / _LOWEST_OCTAVE_HZ) + 0.5) + 1)
    edges = np.searchsorted(frequencies, _LOWEST_OCTAVE_HZ * 2.0 ** (np.arange(count + 1) - 0.5))
    bands = np.array([power[start:stop].sum() for start, stop in pairwise(edges)])
    with np.errstate(divide="ignore", invalid="ignore"):
        levels: NDArray[np.float64] = 10 * np.log10(bands / bands.sum())
    return np.nan_to_num(levels, nan=-np.inf, neginf=-np.inf)
