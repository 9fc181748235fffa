"""The power of steady noise in each bin, found in one pass and constant memory.

Conventions
    In: spectra as `wavechain_transforms.stft` makes them. Out: mean noise power, float32 ``(channels, bins)``, in the
    unit of those spectra squared.

How noise is told from sound: music and speech come and go in a bin, noise stays. So the quiet moments of a bin show its
noise. The power of noise in one bin is exponentially distributed: a share p of its columns lies below
-ln(1 - p) times its mean, and the p-th percentile divided by that factor is the mean (R. Martin, "Noise power spectral
density estimation based on optimal smoothing and minimum statistics", IEEE Trans. SAP 9, 2001, builds on the same).

A tone that never stops would pass for noise in its own bins. Broad noise is smooth across frequency, a tone is not: the
median over neighbouring bins forgets the tone. A passage that a person says is nothing but noise is taken as it is.

Levels are counted in steps of a quarter octave of power, read from the bits of the float itself: its exponent and the
first two bits of its mantissa. That is exact on every machine, where a logarithm may differ in its last digit and
let the same file fall on two sides of a step.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wavechain.errors import ParameterError
from wavechain.stages import Analysis
from wavechain.stream import Block, Spec

# From 2**-60 (the rounding noise of 24 bits lies near 2**-40) to 2**36 (above full scale at the longest n_fft).
_LOWEST, _OCTAVES, _STEPS = -60, 96, 4
_LEVELS = _OCTAVES * _STEPS
_MANTISSA_SHIFT = 23 - 2
_OFFSET = (127 + _LOWEST) * _STEPS

SMOOTHING_HZ = 300.0
SMOOTHING_BINS_MAX = 63


class NoiseProfile(Analysis):
    """Counts, for each bin, how often each level occurs.

    Memory  4 bytes for each of 384 levels a bin: 1.6 MB a channel at n_fft 2048
    """

    def __init__(self, spec: Spec, percentile: float, passage: tuple[float, float] | None) -> None:
        self._spec = spec
        self._percentile = percentile if passage is None else 50.0
        self._passage = passage
        self._first, self._last = (
            (0.0, math.inf) if passage is None else (passage[0] * spec.rate, passage[1] * spec.rate)
        )
        self._channels, _, self._bins = spec.shape
        self._counts = np.zeros(self._channels * self._bins * _LEVELS, np.int32)
        self._starts = (np.arange(self._channels * self._bins, dtype=np.int32) * _LEVELS - _OFFSET).reshape(-1, 1)
        self._hop = 0

    def feed(self, block: Block) -> None:
        first = max(0, math.ceil(self._first) - self._hop)
        last = block.shape[-1] if self._last == math.inf else math.floor(self._last) - self._hop + 1
        self._hop += block.shape[-1]
        if first >= min(last, block.shape[-1]):
            return
        spectra = block[..., first:last]
        power = (spectra[:, 0] ** 2 + spectra[:, 1] ** 2).reshape(self._channels * self._bins, -1)
        # Digital silence is no noise of any level: a file with silent pauses still has the noise of its sound.
        power = np.ascontiguousarray(power[:, power.any(axis=0)])
        levels = power.view(np.int32) >> _MANTISSA_SHIFT
        np.clip(levels, _OFFSET, _OFFSET + _LEVELS - 1, out=levels)
        levels += self._starts
        np.add.at(self._counts, levels.reshape(-1), np.int32(1))

    def result(self) -> NDArray[np.float32]:
        share = self._percentile / 100
        counts = self._counts.reshape(self._channels, self._bins, _LEVELS)
        total = int(counts[0, 0].sum())
        if not total and self._passage is not None:
            start, end = self._passage
            raise ParameterError(
                f"spectral-gate finds no sound between {start:g} s and {end:g} s to learn the noise from.",
                hint="a passage inside the file.",
            )
        profile = _percentile(counts, share * total) / -math.log1p(-share)
        if self._passage is None:
            profile = _smooth(profile, self._width())
        return profile.astype(np.float32)

    def _width(self) -> int:
        """Bins in `SMOOTHING_HZ`, an odd number; the bins divide the band up to half the sample rate."""
        assert self._spec.source is not None
        bin_hz = float(self._spec.source.rate) / 2 / (self._bins - 1)
        return 2 * (min(SMOOTHING_BINS_MAX, int(SMOOTHING_HZ / bin_hz)) // 2) + 1


def _percentile(counts: NDArray[np.int32], rank: float) -> NDArray[np.float64]:
    """The power below which *rank* columns lie, interpolated inside its level. Shape (…, levels) -> (…)"""
    below = counts.cumsum(axis=-1)
    level = np.minimum((below < rank).sum(axis=-1), _LEVELS - 1)
    here = np.take_along_axis(counts, level[..., np.newaxis], -1)[..., 0]
    before = np.take_along_axis(below, level[..., np.newaxis], -1)[..., 0] - here
    low, high = _edge(level), _edge(level + 1)
    return low + (high - low) * np.clip((rank - before) / np.maximum(here, 1), 0, 1)


def _edge(level: NDArray[np.intp]) -> NDArray[np.float64]:
    """Where a level begins: level n is at 2 ** (n // 4) * (1 + (n % 4) / 4), counted from 2 ** -60."""
    return np.exp2(level // _STEPS + _LOWEST) * (1 + level % _STEPS / _STEPS)


def _smooth(profile: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Running median across frequency; the outermost bins stand in for what is beyond them."""
    half = width // 2
    padded = np.pad(profile, ((0, 0), (half, half)), mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, width, axis=-1), axis=-1))
