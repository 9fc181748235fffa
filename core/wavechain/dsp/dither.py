"""Float samples become integers: scaled, dithered, rounded, clipped, interleaved.

Rounding alone makes an error that follows the signal: a fade to silence turns into a buzz. Triangular noise (TPDF)
of 2 LSB peak to peak, added before rounding, makes mean and variance of the error independent of the signal: what
is left is a steady hiss of 3/12 LSB^2, 4.8 dB above the bare rounding error.

Conventions
    LSB    one step of the target depth; the integers run from -2^(bits-1) to 2^(bits-1) - 1
    over   a sample beyond -1.0 or +1.0. A sample of exactly +1.0 (a peak normalised to 0 dBFS, or the top code of a
           24-bit file on its way to 16) has no integer of its own: it becomes the highest one, at most
           1 LSB away, and is not an over.
Source     S. P. Lipshitz, R. A. Wannamaker, J. Vanderkooy, "Quantization and Dither: A Theoretical Survey",
           J. Audio Eng. Soc. 40 (1992)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wavechain.errors import NonFiniteError, ParameterError

Float32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32 | np.float64]
Integers = npt.NDArray[np.int16 | np.int32]

# Frames quantised at a time, and the unit in which noise is drawn: counted from the start of the stream, so that
# the noise does not depend on how the signal is cut. Small enough for the work arrays to stay in the cache.
_PIECE = 16_384


class Quantiser:
    """Blocks of float32 in, interleaved integers out, as libsndfile wants them.

    Shape   ``process`` (channels, frames) float32 -> (frames, channels), C-contiguous
    Units   int16 up to 16 bits, int32 above, left-justified: one LSB is 2^(16-bits) or 2^(32-bits)
    Raises  ParameterError for a depth outside 8 to 32; NonFiniteError for NaN or infinity in a block;
            ValueError for another channel count: a mistake of the calling code
    Exact   the same integers for every way of cutting the signal. Without dither, samples that came from integers
            of this depth return to the same integers. At 32 bits a float32 has nothing left to dither: the noise
            is left out.

    ``overs`` counts samples beyond full scale before clipping, ``over_peak`` is the largest magnitude among them
    (1.0 is full scale; 0.0 when there are none). Output is always clipped to the legal range.
    """

    def __init__(self, bits: int, channels: int, *, seed: int, dither: bool = True) -> None:
        if not 8 <= bits <= 32:
            raise ParameterError(f"Cannot quantise to {bits} bits: the depths are 8 to 32.", hint="bits=16.")
        self.bits = bits
        self.channels = channels
        self.dither = dither and bits < 32
        self.overs = 0
        self.over_peak = 0.0
        self._dtype: type[np.int16 | np.int32] = np.int16 if bits <= 16 else np.int32
        self._shift = (16 if bits <= 16 else 32) - bits
        # float32 holds 24 bits: enough for 16 and a dither 8 bits finer, or for exactly 24 without any.
        fits_float32 = bits <= (16 if self.dither else 24)
        self._work: type[np.float32 | np.float64] = np.float32 if fits_float32 else np.float64
        self._scale = self._work(2.0 ** (bits - 1))
        self._bottom = -(2.0 ** (bits - 1))
        self._top = 2.0 ** (bits - 1) - 1.0
        self._generator = np.random.SFC64(seed)
        self._noise: Floats = np.empty((channels, 0), self._work)

    def process(self, block: Float32) -> Integers:
        """The integers of *block*."""
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"expected blocks of shape ({self.channels}, frames), got {block.shape}")
        frames = block.shape[1]
        out: Integers = np.empty((frames, self.channels), self._dtype)
        start = 0
        while start < frames:
            steps = min(_PIECE, frames - start)
            if self.dither:
                if not self._noise.shape[1]:
                    self._noise = self._draw()
                steps = min(steps, self._noise.shape[1])
            whole = self._rounded(block[:, start : start + steps])
            # Channel by channel: writing a transposed view at once takes twice as long.
            for channel in range(self.channels):
                out[start : start + steps, channel] = whole[channel]
            start += steps
        return out

    def _rounded(self, samples: Float32) -> Integers:
        with np.errstate(over="ignore"):
            scaled = np.multiply(samples, self._scale, dtype=self._work)
        lowest, highest = float(scaled.min()), float(scaled.max())
        if not (np.isfinite(lowest) and np.isfinite(highest)):
            raise NonFiniteError(
                f"A sample that is NaN or infinite cannot be written as {self.bits}-bit integers.",
                hint="--debug to see which stage made it.",
            )
        if highest > -self._bottom or lowest < self._bottom:
            beyond = np.abs(scaled) > -self._bottom
            self.overs += int(np.count_nonzero(beyond))
            self.over_peak = max(self.over_peak, max(highest, -lowest) / float(self._scale))
        if self.dither:
            steps = samples.shape[1]
            scaled += self._noise[:, :steps]
            self._noise = self._noise[:, steps:]
        np.rint(scaled, out=scaled)
        # The noise reaches 1 LSB and rounding another half: only near full scale is there anything to clip.
        if highest > self._top - 1.5 or lowest < self._bottom + 1.5:
            np.clip(scaled, self._bottom, self._top, out=scaled)
        whole: Integers = scaled.astype(self._dtype)
        if self._shift:
            np.left_shift(whole, self._shift, out=whole)
        return whole

    def _draw(self) -> Floats:
        """The next piece of triangular noise, in LSB: the difference of two uniform 15-bit numbers.

        One 64-bit number holds four uniform ones, and their differences are symmetric about 0 and never leave
        int16: this costs a third of two calls of ``Generator.random``.
        """
        uniform = self._generator.random_raw(self.channels * _PIECE // 2).view(np.int16) >> 1
        first, second = uniform.reshape(2, self.channels, _PIECE)
        noise: Floats = np.subtract(first, second).astype(self._work)
        noise *= self._work(2.0**-15)
        return noise
