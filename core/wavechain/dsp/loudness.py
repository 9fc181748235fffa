"""Programme loudness, its range and its maxima, as EBU R 128 meters show them.

The signal is K-weighted (a shelf for the head, a highpass for the ear), squared, weighted by where each channel is
heard from, and averaged over three lengths: 400 ms (momentary), 3 s (short-term) and the whole programme
(integrated), the last one without its silences: blocks of 400 ms, four in every 400 ms, count when they are above
-70 LUFS and above what is left minus 10 LU.

Conventions
    LUFS    -0.691 + 10 log10 of the weighted power; a 1 kHz sine of -23 dBFS peak in both channels reads -23.0
    hop     100 ms, rounded to whole frames (1102.5 at 11.025 kHz becomes 1103); incomplete blocks do not count
    -inf    nothing to measure: silence, or less than one block
Source      ITU-R BS.1770-5 (2023); EBU Tech 3341 and 3342 (2023)
"""

from __future__ import annotations

import copy
from array import array

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from wavechain.dsp.blocks import Rechunk
from wavechain.dsp.iir import QUANTUM, SosFilter
from wavechain.errors import ParameterError

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

# The standard's table, for 48 kHz: shelf, then highpass.
_TABLE_RATE = 48_000
_TABLE = np.array(
    [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
)
_LOWEST_RATE = 4_000

# Seen from the listener, sound from the side is louder by 1.5 dB; the low-frequency channel is not counted.
# Orders are those of WAV and FLAC files; any other count is taken as that many front channels.
_SIDE = 1.41
_WEIGHTS = {
    4: (1.0, 1.0, _SIDE, _SIDE),  # L R Ls Rs
    5: (1.0, 1.0, 1.0, _SIDE, _SIDE),  # L R C Ls Rs
    6: (1.0, 1.0, 1.0, 0.0, _SIDE, _SIDE),  # L R C LFE Ls Rs
    7: (1.0, 1.0, 1.0, 0.0, 1.0, _SIDE, _SIDE),  # L R C LFE, back centre, sides
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, _SIDE, _SIDE),  # L R C LFE, backs (beyond 120 degrees), sides
}

_TENTHS = 10  # parts of a hop in which momentary loudness moves on
_MOMENTARY = 4  # hops in 400 ms
_SHORT_TERM = 30  # hops in 3 s
_ABSOLUTE_GATE = -70.0
_RELATIVE_GATE = -10.0
_RANGE_GATE = -20.0


def k_weighting(sample_rate: int) -> Float64:
    """The two sections of the K-weighting at any sample rate: the same analogue filters as at 48 kHz.

    The bilinear transform replaces z by (1 + w) / (1 - w), so that b0 + b1/z + b2/z^2 becomes, over a common factor,
    (b0 + b1 + b2) + 2 (b0 - b2) w + (b0 - b1 + b2) w^2. On the unit circle w = i tan(pi f / rate), so a filter that
    is to have the same corner f at another rate has w stretched by tan(pi f / 48000) / tan(pi f / rate).

    Shape   -> (2, 6): b0 b1 b2 a0 a1 a2
    Raises  ParameterError below 4 kHz, where the shelf does not fit any more
    """
    if sample_rate < _LOWEST_RATE:
        raise ParameterError(
            f"Loudness needs a sample rate of at least {_LOWEST_RATE} Hz, this is {sample_rate} Hz.",
            hint="resample:sample_rate=48000 before it.",
        )
    to_w = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, -2.0], [1.0, -1.0, 1.0]])
    sections = []
    for section in _TABLE:
        numerator, denominator = to_w @ section[:3], to_w @ section[3:]
        corner = np.arctan(np.sqrt(denominator[0] / denominator[2])) * _TABLE_RATE / np.pi
        stretch = np.tan(np.pi * corner / _TABLE_RATE) / np.tan(np.pi * corner / sample_rate)
        powers = stretch ** np.arange(3)
        b, a = np.linalg.solve(to_w, numerator * powers), np.linalg.solve(to_w, denominator * powers)
        sections.append(np.concatenate([b, a]) / a[0])
    return np.array(sections)


def channel_weights(channels: int) -> Float64:
    """Weight of each channel's power, by their number.

    Shape   -> (channels,)
    Source  ITU-R BS.1770-5, Annex 1, Table 3, and Annex 3 for positions behind the listener
    """
    return np.array(_WEIGHTS.get(channels, (1.0,) * channels))


def lufs(power: npt.ArrayLike) -> Float64:
    """Loudness of a K-weighted, channel-weighted mean square; -inf for 0."""
    with np.errstate(divide="ignore"):
        level: Float64 = -0.691 + 10.0 * np.log10(np.asarray(power, np.float64))
    return level


def integrated_loudness(block_powers: Float64) -> float:
    """Gated loudness of a programme from the powers of its 400 ms blocks (those of several files: an album's).

    Shape   (blocks,) -> LUFS
    """
    loud = block_powers[lufs(block_powers) > _ABSOLUTE_GATE]
    if not loud.size:
        return -np.inf
    counted = loud[lufs(loud) > lufs(loud.mean()) + _RELATIVE_GATE]
    return float(lufs(counted.mean()))


