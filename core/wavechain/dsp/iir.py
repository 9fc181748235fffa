"""Recursive filters (cascades of second-order sections) as a few small matrix products, without a loop over samples.

A cascade of n sections is one linear system with 2 n states. Lifted to rows of 32 frames (``state_space``), its
output for all rows at once is one product [inputs, state] @ M, if the state at the start of every row is known.
Those states obey the same recursion, 32 times shorter, driven by what each row adds to the state. So they are
found by the same trick again, until one step is left for the whole quantum: the loop runs over 4 levels, not over
16384 frames.

All arithmetic is float64, which costs less than the moves around it, so a steep filter at a low frequency (where
float32 biquads lose 100 dB) is as clean as any other: the error is the final rounding to float32.

Bit-exactness: every product has one fixed shape, small enough that OpenBLAS keeps it on one thread (its limit is
2^18 multiply-adds), and each channel has products of its own. So neither block size, thread count nor the number
of channels changes a bit.

Conventions: ``sos`` is float64 (n, 6) as b0 b1 b2 a0 a1 a2, as in SciPy; a sample that is not finite spoils the
whole quantum that it is in, also backwards: refuse it before.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wavechain.dsp.blocks import Array, Rechunk
from wavechain.dsp.state_space import Float64, LinearSystem, cascade, without_tiny
from wavechain.errors import ParameterError

QUANTUM = 16384
_ROW = 32
_GROUP = 8
_SINGLE_THREAD_LIMIT = 2**18


def validated_sos(sos: npt.ArrayLike) -> Float64:
    """*sos* as float64 (n, 6) with a0 = 1, or a refusal.

    Raises  ParameterError when the shape is wrong, a0 is 0, a value is not finite, or a pole lies on or outside
            the unit circle (the filter would never fall silent)
    """
    sections = np.array(sos, np.float64)
    if sections.ndim != 2 or sections.shape[1] != 6 or not len(sections):
        raise ParameterError(
            f"Second-order sections have shape (n, 6), these have {sections.shape}.",
            hint="one row b0 b1 b2 a0 a1 a2 for each section.",
        )
    if not np.isfinite(sections).all() or not sections[:, 3].all():
        raise ParameterError(
            "Second-order sections hold a value that is not finite, or a0 = 0.",
            hint="a filter design with finite coefficients.",
        )
    sections = sections / sections[:, 3:4]
    radius = pole_radius(sections)
    if radius >= 1.0:
        raise ParameterError(
            f"This filter is not stable: a pole lies at radius {radius:.9f}, 1 or more.",
            hint="a higher frequency or a lower q.",
        )
    return sections


def pole_radius(sos: Float64) -> float:
    """Distance of the outermost pole from 0: below 1 for a stable filter."""
    a1, a2 = sos[:, 4], sos[:, 5]
    root = np.sqrt((a1 * a1 - 4.0 * a2).astype(np.complex128))
    return float(np.max(np.abs(np.stack([root - a1, root + a1])) / 2.0))


class SosFilter:
    """A cascade of second-order sections on quanta of one fixed length, one state for each channel.

    Shape   ``process_quantum`` (channels, quantum) -> (channels, quantum)
    Units   ``quantum`` in frames, a power of two from 512
    Raises  ParameterError for sections that cannot be used (see ``validated_sos``)
    Source  block state-space filtering, derivation above
    """

    def __init__(self, sos: npt.ArrayLike, channels: int, *, quantum: int = QUANTUM) -> None:
        if quantum < 512 or quantum & (quantum - 1):
            raise ValueError(f"quantum must be a power of two from 512, not {quantum}")
        self.sos = validated_sos(sos)
        self.channels = channels
        self.quantum = quantum
        system = cascade(self.sos)
        self._levels: list[_Level] = []
        steps, size = quantum, _ROW
        while steps > 1:
            size = min(size, steps)
            steps //= size
            self._levels.append(_Level(system.lifted(size), channels, steps))
            system = self._levels[-1].system.states_only()
            size = _GROUP
        self._state = np.zeros((channels, 1, len(system.a)))

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._state = np.zeros_like(self._state)

    def process_quantum(self, block: Array, out: Array | None = None) -> Array:
        """Filter the next ``quantum`` frames, into *out* (any float type, may be a view) or a new float32 array."""
        inputs: Array = block
        for level in self._levels:
            inputs = level.contribution(inputs)
        states = self._state
        self._state = without_tiny(states @ self._levels[-1].power + inputs)
        for level in reversed(self._levels):
            states = level.response(states)
        if out is None:
            return states.reshape(block.shape).astype(np.float32)
        out[...] = states.reshape(block.shape)
        return out


class _Level:
    """One lifting: rows of steps, their contribution to the state, and their response once the state is known."""

    def __init__(self, system: LinearSystem, channels: int, rows: int) -> None:
        self.system = system
        self.power = np.ascontiguousarray(system.a.T)
        outputs, self._inputs = system.d.shape
        self._drive = np.ascontiguousarray(system.b.T)
        self._respond = np.ascontiguousarray(np.hstack([system.d, system.c]).T)
        # A single row would be a matrix-vector product, which OpenBLAS threads much sooner: one idle row is added.
        self._part = padded = max(rows, 2)
        while self._part > 2 and self._part * self._respond.size > _SINGLE_THREAD_LIMIT:
            self._part //= 2
        self._rows = rows
        self._joined = np.zeros((channels, padded, len(self._respond)))
        self._output = np.zeros((channels, padded, outputs))

    def contribution(self, inputs: Array) -> Array:
        """What each row adds to the state behind it, as if it had started from silence."""
        channels = len(self._joined)
        self._joined[:, : self._rows, : self._inputs] = inputs.reshape(channels, self._rows, self._inputs)
        added: Array = self._in_parts(self._joined)[..., : self._inputs] @ self._drive
        return added.reshape(channels, -1, len(self.power))[:, : self._rows]

    def response(self, states: Array) -> Array:
        """The outputs of every row, given the state before each: valid until the next call."""
        self._joined[:, : self._rows, self._inputs :] = states.reshape(len(self._joined), self._rows, -1)
        np.matmul(self._in_parts(self._joined), self._respond, out=self._in_parts(self._output))
        return self._output[:, : self._rows]

    def _in_parts(self, rows: Float64) -> Float64:
        """A view for products of ``part`` rows each."""
        return rows.reshape(-1, self._part, rows.shape[-1])


class SosStream:
    """``SosFilter`` for blocks of any length: what comes out is as long as what goes in, and bit-identical for
    every way of cutting the signal.

    Shape   (channels, any) -> (channels, a multiple of ``quantum``); ``flush`` gives the rest
    Units   the output is not delayed: its first frame belongs to the first input frame
    """

    def __init__(self, sos: npt.ArrayLike, channels: int, *, quantum: int = QUANTUM) -> None:
        self.filter = SosFilter(sos, channels, quantum=quantum)
        self._rechunk = Rechunk(quantum, (channels,))

    def process(self, block: Array) -> Array:
        """The output of every quantum that *block* completes."""
        quantum = self.filter.quantum
        chunks = self._rechunk.push(block)
        out = np.empty((self.filter.channels, len(chunks) * quantum), np.float32)
        for index, chunk in enumerate(chunks):
            self.filter.process_quantum(chunk, out[:, index * quantum : (index + 1) * quantum])
        return out

    def flush(self) -> Array:
        """The output of the frames still held back; after it a new stream begins, from silence."""
        rest = self._rechunk.rest()
        frames = rest.shape[-1]
        if not frames:
            self.filter.reset()
            return rest
        padded = np.zeros((self.filter.channels, self.filter.quantum), np.float32)
        padded[:, :frames] = rest
        filtered = self.filter.process_quantum(padded)
        self.filter.reset()
        return np.ascontiguousarray(filtered[:, :frames])


def frequency_response(
    sos: npt.ArrayLike, frequencies_hz: npt.ArrayLike, sample_rate: float
) -> npt.NDArray[np.complex128]:
    """Gain and phase of the cascade at each frequency.

    Shape   (n, 6), (any) -> (any)
    Units   complex factor: 20 log10 |H| is dB, angle in radians
    """
    delay = np.exp(-2j * np.pi * np.asarray(frequencies_hz, np.float64) / sample_rate)
    response = np.ones(delay.shape, np.complex128)
    for b0, b1, b2, a0, a1, a2 in np.asarray(sos, np.float64):
        response *= (b0 + delay * (b1 + delay * b2)) / (a0 + delay * (a1 + delay * a2))
    return response


def ring_frames(sos: npt.ArrayLike, floor_db: float = -60.0, *, limit_frames: int = 2**23) -> int:
    """How long the filter can still be heard after its input has stopped: a stage's tail.

    The loudest that any full-scale input can leave behind, n frames after its end, is the sum of |h| from n on
    (h the impulse response): the tail ends where this sum falls below the floor. So it bounds the impulse response
    itself, and also the slow ringing of a low highpass, whose impulse response looks harmless.

    Units   frames; ``floor_db`` re full scale
    Returns ``limit_frames`` when the filter rings longer than that
    """
    sections = validated_sos(sos)
    filter_ = SosFilter(sections, 1)
    floor = 10.0 ** (floor_db / 20.0)
    # An isolated pole shrinks by this factor in a quantum: what is left after it is at most a geometric series.
    shrink = pole_radius(sections) ** filter_.quantum
    quantum = np.zeros((1, filter_.quantum), np.float32)
    quantum[0, 0] = 1.0
    heard = [np.abs(filter_.process_quantum(quantum, np.empty(quantum.shape))[0])]
    quantum[0, 0] = 0.0
    while heard[-1].sum() > 1e-3 * floor * (1.0 - shrink):
        if len(heard) * filter_.quantum >= limit_frames:
            return limit_frames
        heard.append(np.abs(filter_.process_quantum(quantum, np.empty(quantum.shape))[0]))
    still_to_come = np.cumsum(np.concatenate(heard)[::-1])[::-1]
    return min(limit_frames, int(np.count_nonzero(still_to_come >= floor)))


def ring_seconds(sos: npt.ArrayLike, sample_rate: float, floor_db: float = -60.0) -> float:
    """``ring_frames`` in seconds."""
    return ring_frames(sos, floor_db) / sample_rate
