"""A brick-wall limiter on true peaks, with look-ahead, without recursion.

The gain of a frame depends on a finite stretch of signal around it, so a stream cut into windows with that much
context gives the same gain as the whole signal. Peaks are gathered over blocks of 8 frames (at 48 kHz). For block n,
with A the look-ahead, H the hold and R the release, in blocks, 2 <= H < R:

    e[n] = highest point of any channel in the block, also between the samples
    a[n] = 1 - ceiling / e[n], or 0 when e[n] is below the ceiling       how much must be taken away
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

import numpy as np
import numpy.typing as npt

from wavechain.dsp.peak_envelope import OVERSAMPLING, fine_grid, peak_envelope
from wavechain.dsp.state_space import Float64
from wavechain.errors import ParameterError

Float32 = npt.NDArray[np.float32]

# What is left of the gain reduction when the release ends; the average smooths this last step as well.
_RELEASED_TO = 0.01
# A peak above the ceiling is brought this far below it, because another meter's interpolator may read the result
# higher: hard-clipped music by 0.08 dB, white noise by 0.09 dB. It makes limiting twice the same as limiting once.
_RESERVE_DB = 0.05


class Limiter:
    """Holds true peaks under a ceiling.

    Shape   ``process_window`` (channels, left + core + right) -> (channels, core), for ``context`` = (left, right)
            and a core that is a multiple of ``block_frames``
    Units   ``lookahead_seconds`` is how early the gain starts to fall, ``release_seconds`` how long after a peak it
            has come back (it holds still for the first quarter)
    Error   neither sample peaks nor, on the meter of this package, true peaks exceed the ceiling; on another
            interpolator true peaks do so by at most 0.05 dB. What exceeded the ceiling ends 0.05 dB below it
    Exact   the same bits for every way of cutting the stream; far from what exceeds the ceiling every sample comes
            out as it went in
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
        self._target = self.ceiling * 10.0 ** (-_RESERVE_DB / 20.0)
        # A power of two, about a sixth of a millisecond.
        self.block_frames = 1 << max(0, round(float(np.log2(sample_rate / 6000.0))))
        self._lookahead = max(1, round(lookahead_seconds * sample_rate / self.block_frames))
        release = max(3, round(release_seconds * sample_rate / self.block_frames))
        self._hold = max(2, release // 4)
        self._fall = release - self._hold
        self._decay = _RELEASED_TO ** (1.0 / self._fall)
        # The context is whole blocks, so that windows of whole blocks share one grid of blocks.
        self._margin = -(-fine_grid(OVERSAMPLING).half // self.block_frames) * self.block_frames
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
        if max(window.max(), -window.min()) * fine_grid(OVERSAMPLING).bound <= self.ceiling:
            return core
        envelope = peak_envelope(window, above=self.ceiling)[self._margin : window.shape[1] - self._margin]
        peaks = _block_max(envelope, self.block_frames).astype(np.float64)
        if peaks.max() <= self.ceiling:
            return core
        # Each step looks back and ahead, so what it returns is shorter, until it is the blocks of the core and one.
        away = np.where(peaks > self.ceiling, 1.0 - self._target / np.maximum(peaks, self.ceiling), 0.0)
        away = _decaying_max(away, self._lookahead + 1 + self._hold, 1.0)
        away = _decaying_max(away, self._fall + 1, self._decay)
        gain = 1.0 - _triangular_average(away, self._lookahead + 1)
        limited: Float32 = core * _joined_by_lines(gain, self.block_frames)
        return limited


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
    lines: Float32 = base[:, None] + rise[:, None] * (np.arange(length, dtype=np.float32) * np.float32(1.0 / length))
    return lines.ravel()