class LoudnessMeter:
    """Feed it a programme, read it at any time; reading changes nothing.

    Shape   ``feed`` (channels, frames) float32, any number of frames
    Units   LUFS and LU
    Exact   every reading is the same to the last bit however the signal was cut into blocks
    Memory  one float64 per 100 ms: 0.9 MB for three hours
    Raises  ParameterError for a sample rate below 4 kHz
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        weights = channel_weights(channels)
        self._heard = np.flatnonzero(weights)
        self._rechunk = Rechunk(QUANTUM, (channels,))
        self._powers = _HopPowers(sample_rate, weights[self._heard])
        self._now: _HopPowers | None = None

    def feed(self, block: Float32) -> None:
        """Take in the next frames."""
        self._now = None
        for chunk in self._rechunk.push(block):
            self._powers.add(self._weighted_channels(chunk), QUANTUM)

    def integrated_lufs(self) -> float:
        """Loudness of the whole programme, gated."""
        return integrated_loudness(self.block_powers())

    def loudness_range_lu(self) -> float:
        """From the quiet (10 %) to the loud (95 %) short-term loudness; 0 for less than 3 s or silence."""
        powers = _windows(self._settled().hops(), _SHORT_TERM)
        loud = powers[lufs(powers) >= _ABSOLUTE_GATE]
        if not loud.size:
            return 0.0
        counted = np.sort(lufs(loud[lufs(loud) >= lufs(loud.mean()) + _RANGE_GATE]))
        low, high = (counted[round((counted.size - 1) * part)] for part in (0.10, 0.95))
        return float(high - low)

    def max_momentary_lufs(self) -> float:
        """The loudest 400 ms, on a grid of 10 ms: a burst between two hops is not missed."""
        return float(lufs(self._settled().max_momentary))

    def max_short_term_lufs(self) -> float:
        """The loudest 3 s, on a grid of 100 ms."""
        return float(lufs(_windows(self._settled().hops(), _SHORT_TERM).max(initial=0.0)))

    def block_powers(self) -> Float64:
        """Power of each 400 ms block, one every 100 ms: what ``integrated_loudness`` takes."""
        return _windows(self._settled().hops(), _MOMENTARY)

    def _weighted_channels(self, block: Float32) -> Float32:
        return block if len(self._heard) == len(block) else block[self._heard]

    def _settled(self) -> _HopPowers:
        """Powers up to the last frame fed, the frames that do not fill a quantum included."""
        if self._now is None:
            self._now = self._powers
            rest = self._rechunk.rest()
            if frames := rest.shape[1]:
                self._rechunk.push(rest)
                quantum = np.zeros((len(self._heard), QUANTUM), np.float32)
                quantum[:, :frames] = self._weighted_channels(rest)
                self._now = self._powers.twin()
                self._now.add(quantum, frames)
        return self._now


class _HopPowers:
    """K-weighted mean square of each hop, and the highest of 400 ms so far."""

    def __init__(self, sample_rate: int, weights: Float64) -> None:
        self.max_momentary = 0.0
        self._hop = (sample_rate + 5) // 10
        self._weights = None if (weights == 1.0).all() else weights[:, None]
        self._filter = SosFilter(k_weighting(sample_rate), len(weights))
        self._filtered = np.empty((len(weights), QUANTUM))
        self._frames = 0
        self._open = 0.0  # energy since the last complete tenth of a hop
        self._tenths = np.empty(0)  # energies of the last complete tenths, one less than 400 ms of them
        self._hops = array("d")

    def hops(self) -> Float64:
        return np.array(self._hops)

    def twin(self) -> _HopPowers:
        """The same powers, to go on with while this one stays as it is. Only scratch memory is shared."""
        twin = copy.copy(self)
        twin._filter = copy.copy(self._filter)  # its state is replaced with every quantum, never written into
        twin._hops = copy.copy(self._hops)
        return twin

    def add(self, quantum: Float32, frames: int) -> None:
        """One quantum of the heard channels, of which the first *frames* belong to the signal."""
        self._filter.process_quantum(quantum, self._filtered)
        squared = np.multiply(self._filtered, self._filtered, out=self._filtered)
        if self._weights is not None:
            squared *= self._weights
        energy = squared[:, :frames].sum(axis=0)

        # Tenth k ends with frame ceil(k hop / 10), so that ten of them make a hop at any sample rate.
        done_before, start = self._frames * _TENTHS // self._hop, self._frames
        self._frames += frames
        done = self._frames * _TENTHS // self._hop
        ends = -(np.arange(done_before + 1, done + 1) * -self._hop // _TENTHS) - start
        sums = np.add.reduceat(energy, np.concatenate([[0], ends[ends < frames]]))
        sums[0] += self._open
        self._open = float(sums[ends.size :].sum())

        in_open_hop = done_before % _TENTHS
        tenths = np.concatenate([self._tenths, sums[: ends.size]])
        in_hops = tenths[tenths.size - ends.size - in_open_hop :]
        in_hops = in_hops[: in_hops.size // _TENTHS * _TENTHS].reshape(-1, _TENTHS)
        self._hops.frombytes((in_hops.sum(axis=1) / self._hop).tobytes())
        window = _MOMENTARY * _TENTHS
        if tenths.size >= window:
            loudest = sliding_window_view(tenths, window).sum(axis=1).max()
            self.max_momentary = max(self.max_momentary, float(loudest) / (_MOMENTARY * self._hop))
        self._tenths = tenths[max(0, tenths.size - window + 1) :]


def _windows(hops: Float64, length: int) -> Float64:
    """Mean power of every run of *length* hops."""
    if hops.size < length:
        return np.empty(0)
    means: Float64 = sliding_window_view(hops, length).mean(axis=1)
    return means
