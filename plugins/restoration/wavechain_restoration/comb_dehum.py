"""comb-dehum: takes out mains hum and its harmonics, and nothing that moves.

Hum is a series of lines at multiples of one frequency that stand still for seconds. In a window of many seconds the
series is looked for as peaks of the spectrum; each harmonic is then brought down to frequency zero (heterodyned) in
short frames, and the running median of its complex amplitude over the frames is what stays: a bass note, which comes
and goes, moves the median little, and frames around it count against it. The series is summed up from these amplitudes
and subtracted, so that nothing is notched out where there is no hum, and phases of everything else stay.

Conventions: any channel count, each by itself; length unchanged; where no series is found, frames pass through bit for
bit.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from wavechain import Block, Effect, Processor, Spec, Window, param
from wavechain_restoration.ar import Signal

Complex = npt.NDArray[np.complex128]

_CORE_SECONDS = 4.0
_CONTEXT_SECONDS = 4.0
_FRAME_SECONDS = 0.5
_MEDIAN_FRAMES = 11
_STEP_HZ = 0.01
# A line counts fully when its amplitude is twice this many times what its frames deviate from it.
_AGREED = 2.0
_LEAST_LINES = 4
_TINY = 1e-12


class CombDehum(Effect):
    """Take out mains hum and its harmonics."""

    cost: ClassVar[float] = 600.0

    lowest_hz: float = param(45.0, unit="Hz", ge=20, le=500, help="Where the search for the fundamental begins.")
    highest_hz: float = param(65.0, unit="Hz", ge=20, le=500, help="Where the search for the fundamental ends.")
    harmonics: int = param(30, ge=1, le=60, help="How many multiples of it are taken out, itself included.")
    least_db: float = param(
        12.0, unit="dB", ge=3, le=40, help="How far the lines must rise above what is around them, to be hum."
    )
    amount: float = param(1.0, ge=0, le=1, help="How much of the hum is taken out.")

    def open(self, spec: Spec) -> Processor:
        return _Dehum(spec, self)


class _Dehum(Window):
    def __init__(self, spec: Spec, stage: CombDehum) -> None:
        rate = spec.sample_rate
        self._hop = round(rate * _FRAME_SECONDS / 2)
        context = round(_CONTEXT_SECONDS / _FRAME_SECONDS * 2) * self._hop
        super().__init__(spec, context, context, core=context)
        self._stage = stage
        self._rate = rate
        self._count = min(stage.harmonics, int(0.45 * rate / stage.highest_hz))
        self._hann = np.hanning(2 * self._hop + 1)[:-1]
        self._found: list[float] = []

    def compute(self, window: Block) -> Block:
        core = window[:, self.left : self.left + self.core]
        out = None
        for channel, signal in enumerate(window):
            hum = self._hum(signal.astype(np.float64))
            if hum is None:
                continue
            if out is None:
                out = core.copy()
            out[channel] = core[channel] - np.float32(self._stage.amount) * hum.astype(np.float32)
        return core if out is None else out

    def _hum(self, signal: Signal) -> Signal | None:
        """The hum in the core of *signal*, or None. Shape (left + core + right,) -> (core,)"""
        sounding = np.flatnonzero(signal)
        if sounding.size < 4 * self._hop:
            return None
        fundamental = self._fundamental(signal[sounding[0] : sounding[-1] + 1])
        if fundamental is None:
            return None
        # Frames that reach outside the sound say nothing about the hum in it.
        frames = sliding_window_view(signal, 2 * self._hop)[:: self._hop] * self._hann
        starts = np.arange(len(frames)) * self._hop
        inside = (starts >= sounding[0]) & (starts + 2 * self._hop <= sounding[-1] + 1)
        if np.count_nonzero(inside) < 3:
            return None
        order = np.arange(1, self._count + 1)
        phases = np.exp(-2j * np.pi * fundamental / self._rate * np.arange(2 * self._hop))
        turn = np.exp(-2j * np.pi * np.outer(starts, order) * fundamental / self._rate)
        lines = np.empty((len(frames), self._count), np.complex128)
        carrier = np.ones_like(phases)
        for harmonic in range(self._count):
            carrier = carrier * phases
            lines[:, harmonic] = frames @ carrier
        lines *= turn * (2 / self._hann.sum())
        steady = _running_median(lines, inside, _MEDIAN_FRAMES)
        # A line that its own frames do not agree on is no hum: it may be a note.
        apart = _running_median(np.abs(lines - steady), inside, _MEDIAN_FRAMES).real
        trust = np.clip((np.abs(steady) / (apart + _TINY) - _AGREED) / _AGREED, 0.0, 1.0)
        if np.count_nonzero(np.median(trust[inside], axis=0) >= 0.5) < _LEAST_LINES:
            return None
        steady = steady * trust
        if not np.abs(steady).max() > _TINY:
            return None
        self._found.append(fundamental)
        return self._series(steady, fundamental)

    def _fundamental(self, signal: Signal) -> float | None:
        """The frequency whose multiples stand highest above their surroundings, if any series does."""
        stage, rate = self._stage, self._rate
        size = 1 << (4 * signal.size - 1).bit_length()
        top = min(int((stage.highest_hz * min(self._count, 10) + 5) * size / rate) + 1, size // 2)
        level = 20 * np.log10(np.abs(np.fft.rfft(signal * np.hanning(signal.size), size)[:top]) + _TINY)
        # Prominence: above the median of the 10 Hz around.
        reach = max(4, round(10 * size / rate))
        coarse = level[: level.size // reach * reach].reshape(-1, reach)
        around = np.interp(np.arange(level.size), (np.arange(len(coarse)) + 0.5) * reach, np.median(coarse, axis=1))
        prominence = np.clip(level - around, 0, 40)
        candidates = np.arange(stage.lowest_hz, stage.highest_hz + _STEP_HZ / 2, _STEP_HZ)
        order = np.arange(1, min(self._count, 10) + 1)
        place = np.rint(np.outer(candidates, order) * size / rate).astype(int)
        heights = prominence[np.minimum(place, level.size - 1)] * (place < level.size)
        score = heights.sum(axis=1)
        best = int(score.argmax())
        lines = int(np.count_nonzero(heights[best] >= stage.least_db))
        if lines < 2:
            return None
        # Between the candidates: the top of the parabola through the strongest line, divided by its number.
        harmonic = int(order[heights[best].argmax()])
        peak = place[best, harmonic - 1]
        near = slice(max(1, peak - reach // 20), peak + reach // 20 + 1)
        peak = near.start + int(level[near].argmax())
        if not 0 < peak < level.size - 1:
            return float(candidates[best])
        low, mid, high = level[peak - 1 : peak + 2]
        bend = low - 2 * mid + high
        return float((peak + (0.5 * (low - high) / bend if bend else 0.0)) * rate / size / harmonic)

    def _series(self, steady: Complex, fundamental: float) -> Signal:
        first = self.left // self._hop - 1  # the frame whose centre is the first of the core
        frames = self.core // self._hop
        time = np.arange(self.left, self.left + self.core)
        phasor = np.exp(2j * np.pi * fundamental / self._rate * time)
        ramp = np.arange(self._hop) / self._hop
        carrier = np.ones_like(phasor)
        hum = np.zeros(self.core)
        for harmonic in range(steady.shape[1]):
            carrier = carrier * phasor
            knots = steady[first : first + frames + 1, harmonic]
            if not np.abs(knots).max() > _TINY:
                continue
            amplitude = (knots[:-1, np.newaxis] + np.diff(knots)[:, np.newaxis] * ramp).reshape(-1)
            hum += (carrier * amplitude).real
        return hum

    @property
    def report(self) -> dict[str, Any]:
        if not self._found:
            return {"left_alone": "no steady series of lines was found"}
        return {"fundamental_hz": round(float(np.median(self._found)), 3)}


def _running_median(values: Complex | Signal, inside: npt.NDArray[np.bool_], count: int) -> Complex:
    """Median of the nearest *count* frames that are *inside*, real and imaginary part apart. Shape unchanged"""
    places = np.flatnonzero(inside)
    count = min(count, places.size)
    middle = np.searchsorted(places, np.arange(len(values))) - count // 2
    nearest = places[np.clip(middle, 0, places.size - count)[:, np.newaxis] + np.arange(count)]
    chosen = np.asarray(values, np.complex128)[nearest]
    median: Complex = np.median(chosen.real, axis=1) + 1j * np.median(chosen.imag, axis=1)
    return median
