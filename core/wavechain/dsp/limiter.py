"""A brick-wall limiter on true peaks, with look-ahead, without recursion.

The gain of a frame depends on a finite stretch of signal around it, so a stream cut into windows with that much
context gives the same gain as the whole signal. Peaks are gathered over blocks of 8 frames (at 48 kHz). For block n,
with A the look-ahead, H the hold and R the release, in blocks, 2 <= H < R:

    e[n] = highest point of any channel in the block, also between the samples
    a[n] = 1 - min(1, ceiling / e[n])                            how much must be taken away
    D[n] = max over k from -A to R of h(k) a[n - k]              h = 1 up to H, then falling to 1 % at R
    g[n] = 1 - average of D[n - A] ... D[n], triangular weights

and the gain runs in a straight line from g[n], at the first frame of block n, to g[n + 1]. Every D in the averages of
both ends looks at least A blocks ahead or H back of where it is, and so holds a[n] in full: no frame of the block gets
more than ceiling / e[n]. The average turns the step A blocks before a peak into a smooth curve that arrives exactly
at the peak. The hold keeps the gain still between the half-waves of a bass note; without it the gain would follow
the wave and distort it. Where no peak is near, D is 0, g is 1, and the samples pass untouched.

Maxima and sums over long stretches are made by doubling: w blocks, then 2 w, 4 w ..., each one array operation. Unlike
running sums these do the same arithmetic at every position.

Conventions: (channels, frames) float32, all channels share one gain; ``ceiling_db`` in dBTP, re full scale 1.0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from wavechain.dsp.state_space import Float64
from wavechain.dsp.true_peak import interpolator
from wavechain.errors import ParameterError

Float32 = npt.NDArray[np.float32]

_OVERSAMPLING = 4
# Frames in a row of the interpolating product and rows in a segment: one segment is one product of fixed shape, small
# enough that OpenBLAS keeps it on one thread (2^18 multiply-adds), and is left out when it cannot hold a peak.
_ROW = 16
_ROWS = 32
_SEGMENT = _ROW * _ROWS
# Segments worked out together: their temporary arrays stay below the 128 KiB from which an allocation is handed back
# to the system every time; fresh pages cost more than the arithmetic.
_TOGETHER = 14
# What is left of the gain reduction when the release ends; the average smooths this last step as well.
_RELEASED_TO = 0.01
# Aim lower than the ceiling by what float32 can round up (1e-5 dB).
_ROUNDING = 1.0 - 2.0**-20


def peak_envelope(waveform: Float32, *, oversampling: int = _OVERSAMPLING, above: float = 0.0) -> Float32:
    """Each frame's absolute value, or the highest top of the waveform between it and the next, over all channels.

    Interpolated with the taps of the true-peak meter; a parabola through the three points around a local maximum
    finds its top. Silence is assumed before the first and after the last frame.

    Shape   (channels, frames) -> (frames,)
    Units   re full scale 1.0; a reading that is certainly not above ``above`` may be lower than the truth (only
            those that matter are worked out)
    Error   as the meter: at most 0.05 dB low for sines up to 20 kHz at 44.1 kHz, with the default oversampling
    """
    channels, frames = waveform.shape
    grid = _grid(oversampling)
    segments = -(-frames // _SEGMENT)
    padded = np.zeros((channels, grid.half + segments * _SEGMENT + grid.half), np.float32)
    padded[:, grid.half : grid.half + frames] = waveform
    stride, step = padded.strides
    outer = (stride, _SEGMENT * step)
    around = as_strided(padded, (channels, segments, _SEGMENT + 2 * grid.half), (*outer, step), writeable=False)
    rows = as_strided(
        padded, (channels, segments, _ROWS, len(grid.matrix)), (*outer, _ROW * step, step), writeable=False
    )
    envelope = np.abs(padded[:, grid.half : -grid.half])
    by_segment = envelope.reshape(channels, segments, _ROWS, _ROW)
    needed = np.maximum(around.max(axis=2), -around.min(axis=2)) * np.float32(grid.bound) > above
    channel, segment = np.nonzero(needed)
    for first in range(0, channel.size, _TOGETHER):
        some = channel[first : first + _TOGETHER], segment[first : first + _TOGETHER]
        highest = by_segment[some]
        _raise_to_tops(highest, rows[some], grid, above)
        by_segment[some] = highest
    return envelope.max(axis=0)[:frames]


class Limiter:
    """Holds true peaks under a ceiling.

    Shape   ``process_window`` (channels, left + core + right) -> (channels, core), for ``context`` = (left, right)
            and a core that is a multiple of ``block_frames``
    Units   ``lookahead_seconds`` is how early the gain starts to fall, ``release_seconds`` how long after a peak it
            has come back (it holds still for the first quarter)
    Error   sample peaks never exceed the ceiling; true peaks MEASURED
    Exact   the same bits for every way of cutting the stream; a core that no peak reaches comes out as it went in
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
        self._target = self.ceiling * _ROUNDING
        # A power of two, about a sixth of a millisecond.
        self.block_frames = 1 << max(0, round(float(np.log2(sample_rate / 6000.0))))
        self._lookahead = max(1, round(lookahead_seconds * sample_rate / self.block_frames))
        release = max(3, round(release_seconds * sample_rate / self.block_frames))
        self._hold = max(2, release // 4)
        self._fall = release - self._hold
        self._decay = _RELEASED_TO ** (1.0 / self._fall)
        # The context is whole blocks, so that windows of whole blocks share one grid of blocks.
        self._margin = -(-_grid(_OVERSAMPLING).half // self.block_frames) * self.block_frames
        self.context = (
            self._margin + (self._lookahead + release) * self.block_frames,
            self._margin + (self._lookahead + 1) * self.block_frames,
        )

    def process_window(self, window: Float32) -> Float32:
        """The core of *window*, its gain lowered where a peak needs it."""
        left, right = self.context
        core = np.ascontiguousarray(window[:, left : window.shape[1] - right])
        if core.shape[1] % self.block_frames:
            raise ValueError(f"a core of {core.shape[1]} frames is not a multiple of {self.block_frames}")
        if max(window.max(), -window.min()) * _grid(_OVERSAMPLING).bound <= self._target:
            return core
        envelope = peak_envelope(window, above=self._target)[self._margin : window.shape[1] - self._margin]
        peaks = _block_max(envelope, self.block_frames).astype(np.float64)
        if peaks.max() <= self._target:
            return core
        # Each step looks back and ahead, so what it returns is shorter, until it is the blocks of the core and one.
        away = 1.0 - self._target / np.maximum(peaks, self._target)
        away = _decaying_max(away, self._lookahead + 1 + self._hold, 1.0)
        away = _decaying_max(away, self._fall + 1, self._decay)
        gain = 1.0 - _triangular_average(away, self._lookahead + 1)
        return core * _joined_by_lines(gain, self.block_frames)


class _Grid(NamedTuple):
    """How to interpolate ``oversampling`` times."""

    matrix: Float32  # (row + taps, row * oversampling + 2): a row with its context -> its points and two neighbours
    half: int  # frames of context on each side
    most_added: float  # the parabola adds no more: what the grid misses of a sine at half the sample rate
    bound: float  # no reading is higher than the highest sample around it times this


@lru_cache(maxsize=4)
def _grid(oversampling: int) -> _Grid:
    phases = interpolator(oversampling)
    taps = phases.shape[1]
    matrix = np.zeros((_ROW + taps, _ROW * oversampling + 2), np.float32)
    for place in range(-1, _ROW * oversampling + 1):
        frame, phase = divmod(place, oversampling)
        # The last point is a frame (phase 0): its only tap that is not 0 still lies within the context.
        used = min(taps, len(matrix) - (frame + 1))
        matrix[frame + 1 : frame + 1 + used, place + 1] = phases[phase, :used]
    most_added = float(1.0 / np.cos(np.pi / (2.0 * oversampling)))
    gain = float(np.abs(phases).sum(axis=1).max())
    # The last factor covers the rounding of float32 sums.
    return _Grid(matrix, taps // 2, most_added, gain * most_added * (1.0 + 1e-4))


def _raise_to_tops(envelope: Float32, rows: Float32, grid: _Grid, above: float) -> None:
    """Raise the frames of some segments to the tops that lie between them and the next, if these exceed *above*.

    Shape   envelope (segments, rows, row), rows (segments, rows, row + taps)
    """
    fine = rows @ grid.matrix
    size = np.abs(fine)
    floor = np.float32(above / grid.most_added)
    near = np.flatnonzero(size.max(axis=(1, 2)) > floor)
    if not near.size:
        return
    # One dimension: NumPy finds and fetches there several times faster. Row ends are compared with strangers, and
    # left out: each is an inner point of the next row.
    fine, size = fine[near].ravel(), size[near].ravel()
    here = size[1:-1]
    is_top = here > floor
    is_top &= here >= size[:-2]
    is_top &= here >= size[2:]
    place = np.flatnonzero(is_top) + 1
    width = grid.matrix.shape[1]
    row = place // width
    point = place - row * width
    inner = np.flatnonzero((point > 0) & (point < width - 1))
    place, row, point = place[inner], row[inner], point[inner] - 1
    before, top, after = fine[place - 1], fine[place], fine[place + 1]
    bend = np.abs(np.float32(2.0) * top - before - after)
    # Three equal points: flat already, and no bend to divide by.
    added = np.divide((after - before) ** 2, np.float32(8.0) * bend, out=np.zeros_like(top), where=bend != 0.0)
    top = np.abs(top)
    top = np.minimum(top + added, top * np.float32(grid.most_added))
    first_frame = (near[:, None] * _ROWS + np.arange(_ROWS)).ravel() * _ROW
    np.maximum.at(envelope.reshape(-1), first_frame[row] + point // ((width - 2) // _ROW), top)


def _block_max(values: Float32, length: int) -> Float32:
    """Largest of each *length* neighbours, a power of two.

    Shape   (n,) -> (n / length,)
    """
    while length > 1:
        values = np.maximum(values[0::2], values[1::2])
        length //= 2
    return values


def _decaying_max(values: Float64, length: int, decay: float) -> Float64:
    """Largest of *length* neighbours, the newest with weight 1, each older one with ``decay`` times less.

    Shape   (n,) -> (n - length + 1,)
    """
    seen = 1
    while seen < length:
        step = min(seen, length - seen)
        values = np.maximum(values[step:], values[:-step] * decay**step)
        seen += step
    return values


def _triangular_average(values: Float64, length: int) -> Float64:
    """Average of *length* neighbours with triangular weights: two plain averages, one after the other.

    Shape   (n,) -> (n - length + 1,)
    """
    first = length // 2 + 1
    second = length + 1 - first
    return _sliding_sum(_sliding_sum(values, first), second) / (first * second)


def _sliding_sum(values: Float64, length: int) -> Float64:
    """Sum of *length* neighbours, put together from sums of 1, 2, 4 ... neighbours.

    Shape   (n,) -> (n - length + 1,)
    """
    total = np.zeros(len(values) - length + 1)
    start, width = 0, 1
    while True:
        if length & width:
            total += values[start : start + len(total)]
            start += width
        if start == length:
            return total
        values = values[:-width] + values[width:]
        width *= 2


def _joined_by_lines(nodes: Float64, length: int) -> Float32:
    """Straight lines from node to node, *length* frames each.

    Shape   (n + 1,) -> (n * length,)
    """
    base, rise = nodes[:-1].astype(np.float32), np.diff(nodes).astype(np.float32)
    lines: Float32 = base[:, None] + rise[:, None] * (np.arange(length, dtype=np.float32) / length)
    return lines.ravel()
