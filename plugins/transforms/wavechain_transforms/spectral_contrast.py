"""Spectral contrast: how far peaks rise above valleys in each octave: high for tones, near zero for noise and clicks.

Conventions
    ``(channels, n_bands + 1, hops)`` in dB. Row 0 is what lies below `low_hz`, then octaves; the last reaches to half
    the sample rate. In each, the peak is the mean of the strongest `quantile` of the bins, the valley that of the
    weakest, as magnitudes, not below `floor_db`; the contrast is 20 log10 of peak / valley. Bands are cut from bins as
    librosa cuts them; librosa takes magnitudes for powers (10 log10), so its numbers are half of these.
    Less than 0.001 dB is rounding, and given as none.
Source  D.-N. Jiang, L. Lu, H.-J. Zhang, J.-H. Tao, L.-H. Cai, "Music type classification by spectral contrast
        feature", ICME 2002
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from wavechain.errors import SpecMismatchError
from wavechain.params import param
from wavechain.processors import Processor
from wavechain.stages import FeatureTransform, Rows
from wavechain.stream import Block, Spec
from wavechain_transforms.framing import Columns, WindowName, features_spec, refuse_gaps, window

_ROUNDING_DB = np.float32(1e-3)


class SpectralContrast(FeatureTransform):
    n_bands: int = param(6, ge=1, le=12, help="How many octaves from low_hz upwards; what lies below is one row more.")
    low_hz: float = param(200.0, unit="Hz", ge=10, le=20_000, help="Where the lowest octave begins.")
    quantile: float = param(
        0.02, gt=0, le=0.5, help="Share of a band's bins that make its peak, and that make its valley."
    )
    floor_db: float = param(-60.0, unit="dB", ge=-200, le=100, help="Magnitudes below this count as this.")
    n_fft: int = param(2048, unit="frames", ge=16, le=65_536, help="Frames a column looks at.")
    hop_length: int = param(
        512, unit="frames", ge=1, le=32_768, help="Frames from one column to the next; half of n_fft at most."
    )
    window: WindowName = param("hann", help="How a column weighs its frames, from its centre outwards.")

    cost: ClassVar[float] = 12.0

    @model_validator(mode="after")
    def _columns_overlap(self) -> SpectralContrast:
        refuse_gaps(self.stage_name(), self.n_fft, self.hop_length)
        return self

    def bands(self, source: Spec) -> list[slice]:
        """The bins of each row. Raises SpecMismatchError for octaves beyond half the sample rate, or without bins."""
        nyquist = float(source.rate) / 2
        bins_hz = np.linspace(0, nyquist, self.n_fft // 2 + 1)
        edges = [0.0, *(self.low_hz * 2.0**octave for octave in range(self.n_bands + 1))]
        if edges[-2] >= nyquist:
            raise SpecMismatchError(
                f"spectral-contrast: {self.n_bands} octaves from {self.low_hz:g} Hz begin up to {edges[-2]:g} Hz; "
                f"half the rate of {source} is {nyquist:g} Hz.",
                hint="fewer n_bands.",
            )
        found = []
        for row, (low, high) in enumerate(pairwise(edges)):
            inside = np.flatnonzero((bins_hz >= low) & (bins_hz <= high))
            last = row == self.n_bands
            first = (inside[0] - (row > 0)) if inside.size else 0
            end = bins_hz.size if last else inside[-1] if inside.size else 0
            if end <= first:
                raise SpecMismatchError(
                    f"spectral-contrast: n_fft = {self.n_fft} has no bins from {low:g} Hz to {high:g} Hz of {source}.",
                    hint=f"n_fft={2 * self.n_fft}, or a higher low_hz.",
                )
            found.append(slice(int(first), int(end)))
        return found

    def rows(self, spec: Spec) -> Rows:
        """Bands, by their middles."""
        step = float(spec.rate) / self.n_fft
        return Rows(hz=tuple((band.start + band.stop - 1) / 2 * step for band in self.bands(spec)), unit="dB")

    def open(self, spec: Spec) -> Processor:
        return _Forward(self, spec)


class _Forward(Columns):
    def __init__(self, stage: SpectralContrast, source: Spec) -> None:
        spec = features_spec(stage, "spectral_contrast", source, (stage.n_bands + 1,), stage.hop_length)
        super().__init__(spec, source, window(stage.window, stage.n_fft), stage.hop_length)
        self._bands = stage.bands(source)
        self._quantile = stage.quantile
        self._floor = np.float32(10 ** (stage.floor_db / 20))

    def describe(self, spectra: NDArray[np.complex64], features: Block) -> None:
        magnitudes = np.abs(spectra)
        for row, band in enumerate(self._bands):
            inside = np.sort(magnitudes[:, band], axis=-1)
            # Counted before the last bin of all bands but the highest was left to the next one, as librosa counts.
            bins = inside.shape[-1] + (row < len(self._bands) - 1)
            count = max(1, round(self._quantile * bins))
            valley = np.maximum(inside[:, :count].mean(axis=-1), self._floor)
            peak = np.maximum(inside[:, -count:].mean(axis=-1), self._floor)
            contrast = 20 * np.log10(peak / valley)
            # Written so that NaN stays NaN.
            features[row] = np.where(contrast < _ROUNDING_DB, np.float32(0), contrast)
