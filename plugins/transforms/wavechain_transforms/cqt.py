"""Constant-Q transform: spectra whose bins lie evenly by pitch, and look as long as their pitch needs.

Conventions
    ``(channels, 2, n_bins, hops)``, real and imaginary parts; bin k is centred on low_hz * 2 ** (k / bins_per_octave).
    A bin listens for Q periods of its frequency, Q = 1 / (2 ** (1 / bins_per_octave) - 1), under a Hann window that is
    centred on frame hop * hop_length and has a sum of 1: a sine of amplitude a reads a / 2 in its bin, as long as the
    window lasts. (What librosa gives with ``scale=True`` is this times the square root of the window's frames.)
    Outside the signal there are zeros. The phase is that at the centre of the column.

Method: J. C. Brown, M. S. Puckette, "An efficient algorithm for the calculation of a constant Q transform", JASA 92,
1992. One FFT for each column, as long as the lowest bin listens; each bin is the product of that spectrum with the
spectrum of its own window, of which what is more than 120 dB below its peak is left out. No octave is resampled, so all
bins stand exactly in time, at any sample rate; the price is a long FFT for each column (J. C. Brown, "Calculation of a
constant Q spectral transform", JASA 89, 1991, defines the transform).

The way back: each bin is given out again through its window, divided by what all windows together let through. Were
there a column for each frame, that would be exact between the lowest and the highest bin. High bins listen for less
than a hop and are silent between columns: the shorter the hop, the higher up the sound comes back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from wavechain.errors import SpecMismatchError
from wavechain.params import param
from wavechain.processors import Pending, Processor, join, pad_end
from wavechain.stages import FeatureTransform, Rows
from wavechain.stream import Block, Spec
from wavechain_transforms.framing import Columns, audio_spec, features_spec, window

MAX_FFT = 1 << 18
BATCH = 8
_LEFT_OUT = 1e-6


class Cqt(FeatureTransform):
    low_hz: float = param(32.703, unit="Hz", ge=5, le=20_000, help="Centre of the lowest bin; C1 unless given.")
    n_bins: int = param(84, ge=1, le=1024, help="How many bins, from low_hz upwards.")
    bins_per_octave: int = param(12, ge=1, le=96, help="Bins to an octave: 12 are semitones.")
    hop_length: int = param(
        512,
        unit="frames",
        ge=1,
        le=32_768,
        help="Frames from one column to the next; for the way back, 128 or fewer.",
    )

    inverse_kind: ClassVar[Literal["exact", "approximate", "learned", "none"]] = "approximate"
    cost: ClassVar[float] = 600.0

    @property
    def centres_hz(self) -> NDArray[np.float64]:
        return np.asarray(self.low_hz * 2 ** (np.arange(self.n_bins) / self.bins_per_octave))

    @property
    def periods(self) -> float:
        """How many periods of its frequency a bin listens: Q."""
        return float(1 / (2 ** (1 / self.bins_per_octave) - 1))

    def rows(self, spec: Spec) -> Rows:
        """Complex amplitudes in bins that are spaced evenly by pitch."""
        return Rows(hz=tuple(self.centres_hz), scale="amplitude")

    def open(self, spec: Spec) -> Processor:
        return _Forward(self, spec)

    def inverse(self, spec: Spec) -> Processor:
        """From bins back to audio. Raises SpecMismatchError for what this transform did not make."""
        return _Inverse(self, spec, audio_spec(self, "cqt", spec, (2, self.n_bins), self.hop_length))

    def kernels(self, source: Spec) -> Kernels:
        """Raises SpecMismatchError where bins lie beyond half the sample rate, listen for too long, or leave gaps."""
        nyquist = float(source.rate) / 2
        highest = self.centres_hz[-1] * (1 + 1 / self.periods)
        if highest > nyquist:
            fitting = int((self.centres_hz * (1 + 1 / self.periods) <= nyquist).sum())
            raise SpecMismatchError(
                f"cqt: the highest of {self.n_bins} bins reaches up to {highest:.0f} Hz; half the rate of {source} is "
                f"{nyquist:g} Hz.",
                hint=f"n_bins={fitting}." if fitting else "a lower low_hz.",
            )
        frames = self.periods * 2 * nyquist / self.low_hz
        if frames > MAX_FFT:
            raise SpecMismatchError(
                f"cqt: the lowest bin, {self.low_hz:g} Hz, would listen for {frames:.0f} frames of {source}; "
                f"{MAX_FFT} is the limit.",
                hint="a higher low_hz, or fewer bins_per_octave.",
            )
        kernels = _kernels(self, 2 * nyquist)
        if self.hop_length > kernels.n_fft:
            raise SpecMismatchError(
                f"cqt: columns {self.hop_length} frames apart pass over sound; the lowest bin, {self.low_hz:g} Hz, "
                f"is looked at through {kernels.n_fft} frames of {source}.",
                hint=f"hop_length={kernels.n_fft} or less.",
            )
        return kernels


@dataclass(frozen=True)
class Kernels:
    """The spectrum of each bin's window, where it is not nothing.

    n_fft   frames of the FFT
    bands   which of its bins each kernel covers
    values  real: windows are symmetric around frame n_fft / 2, which is where phases are counted from
    """

    n_fft: int
    bands: tuple[slice, ...]
    values: tuple[NDArray[np.float32], ...]


@lru_cache(maxsize=4)
def _kernels(stage: Cqt, sample_rate: float) -> Kernels:
    lengths = stage.periods * sample_rate / stage.centres_hz
    n_fft = 1 << max(4, math.ceil(math.log2(lengths[0])))
    time = np.arange(n_fft) - n_fft // 2
    bands, values = [], []
    for length, centre_hz in zip(lengths, stage.centres_hz, strict=True):
        weights = np.where(np.abs(time) < length / 2, 0.5 + 0.5 * np.cos(2 * np.pi * time / length), 0)
        tone = weights / weights.sum() * np.exp(2j * np.pi * centre_hz / sample_rate * time)
        spectrum = np.fft.fft(np.roll(tone, -(n_fft // 2))).real[: n_fft // 2 + 1]
        there = np.flatnonzero(np.abs(spectrum) > _LEFT_OUT * np.abs(spectrum).max())
        bands.append(slice(int(there[0]), int(there[-1]) + 1))
        values.append(spectrum[bands[-1]].astype(np.float32))
    return Kernels(n_fft, tuple(bands), tuple(values))


class _Forward(Columns):
    def __init__(self, stage: Cqt, source: Spec) -> None:
        spec = features_spec(stage, "cqt", source, (2, stage.n_bins), stage.hop_length)
        kernels = stage.kernels(source)
        super().__init__(spec, source, window("rectangular", kernels.n_fft), stage.hop_length, BATCH)
        signs = _signs(kernels.n_fft)
        # The product in the frequency domain is a sum over frames but for a factor of n_fft.
        self._kernels = [
            (band, values * signs[band] / np.float32(kernels.n_fft))
            for band, values in zip(kernels.bands, kernels.values, strict=True)
        ]

    def describe(self, spectra: NDArray[np.complex64], features: Block) -> None:
        for number, (band, values) in enumerate(self._kernels):
            bins = spectra[:, band]
            # Not a matrix product: a large one would be shared among threads, and its last bits would tell.
            features[0, number] = np.einsum("cb,b->c", bins.real, values)
            features[1, number] = np.einsum("cb,b->c", bins.imag, values)


class _Inverse(Processor):
    """Overlap-add of columns, each the sum of its bins' windows."""

    def __init__(self, stage: Cqt, spec: Spec, audio: Spec) -> None:
        super().__init__(audio)
        self._hop_length = stage.hop_length
        kernels = stage.kernels(audio)
        self._n_fft = kernels.n_fft
        self._pending = Pending(spec)
        signs = _signs(self._n_fft)
        through = np.zeros(self._n_fft // 2 + 1)
        for band, values in zip(kernels.bands, kernels.values, strict=True):
            through[band] += values.astype(np.float64) ** 2
        # At both ends fewer windows overlap, and beyond them none do: there the sound fades, and is not magnified.
        centres = np.rint(stage.centres_hz / float(audio.rate) * self._n_fft).astype(int)
        through = np.maximum(through, through[centres[0] : centres[-1] + 1].min())
        # irfft without its factor of 1 / n_fft stays in float32; the windows bring it along.
        scale = stage.hop_length / self._n_fft
        self._kernels = [
            (band, (values * signs[band] / through[band] * scale).astype(np.float32))
            for band, values in zip(kernels.bands, kernels.values, strict=True)
        ]
        self._spectra = np.empty((BATCH, self._n_fft // 2 + 1), np.complex64)
        self._sum = np.zeros((spec.channels, self._n_fft + (BATCH - 1) * stage.hop_length), np.float32)
        self._skip = self._n_fft // 2
        self._hops = self._done = 0

    def process(self, block: Block) -> Block:
        return join([self._batch(chunk, BATCH) for chunk in self._pending.chunks(block, BATCH)], self.spec)

    def flush(self) -> Block:
        rest = self._pending.take()
        hops = rest.shape[-1]
        done = [self._batch(pad_end(rest, BATCH), hops)] if hops else []
        done.append(self._emit(self._sum.shape[-1]))
        return join(done, self.spec)

    def _batch(self, bins: Block, hops: int) -> Block:
        self._hops += hops
        for channel, total in zip(bins, self._sum, strict=True):
            self._spectra[...] = 0
            for number, (band, values) in enumerate(self._kernels):
                column = channel[0, number] + 1j * channel[1, number]
                self._spectra[:, band] += column[:, np.newaxis] * values
            frames = np.fft.irfft(self._spectra, self._n_fft, norm="forward")
            for number in range(hops):
                start = number * self._hop_length
                total[start : start + self._n_fft] += frames[number]
        return self._emit(hops * self._hop_length)

    def _emit(self, frames: int) -> Block:
        """The next *frames* frames, less those before the signal starts and after its length; the sum moves up."""
        length = self.spec.length
        if length is None:
            length = max(0, self._hops - 1) * self._hop_length
        skip = min(frames, self._skip)
        keep = min(frames, skip + max(0, length - self._done))
        waveform = self._sum[:, skip:keep].copy()
        self._sum = np.concatenate([self._sum[:, frames:], np.zeros_like(self._sum[:, :frames])], axis=1)
        self._skip -= skip
        self._done += waveform.shape[-1]
        return waveform


def _signs(n_fft: int) -> NDArray[np.float32]:
    """The phase of an event at frame n_fft / 2 in each bin: 1, -1, 1 …"""
    return np.where(np.arange(n_fft // 2 + 1) % 2, -1, 1).astype(np.float32)
