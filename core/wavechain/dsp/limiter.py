"""A brick-wall limiter on true peaks, with look-ahead, without recursion.

The gain of a frame depends on a finite stretch of signal around it, so a stream cut into windows with that much
context gives the same gain as the whole signal. For one frame n (A the look-ahead, H the hold, R the release, in
frames, 1 <= H < R):

    e[n] = highest point of any channel from n up to n + 1, also between the samples    (``peak_envelope``)
    a[n] = 1 - min(1, ceiling / e[n])                            how much must be taken away
    D[n] = max over k from -A to R of h(k) a[n - k]              h = 1 up to H, then falling to 1 % at R
    g[n] = 1 - average of D[n - A] ... D[n], triangular weights

Every D in that average lies within A before n, and so holds a[n] in full: g[n] never exceeds what the peak needs.
The average turns the step A frames before a peak into a smooth curve that arrives exactly at the peak. The hold
keeps the gain still between the half-waves of a bass note: without it the gain would follow the wave and distort
it. Where no peak is near, D is 0, g is 1, and the samples pass untouched.

Maxima and sums over long stretches are made by doubling: w steps, then 2 w, 4 w ..., each one array operation. Unlike
running sums these do the same arithmetic at every position.

Conventions: (channels, frames) float32, all channels share one gain; ``ceiling_db`` in dBTP, re full scale 1.0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from wavechain.dsp.true_peak import interpolator
from wavechain.errors import ParameterError

Float32 = npt.NDArray[np.float32]

# Frames in a row of the interpolating product and rows in a segment: one segment is one product of fixed shape, small
# enough that OpenBLAS keeps it on one thread (2^18 multiply-adds), and is left out when it cannot hold a peak.
_ROW = 16
_ROWS = 32
_SEGMENT = _ROW * _ROWS
_OVERSAMPLING = 4
# What is left of the gain reduction when the release ends; the look-ahead smooths this last step as well.
_RELEASED_TO = 0.01
# Aim lower than the ceiling by what float32 can round up (1e-5 dB).
_ROUNDING = 1.0 - 2.0**-20


def peak_envelope(waveform: Float32, *, oversampling: int = _OVERSAMPLING, above: float = 0.0) -> Float32:
    """The highest absolute value, over all channels, that the waveform reaches from each frame up to the next.

    Interpolated with the taps of the true-peak meter; a parabola through the three points around a local maximum
    finds the top between them. Silence is assumed before the first and after the last frame.

    Shape   (channels, frames) -> (frames,)
    Units   re full scale 1.0; a reading that is certainly not above ``above`` may be lower than the truth (only
            those that matter are worked out)
    Error   0.05 dB low at most for sines up to 20 kHz at 44.1 kHz, with the default oversampling
    """
    channels, frames = waveform.shape
    matrix, half, most_added, bound = _grid(oversampling)
    segments = -(-frames // _SEGMENT)
    padded = np.zeros((channels, half + segments * _SEGMENT + half), np.float32)
    padded[:, half : half + frames] = waveform

    # points[phase, channel, 1 + n] is the waveform at n + phase / oversampling, with a neighbour at both ends.
    points = np.zeros((oversampling, channels, 1 + segments * _SEGMENT + 1), np.float32)
    points[0] = padded[:, half - 1 : half + segments * _SEGMENT + 1]
    between = points[1:, :, 1:-1].reshape(oversampling - 1, channels, segments, _ROWS, _ROW)
    stride, step = padded.strides
    outer = (stride, _SEGMENT * step)
    around = as_strided(padded, (channels, segments, _SEGMENT + 2 * half), (*outer, step), writeable=False)
    rows = as_strided(padded, (channels, segments, _ROWS, len(matrix)), (*outer, _ROW * step, step), writeable=False)
    needed = np.maximum(around.max(axis=2), -around.min(axis=2)) * np.float32(bound) > above
    needed[:, :-1] |= needed[:, 1:]  # the point before its first one is a neighbour, too
    channel, segment = np.nonzero(needed)
    if channel.size:
        fine = (rows[channel, segment] @ matrix).reshape(-1, _ROWS, oversampling - 1, _ROW)
        between[:, channel, segment] = fine.transpose(2, 0, 1, 3)

    highest: Float32 = np.abs(points[:, :, 1:-1]).max(axis=0)
    channel, frame = np.nonzero(highest * np.float32(most_added) > above)
    if channel.size:
        here = points[:, channel, frame + 1]
        before, after = points[-1:, channel, frame], points[:1, channel, frame + 2]
        tops = _parabola_tops(np.concatenate([before, here, after]), most_added)
        highest[channel, frame] = np.maximum(highest[channel, frame], tops)
    return highest.max(axis=0)[:frames]


class Limiter:
    """Holds true peaks under a ceiling.

    Shape   ``process_window`` (channels, left + any + right) -> (channels, any), for ``context`` = (left, right)
    Units   ``lookahead_seconds`` is how early the gain starts to fall, ``release_seconds`` how long after a peak it
            has come back (it holds still for the first quarter)
    Error   sample peaks never exceed the ceiling. Between samples the gain moves on: with a look-ahead of 5 ms the
            true peak ends within 0.05 dB of the ceiling
    Exact   windows of one length at multiples of their core give the same bits for every way of cutting the
            stream into blocks; a core that no peak reaches comes out as it went in
    Raises  ParameterError for a value out of range
    """

    def __init__(
        self,
        ceiling_db: float,
        sample_rate: int,
        *,
        lookahead_seconds: float = 0.005,
        release_seconds: float = 0.1,
    ) -> None:
        if not -120.0 <= ceiling_db <= 60.0:
            raise ParameterError(
                f"ceiling_db = {ceiling_db:g} is not between -120 and 60.", hint="ceiling_db = -1 for music."
            )
        for name, value in (("lookahead_seconds", lookahead_seconds), ("release_seconds", release_seconds)):
            if not 0.0 < value <= 10.0:
                raise ParameterError(f"{name} = {value:g} is not above 0 and at most 10.", hint=f"{name} = 0.01.")
        self.ceiling = 10.0 ** (ceiling_db / 20.0)
        self._target = np.float32(self.ceiling * _ROUNDING)
        self._lookahead = max(1, round(lookahead_seconds * sample_rate))
        release = max(2, round(release_seconds * sample_rate))
        self._hold = max(1, release // 4)
        self._fall = release - self._hold
        self._decay = _RELEASED_TO ** (1.0 / self._fall)
        self._half = _grid(_OVERSAMPLING).half
        self.context = (self._half + self._lookahead + release, self._half + self._lookahead)

    def process_window(self, window: Float32) -> Float32:
        """The core of *window*, its gain lowered where a peak needs it."""
        left, right = self.context
        core = np.ascontiguousarray(window[:, left : window.shape[1] - right])
        if max(window.max(), -window.min()) * np.float32(_grid(_OVERSAMPLING).bound) <= self._target:
            return core
        envelope = peak_envelope(window, above=float(self._target))[self._half : window.shape[1] - self._half]
        if envelope.max() <= self._target:
            return core
        allowed: Float32 = self._target / np.maximum(envelope, self._target)
        # Each step looks back and ahead, so what it returns is shorter, until it is the core.
        away = _decaying_max(np.float32(1.0) - allowed, self._lookahead + 1 + self._hold, 1.0)
        away = _decaying_max(away, self._fall + 1, self._decay)
        away = _triangular_average(away, self._lookahead + 1)
        # The minimum takes back what the average has rounded, nothing more.
        gain = np.minimum(np.float32(1.0) - away, allowed[left - self._half :][: core.shape[1]])
        return core * gain


class _Grid(NamedTuple):
    """How to interpolate ``oversampling`` times."""

    matrix: Float32  # (row + taps, (oversampling - 1) * row): a row with its context -> its points, phase by phase
    half: int  # frames of context on each side
    most_added: float  # the parabola adds no more: what the grid misses of a sine at half the sample rate
    bound: float  # no reading is higher than the highest sample around it times this


@lru_cache(maxsize=4)
def _grid(oversampling: int) -> _Grid:
    phases = interpolator(oversampling)
    taps = phases.shape[1]
    matrix = np.zeros((_ROW + taps, oversampling - 1, _ROW))
    for frame in range(_ROW):
        matrix[frame + 1 : frame + 1 + taps, :, frame] = phases[1:].T
    most_added = float(1.0 / np.cos(np.pi / (2.0 * oversampling)))
    gain = float(np.abs(phases).sum(axis=1).max())
    # The last factor covers the rounding of float32 sums.
    bound = gain * most_added * (1.0 + 1e-4)
    return _Grid(matrix.reshape(_ROW + taps, -1).astype(np.float32), taps // 2, most_added, bound)


def _parabola_tops(points: Float32, most_added: float) -> Float32:
    """Height of the highest local maximum of |points|, neighbours excluded, each topped by a parabola.

    Shape   (points, any) -> (any): 0 where no point but the outer ones is a maximum
    """
    before, here, after = points[:-2], points[1:-1], points[2:]
    size = np.abs(points)
    is_top = (size[1:-1] >= size[:-2]) & (size[1:-1] >= size[2:])
    bend = np.float32(2.0) * here - before - after
    # Three equal points: flat already, and no bend to divide by.
    added = np.divide((after - before) ** 2, np.float32(8.0) * np.abs(bend), out=np.zeros_like(here), where=bend != 0)
    tops: Float32 = np.where(is_top, np.minimum(size[1:-1] + added, size[1:-1] * np.float32(most_added)), 0)
    return tops.max(axis=0)


def _decaying_max(values: Float32, length: int, decay: float) -> Float32:
    """Largest of *length* neighbours, the newest with weight 1, each older one with ``decay`` times less.

    Shape   (n,) -> (n - length + 1,)
    """
    seen = 1
    while seen < length:
        step = min(seen, length - seen)
        values = np.maximum(values[step:], values[:-step] * np.float32(decay**step))
        seen += step
    return values


def _sliding_sum(values: Float32, length: int) -> Float32:
    """Sum of *length* neighbours, put together from sums of 1, 2, 4 ... neighbours.

    Shape   (n,) -> (n - length + 1,)
    """
    sums = len(values) - length + 1
    total = np.zeros(sums, np.float32)
    start, width = 0, 1
    while True:
        if length & width:
            total += values[start : start + sums]
            start += width
        if start == length:
            return total
        values = values[:-width] + values[width:]
        width *= 2


def _triangular_average(values: Float32, length: int) -> Float32:
    """Average of *length* neighbours with triangular weights: two plain averages, one after the other.

    Shape   (n,) -> (n - length + 1,)
    """
    first = length // 2 + 1
    second = length + 1 - first
    return _sliding_sum(_sliding_sum(values, first), second) * np.float32(1.0 / (first * second))
