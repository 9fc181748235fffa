"""Distances of magnitude spectra: phase is not looked at, so they are fair to what is plausible but not the truth.

Conventions
    frames   Hann windows inside the signal; a shorter signal is padded with silence to one window
    scale    the estimate is brought to the level of the reference first (least squares): without that, these
             distances mostly show a gain
    floor    levels are lifted to 100 dB below the highest of the reference: below is what nobody hears
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from wavechain.stream import Block
from wavechain_evaluation.metric import Metric, matching_gain

_FLOOR_DB = -100.0
_WINDOW, _HOP = 2048, 512
_HIGH_HZ = 8000.0
_SIZES = (512, 1024, 2048)
_SMALLEST_POWER = 1e-7


class LogSpectralDistance(Metric):
    """RMS over frequency of the difference of levels in dB, averaged over time and channels.

    Ten times the figure of papers that take the logarithm of power without the 10. Windows of 2048, every 512.
    Source  A. Gray, J. Markel, "Distance measures for speech processing", IEEE Trans. ASSP 24, 1976
    """

    higher_is_better: ClassVar[bool] = False
    lowest_hz: ClassVar[float] = 0.0

    def __call__(self, reference: Block, estimate: Block, sample_rate: int) -> float:
        first = math.ceil(self.lowest_hz / sample_rate * _WINDOW)
        if first >= _WINDOW // 2 or not np.any(reference):
            return math.nan
        gain = np.float32(matching_gain(reference, estimate))
        wanted, found = (_powers(waveform, _WINDOW, _HOP) for waveform in (reference, estimate * gain))
        floor = float(wanted.max()) * 10 ** (_FLOOR_DB / 10)
        distance = 10 * np.log10(np.maximum(wanted, floor) / np.maximum(found, floor))[..., first:]
        return float(np.sqrt(np.square(distance).mean(axis=-1)).mean())


class HighLogSpectralDistance(LogSpectralDistance):
    """The same above 8 kHz alone: what speech metrics, blind up there, do not see. NaN up to 16 kHz."""

    lowest_hz: ClassVar[float] = _HIGH_HZ


class MultiResolutionStft(Metric):
    """Spectral convergence plus mean distance of natural-log magnitudes, for windows of 512, 1024 and 2048; the mean.

    Source  R. Yamamoto, E. Song, J.-M. Kim, "Parallel WaveGAN", ICASSP 2020
    """

    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool] = False

    def __call__(self, reference: Block, estimate: Block, sample_rate: int) -> float:
        if not np.any(reference):
            return math.nan
        gain = np.float32(matching_gain(reference, estimate))
        return float(np.mean([self._distance(reference, estimate * gain, size) for size in _SIZES]))

    def _distance(self, reference: Block, estimate: Block, size: int) -> float:
        wanted, found = (
            np.sqrt(np.maximum(_powers(waveform, size, size // 4), _SMALLEST_POWER))
            for waveform in (reference, estimate)
        )
        convergence = np.linalg.norm(wanted - found) / np.linalg.norm(wanted)
        return float(convergence + np.abs(np.log(wanted / found)).mean())


def _powers(waveform: Block, size: int, hop: int) -> NDArray[np.float64]:
    """Shape (channels, frames) -> (channels, windows, bins)"""
    if waveform.shape[-1] < size:
        waveform = np.pad(waveform, ((0, 0), (0, size - waveform.shape[-1])))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    cut = sliding_window_view(waveform, size, axis=-1)[:, ::hop]
    spectrum = np.fft.rfft(cut * window)
    return spectrum.real**2 + spectrum.imag**2
