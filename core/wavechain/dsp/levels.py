"""Plain level meters: peak, RMS, DC offset, crest factor, clipped frames, noise floor.

Conventions
    dBFS      20 log10 of a ratio to full scale 1.0; RMS as such, so a full-scale sine reads -3.01; silence is -inf
    window    50 ms, rounded to whole frames: the grain of the noise floor; an incomplete one at the end counts only
              when there is no other
    clipped   a frame in which any channel is inside a run of at least 3 consecutive equal samples, all of magnitude
              32767/32768 or more. So the top code of 16 and 24 bits counts and so does +-1.0, and a float file with
              peaks beyond 1.0 that still move does not: nothing was cut off there.
    floor     the level that the quietest 2 % of all windows stay under: power averaged over channels, windows of
              digital silence (every sample 0) left out
"""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

from wavechain.dsp.blocks import Rechunk

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

FULL_SCALE_16_BIT = 32767.0 / 32768.0
_RUN = 3
_QUIETEST_PERCENT = 2.0  # music has few pauses: 2 % of a song are its first and last seconds
# Windows measured in one go, so that the cost of a call is spread over a second and a half of sound.
_WINDOWS = 32


def db(ratio: npt.ArrayLike) -> Float64:
    """Decibels of an amplitude ratio; -inf for 0.

    Shape   (any) -> (any)
    """
    with np.errstate(divide="ignore"):
        level: Float64 = 20.0 * np.log10(np.asarray(ratio, np.float64))
    return level


def from_db(level_db: npt.ArrayLike) -> Float64:
    """Amplitude ratio of decibels; 0 for -inf.

    Shape   (any) -> (any)
    """
    ratio: Float64 = 10.0 ** (np.asarray(level_db, np.float64) / 20.0)
    return ratio


class LevelMeter:
    """Feed it a signal, call ``finish`` once after the last block, then read.

    Shape   ``feed`` (channels, frames) float32, any number of frames; ``peak``, ``rms``, ``dc_offset`` and
            ``crest_factor_db`` (channels,)
    Units   ``peak``, ``rms``, ``dc_offset`` re full scale 1.0
    Exact   every reading is the same to the last bit however the signal was cut into blocks
    Memory  one float64 per 50 ms: 1.7 MB for three hours
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self.frames = 0
        self.clipped_frames = 0
        self.peak: Float64 = np.zeros(channels)
        self._sum = np.zeros(channels)
        self._sum_of_squares = np.zeros(channels)
        self._window = max(1, round(sample_rate / 20))
        self._window_powers = array("d")
        self._rechunk = Rechunk(_WINDOWS * self._window, (channels,))
        # The frames that may belong to a run which the next chunk completes. NaN equals nothing: no run crosses
        # the edge of the signal.
        self._edge = np.full((channels, 2 * (_RUN - 1)), np.nan, np.float32)

    def feed(self, block: Float32) -> None:
        """Take in the next frames."""
        for chunk in self._rechunk.push(block):
            self._measure(chunk)

    def finish(self) -> None:
        """The signal has ended: count what is left."""
        rest = self._rechunk.rest()
        whole = rest.shape[1] // self._window * self._window
        if whole:
            self._measure(rest[:, :whole])
        if whole < rest.shape[1]:
            self._measure(rest[:, whole:])
        self._count_clipped(np.full(self._edge[:, : _RUN - 1].shape, np.nan, np.float32))

    @property
    def rms(self) -> Float64:
        return np.sqrt(self._sum_of_squares / max(1, self.frames))

    @property
    def dc_offset(self) -> Float64:
        return self._sum / max(1, self.frames)

    @property
    def crest_factor_db(self) -> Float64:
        """Peak over RMS: 0 for a square wave, 3.01 for a sine, NaN for silence."""
        with np.errstate(invalid="ignore"):
            return db(self.peak) - db(self.rms)

    @property
    def noise_floor_dbfs(self) -> float:
        """RMS level below which the quietest 2 % of the signal lie; -inf when all of it is digital silence."""
        powers = np.array(self._window_powers)
        powers = powers[powers > 0.0]
        if not powers.size:
            return -np.inf
        return float(db(np.sqrt(np.percentile(powers, _QUIETEST_PERCENT))))

    def _measure(self, chunk: Float32) -> None:
        """A chunk of whole windows, or the incomplete one at the end of the signal."""
        channels, frames = chunk.shape
        self.frames += frames
        peak = np.maximum(chunk.max(axis=1), -chunk.min(axis=1)).astype(np.float64)
        np.maximum(self.peak, peak, out=self.peak)
        windows = chunk.reshape(channels, max(1, frames // self._window), -1)
        # Sums of 50 ms in float32 (pairwise: right within 1e-6), sums of sums in float64.
        self._sum += windows.sum(axis=2).sum(axis=1, dtype=np.float64)
        squares = np.square(windows).sum(axis=2).astype(np.float64)
        self._sum_of_squares += squares.sum(axis=1)
        if windows.shape[2] == self._window or not self._window_powers:
            self._window_powers.frombytes((squares.mean(axis=0) / windows.shape[2]).tobytes())
        at_edge = np.fmax.reduce(np.abs(self._edge), axis=None)
        if peak.max() >= FULL_SCALE_16_BIT or at_edge >= FULL_SCALE_16_BIT:
            self._count_clipped(chunk)
        else:
            self._remember(chunk)

    def _count_clipped(self, chunk: Float32) -> None:
        """Judge the frames whose following two are known: all but the last two of *chunk*, and two before it."""
        joined = np.concatenate([self._edge, chunk], axis=1)
        full = np.abs(joined) >= FULL_SCALE_16_BIT
        pair = (joined[:, 1:] == joined[:, :-1]) & full[:, 1:]
        run = pair[:, 1:] & pair[:, :-1]  # run[i]: joined[i], joined[i + 1] and joined[i + 2] are one
        within = run[:, 2:] | run[:, 1:-1] | run[:, :-2]
        self.clipped_frames += int(within.any(axis=0).sum())
        self._remember(chunk)

    def _remember(self, chunk: Float32) -> None:
        kept = self._edge.shape[1]
        tail = chunk if chunk.shape[1] >= kept else np.concatenate([self._edge, chunk], axis=1)
        self._edge = np.array(tail[:, -kept:])
