"""Spectra of a whole signal in bounded memory: the long-term average, the bandwidth, a picture, a distance.

All of them are made from the same ``PowerFrames``: feed it blocks and hand what it yields to any of the others.

Conventions
    frame     4096 samples under a Hann window, one every 2048, all inside the signal; powers averaged over channels
    power     1.0 is a full-scale sine in its own bin; white noise of -93.3 dBFS (dithered 16 bits) lies at -124.7 dB
    bandwidth the highest frequency that still holds programme: the lower of two, or half the sample rate
              floor   above it no 200 Hz of the average spectrum exceeds -118 dB, the noise of dithered 16 bits and
                      half as much again
              shelf   above it the spectrum is at least 25 dB lower than in the kilohertz below it, and never comes
                      back (the mark of a lossy codec or of a resampler, whatever noise was added since)
Source      P. D. Welch, "The Use of Fast Fourier Transform for the Estimation of Power Spectra" (1967)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from wavechain.dsp.blocks import Rechunk

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

FRAME = 4096
HOP = FRAME // 2
_FLOOR_DB = -118.0
_SHELF_DB = 25.0
_SMOOTH_HZ = 200.0
_SHELF_BELOW_HZ = 1000.0
_SHELF_GAP_HZ = 500.0
_SILENT_DB = -200.0
_DISTANCE_FLOOR_DB = -120.0
# Channels times frames in one transform. Larger ones make NumPy allocate, and page in, fresh memory on every call,
# which costs three times the transform itself (NumPy 2.4, glibc).
_BATCH = 16


def power_db(power: npt.ArrayLike, floor_db: float = -np.inf) -> Float64:
    """Decibels of a power, not below the floor.

    Shape   (any) -> (any)
    """
    with np.errstate(divide="ignore"):
        level: Float64 = 10.0 * np.log10(np.asarray(power, np.float64))
    return np.maximum(level, floor_db)


class PowerFrames:
    """Short-time power spectra of a stream.

    Shape   ``push`` (channels, frames) float32 -> arrays (spectra, bins) float32; bin k lies at
            k * sample_rate / 4096 Hz
    Exact   the same arrays for every way of cutting the signal
    A signal shorter than 4096 frames gives one spectrum, padded with silence.
    """

    def __init__(self, channels: int) -> None:
        self._batch = max(1, _BATCH // channels)
        self._rechunk = Rechunk(self._batch * HOP, (channels,))
        self._samples = np.zeros((channels, (self._batch + 1) * HOP), np.float32)
        hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(FRAME) / FRAME)
        self._window = (hann * 2.0 / hann.sum()).astype(np.float32)
        self._started = False

    def push(self, block: Float32) -> Iterator[Float32]:
        """Spectra of the frames that *block* completes. Exhaust it before the next push."""
        for chunk in self._rechunk.push(block):
            yield self._transform(chunk)

    def rest(self) -> Iterator[Float32]:
        """Spectra that did not fill a batch: call it once, after the last block."""
        rest = self._rechunk.rest()
        frames = rest.shape[1]
        if not self._started and frames < FRAME:
            padded = np.zeros((len(rest), FRAME), np.float32)
            padded[:, :frames] = rest
            rest = padded[:, : FRAME if frames else 0]
        whole = rest.shape[1] // HOP * HOP
        if whole:
            yield self._transform(rest[:, :whole])

    def _transform(self, chunk: Float32) -> Float32:
        count = chunk.shape[1] // HOP
        self._samples[:, :HOP] = self._samples[:, -HOP:]
        self._samples[:, HOP : HOP + chunk.shape[1]] = chunk
        framed = sliding_window_view(self._samples, FRAME, axis=1)[:, : count * HOP : HOP]
        spectra = np.fft.rfft(framed * self._window)
        power: Float32 = (np.square(spectra.real) + np.square(spectra.imag)).mean(axis=0, dtype=np.float32)
        # The first frame of all begins with the silence before the signal.
        skipped = 0 if self._started else 1
        self._started = True
        return power[skipped:]


class AverageSpectrum:
    """Long-term average of the spectra it is given.

    Shape   ``add`` (spectra, bins); ``power`` (bins,)
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.frequencies_hz: Float64 = np.fft.rfftfreq(FRAME, 1.0 / sample_rate).astype(np.float64)
        self._sum = np.zeros(FRAME // 2 + 1)
        self._count = 0

    def add(self, power: Float32) -> None:
        self._sum += power.sum(axis=0, dtype=np.float64)
        self._count += len(power)

    @property
    def power(self) -> Float64:
        return self._sum / max(1, self._count)

    def bandwidth_hz(self) -> float:
        """The highest frequency that still holds programme (as defined above); 0 for silence."""
        bin_hz = self.sample_rate / FRAME
        width = round(_SMOOTH_HZ / bin_hz) | 1
        padded = np.pad(self.power, width // 2, mode="edge")
        level = power_db(np.convolve(padded, np.full(width, 1.0 / width), mode="valid"), _SILENT_DB)
        above_floor = np.flatnonzero(level > _FLOOR_DB)
        if not above_floor.size:
            return 0.0
        return float(min(above_floor[-1], _shelf(level, bin_hz)) * bin_hz)


def _shelf(level: Float64, bin_hz: float) -> int:
    """The bin half-way down the cliff where the level falls for good, or the last bin."""
    below, gap = round(_SHELF_BELOW_HZ / bin_hz), round(_SHELF_GAP_HZ / bin_hz)
    if level.size <= below + gap:
        return level.size - 1
    top = sliding_window_view(level, below).mean(axis=1)[:-gap]
    foot = np.maximum.accumulate(level[::-1])[::-1][below - 1 + gap :]
    steepest = int((top - foot).argmax())
    if top[steepest] - foot[steepest] < _SHELF_DB:
        return level.size - 1
    return int(np.flatnonzero(level > (top[steepest] + foot[steepest]) / 2.0)[-1])


class SpectrogramSketch:
    """A spectrogram of any length in at most so many columns.

    When the columns are full, neighbours are pooled and each stands for twice the time: a sketch of three hours
    costs as much memory as one of three minutes.

    Shape   ``add`` (spectra, bins); ``power`` (bins, columns), more than half of *columns* in long signals
    Units   ``pool="mean"`` keeps levels true, ``"max"`` keeps clicks visible
    """

    def __init__(self, sample_rate: int, columns: int = 1024, *, pool: Literal["mean", "max"] = "mean") -> None:
        if columns < 2 or columns % 2:
            raise ValueError(f"columns must be even and at least 2, not {columns}")
        self.sample_rate = sample_rate
        self._reduce = np.add if pool == "mean" else np.maximum
        self._columns = np.zeros((columns, FRAME // 2 + 1), np.float32)
        self._per_column = 1
        self._count = 0

    def add(self, power: Float32) -> None:
        while len(power):
            if self._count == len(self._columns) * self._per_column:
                self._halve()
            column, filled = divmod(self._count, self._per_column)
            part = power[: self._per_column - filled]
            pooled = self._reduce.reduce(part, axis=0)
            self._columns[column] = self._reduce(self._columns[column], pooled) if filled else pooled
            self._count += len(part)
            power = power[len(part) :]

    @property
    def seconds_per_column(self) -> float:
        return self._per_column * HOP / self.sample_rate

    @property
    def power(self) -> Float32:
        """The columns filled so far, the last perhaps from fewer spectra."""
        starts = np.arange(0, self._count, self._per_column)
        columns = self._columns[: starts.size].T.copy()
        if self._reduce is np.add:
            columns /= np.minimum(self._per_column, self._count - starts)
        return columns

    def _halve(self) -> None:
        half = len(self._columns) // 2
        self._columns[:half] = self._reduce(self._columns[0::2], self._columns[1::2])
        self._per_column *= 2


class SpectralDistance:
    """Log-spectral distance of two signals: how far apart their spectra are, in dB, averaged over time.

    For each frame the RMS over frequency of the difference of the two levels, both lifted to -120 dB, so that what
    nobody can hear in either does not count; then the mean over frames. 0 for equal signals; 6.02 for one at half
    the amplitude of the other, where both are loud.

    Shape   ``feed`` two blocks (channels, frames) of the same shape; ``finish`` once after the last
    """

    def __init__(self, channels: int) -> None:
        self._one, self._other = PowerFrames(channels), PowerFrames(channels)
        self._sum = 0.0
        self._count = 0

    def feed(self, one: Float32, other: Float32) -> None:
        """Take in the next frames of both."""
        if one.shape != other.shape:
            raise ValueError(f"expected two blocks of one shape, got {one.shape} and {other.shape}")
        self._compare(self._one.push(one), self._other.push(other))

    def finish(self) -> None:
        """Both signals have ended: count what is left."""
        self._compare(self._one.rest(), self._other.rest())

    @property
    def distance_db(self) -> float:
        return self._sum / max(1, self._count)

    def _compare(self, ones: Iterator[Float32], others: Iterator[Float32]) -> None:
        for one, other in zip(ones, others, strict=True):
            difference = power_db(one, _DISTANCE_FLOOR_DB) - power_db(other, _DISTANCE_FLOOR_DB)
            self._sum += float(np.sqrt(np.square(difference).mean(axis=1)).sum())
            self._count += len(difference)
