"""comb-dehum: takes out mains hum and its harmonics, and nothing that moves.

Hum is a series of lines at multiples of one frequency that stand still for seconds. Each line is looked for where the
sound leaves it free: in short frames the power beside the line, where no other line of the series lies, says how much
else there is, and frames count by its inverse (the estimate of greatest likelihood for a steady line in a sound that
comes and goes). The series whose lines stand highest above the error of their own estimate is taken for hum, if lines
that no single note would have stand out, if each of them agrees with its own frames, and if one of them at least stands
in a quarter of the frames as it does on the whole, which a bass line does not. A line is subtracted as far as it is
certain, so that nothing is notched out where there is no hum, and phases of everything else stay.

Where the frequency wanders, frames nearby predict a frame better than all of them do: that decides over how many frames
a line is averaged.

Conventions: any channel count, each by itself; length unchanged; where no series is found, frames pass through bit for
bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from wavechain import Block, Effect, Processor, Spec, Window, param
from wavechain_restoration.ar import Mask, Signal

Complex = npt.NDArray[np.complex128]

_HOPS = 16  # of a quarter of a second, in the core and on each side of it
_HOPS_PER_SECOND = 4
_LOW_HOP = 1024  # frames of a hop after the reduction to 4096 Hz
_BESIDE = np.concatenate([np.arange(-12, -3), np.arange(4, 13)])  # in bins of 2 Hz
_OVERLAPPING = 4 / 3  # variance of a mean of half overlapping Hann frames, against independent ones
_STEP_HZ = 0.004
_SEARCHED = 20  # lines
_TRIED = 12  # series, the best first
_APART_HZ = 0.05
_LOW_LINES = 4  # hum has two of these; the overtones of a note that falls on a higher line have not
_TURNS = 4
_UNUSUAL = 4.0  # times the usual deviation of a frame, from which on it counts half or less
_AGREE = 6.0  # times what the noise beside the line would explain, that frames may deviate from it
_AGREE_SHARE = 0.05  # of the power of the line, that they may deviate at any rate
_STANDS = 0.4  # of a line, that it may deviate by in the quieter frames: a bass line deviates by more
_STANDS_SHARE = 0.25  # of the frames, that are these
_KEPT = 6.0  # times the variance of its estimate, from which on a line is taken out
_SKIRT_HZ = np.linspace(-2.5, 2.5, 101)
_STRONGER = 10.0
_LONE = 5.0  # times the evidence that a line needs among others
_LONE_SHARE = 0.25  # of all power, above which a line alone is no hum but the sound itself
_SPANS = (None, 15, 7)  # frames; None: all
_BETTER = 0.9
_TINY = 1e-24


class CombDehum(Effect):
    """Take out mains hum and its harmonics."""

    cost: ClassVar[float] = 120.0

    mains_hz: float = param(
        0.0, unit="Hz", ge=0, le=500, help="The frequency of the hum; 0 for 50 or 60, whichever there is."
    )
    drift: float = param(0.0115, ge=0, le=0.1, help="How far off the frequency may be, as a share of it.")
    harmonics: int = param(30, ge=1, le=60, help="How many multiples of it are taken out, itself included.")
    least: float = param(
        24.0, ge=4, le=1000, help="Power by which two lines must exceed the error of their estimate, to be hum."
    )
    amount: float = param(1.0, ge=0, le=1, help="How much of the hum is taken out.")

    def open(self, spec: Spec) -> Processor:
        return _Dehum(spec, self)


class _Dehum(Window):
    def __init__(self, spec: Spec, stage: CombDehum) -> None:
        rate = spec.sample_rate
        self._hop = max(1, round(rate / _HOPS_PER_SECOND))
        super().__init__(spec, _HOPS * self._hop, _HOPS * self._hop, core=_HOPS * self._hop)
        self._stage = stage
        self._rate = rate
        mains = (50.0, 60.0) if stage.mains_hz == 0 else (stage.mains_hz,)
        highest = max(mains) * (1 + stage.drift)
        # As much of the spectrum as all lines and what is beside them need.
        lines_hz = min(stage.harmonics * highest + 30, 0.45 * rate)
        self._low_hop = min(self._hop, max(_LOW_HOP, 1 << math.ceil(math.log2(2.2 * lines_hz / _HOPS_PER_SECOND))))
        self._hann = np.hanning(2 * self._low_hop + 1)[:-1]
        self._hop_hz = rate / self._hop
        self._count = min(stage.harmonics, int((lines_hz - 26) / highest))  # none, where the rate is too low
        spans = [np.arange(hz * (1 - stage.drift), hz * (1 + stage.drift) + _STEP_HZ / 2, _STEP_HZ) for hz in mains]
        self._candidates = np.concatenate(spans)
        self._searched = min(self._count, _SEARCHED)
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
        if sounding.size < 6 * self._hop or self._count < 1:
            return None
        starts = np.arange(3 * _HOPS - 1) * self._hop
        inside = (starts >= sounding[0]) & (starts + 2 * self._hop <= sounding[-1] + 1)
        if np.count_nonzero(inside) < 4:
            return None
        low = np.fft.irfft(np.fft.rfft(signal)[: 3 * _HOPS * self._low_hop // 2 + 1], 3 * _HOPS * self._low_hop)
        low *= self._low_hop / self._hop
        spectra = np.fft.rfft(sliding_window_view(low, 2 * self._low_hop)[:: self._low_hop] * self._hann)
        spectra *= 2 / self._hann.sum()
        frames = _Frames(spectra, inside, self._hop_hz)
        for fundamental in self._fundamentals(frames, float(low @ low) / low.size):
            steady = self._steady(frames, fundamental)
            if steady is not None:
                self._found.append(fundamental)
                return self._series(steady, fundamental)
        return None

    def _fundamentals(self, frames: _Frames, power: float) -> Iterator[float]:
        """Frequencies of series that stand out from their surroundings, best first."""
        evidence, _ = frames.evidence(self._candidates, self._searched)
        score = np.log(np.maximum(evidence / _KEPT, 1)).sum(axis=1)
        for _ in range(_TRIED):
            best = int(score.argmax())
            score[np.abs(self._candidates - self._candidates[best]) < _APART_HZ] = -np.inf
            # Between the candidates: the likelihood itself, of lines that were found.
            near = self._candidates[best] + np.linspace(-1, 1, 41) * _STEP_HZ
            finer, heights = frames.evidence(near, self._searched)
            certain = evidence[best] >= self._stage.least
            if certain.any():
                finest = int(np.sqrt(finer[:, certain]).sum(axis=1).argmax())
                if self._is_hum(finer[finest], heights[finest], power):
                    own = _own(frames, float(near[finest]), finer[finest])
                    if self._is_hum(own, heights[finest], power):
                        yield float(near[finest])

    def _is_hum(self, evidence: Signal, heights: Signal, power: float) -> bool:
        lines = np.flatnonzero(evidence >= self._stage.least) + 1
        if not lines.size or _is_series(lines):
            return bool(lines.size)
        # A line alone may be hum where it is far from being the sound itself.
        first = int(lines[0]) - 1
        lone = lines.size == 1 and first < 2 and heights[first] ** 2 / 2 < _LONE_SHARE * power
        return bool(lone and evidence[first] > _LONE * self._stage.least)

    def _steady(self, frames: _Frames, fundamental: float) -> Complex | None:
        """The complex amplitude of each line at each frame, as far as it is certain; None where none is.

        Shape   (frames, lines)
        """
        order = np.arange(1, self._count + 1)
        values, weights = frames.lines(order.astype(np.float64) * fundamental)
        values = values * np.exp(-2j * np.pi * np.outer(np.arange(len(values)), order) * fundamental / self._hop_hz)
        best, chosen = np.inf, None
        for span in _SPANS:
            apart = _apart(len(values), span)
            without = np.where(np.abs(np.subtract.outer(np.arange(len(values)), np.arange(len(values)))) > 1, apart, 0)
            sums = without @ weights
            error = np.abs(values - (without @ (weights * values)) / np.maximum(sums, _TINY)) ** 2 * weights
            total = float(np.sum(np.minimum(error, 100.0)))
            if total < _BETTER * best:
                best, chosen = total, apart
        if chosen is None:
            return None
        sums = np.maximum(chosen @ weights, _TINY)
        amplitude = (chosen @ (weights * values)) / sums
        # A note on the line itself shows in nothing but its frames being unlike the others: these count less.
        inside, plain = weights.any(axis=1), weights
        for _ in range(_TURNS):
            apart = np.abs(values - amplitude) ** 2 * plain
            weights = plain / (1 + apart / (1 + _UNUSUAL * np.median(apart[inside], axis=0)))
            sums = np.maximum(chosen @ weights, _TINY)
            amplitude = (chosen @ (weights * values)) / sums
        certain = np.abs(amplitude) ** 2 * sums / _OVERLAPPING
        deviation = (np.abs(values - amplitude) ** 2 * weights).sum(axis=0)
        height = (np.abs(amplitude) ** 2 * weights).sum(axis=0)
        agreed = (deviation < _AGREE * np.count_nonzero(weights, axis=0)) | (deviation < _AGREE_SHARE * height)
        agreed &= np.median(certain, axis=0) > _KEPT
        lines = order[agreed]
        if not lines.size or not (_is_series(lines) or (lines.size == 1 and lines[0] <= 2)):
            return None
        unlike = np.abs(values - amplitude)[inside] / np.maximum(np.abs(amplitude[inside]), _TINY)
        if np.quantile(unlike, _STANDS_SHARE, axis=0)[agreed].min() > _STANDS:
            return None
        kept: Complex = amplitude * (np.maximum(0, 1 - 1 / np.maximum(certain, 1)) * agreed)
        return kept

    def _series(self, steady: Complex, fundamental: float) -> Signal:
        first = self.left // self._hop - 1  # the frame whose centre is the first of the core
        time = np.arange(self.left, self.left + self.core)
        phasor = np.exp(2j * np.pi * fundamental / self._rate * time)
        ramp = np.arange(self._hop) / self._hop
        carrier = np.ones_like(phasor)
        hum = np.zeros(self.core)
        for harmonic in range(steady.shape[1]):
            carrier = carrier * phasor
            knots = steady[first : first + _HOPS + 1, harmonic]
            if not knots.any():
                continue
            amplitude = (knots[:-1, np.newaxis] + np.diff(knots)[:, np.newaxis] * ramp).reshape(-1)
            hum += (carrier * amplitude).real
        return hum

    @property
    def report(self) -> dict[str, Any]:
        if not self._found:
            return {"left_alone": "no steady series of lines was found"}
        return {"fundamental_hz": round(float(np.median(self._found)), 3)}


class _Frames:
    """Spectra of half overlapping frames, in bins of half a hop; phases count from the start of each.

    Shape   (frames, bins); inside (frames,): which lie in the sound
    """

    def __init__(self, spectra: Complex, inside: Mask, hop_hz: float) -> None:
        self._spectra = spectra
        self._inside = inside
        self._hop_hz = hop_hz
        power = np.abs(spectra) ** 2
        beside = np.zeros_like(power)
        counted = np.zeros(power.shape[1])
        for shift in _BESIDE:
            to, of = slice(max(0, -shift), power.shape[1] - max(0, shift)), slice(max(0, shift), None)
            of = slice(of.start, of.start + to.stop - to.start)
            beside[:, to] += power[:, of]
            counted[to] += 1
        # Leakage, of the line itself and of the loudest, bounds what can be said of what is beside it.
        beside = beside / counted + 1e-5 * power + 1e-7 * power.max(axis=1, keepdims=True)
        self._weights = np.where(inside[:, np.newaxis] & (power > _TINY), 1 / (beside + _TINY), 0.0)

    def lines(self, hz: Signal) -> tuple[Complex, Signal]:
        """Complex amplitudes at *hz* and their weights, the inverse of their variances. Shape (frames, lines), both"""
        place = hz / self._hop_hz * 2
        bins = np.rint(place).astype(int)
        off = place - bins
        # The spectrum of a Hann window at a fraction of a bin, the phase that of the middle of the frame.
        gain = np.sinc(off) / (1 - off**2) * np.exp(1j * np.pi * off)
        weights = self._weights[:, bins] * np.abs(gain) ** 2
        return self._spectra[:, bins] / gain, weights

    def evidence(self, fundamentals: Signal, count: int) -> tuple[Signal, Signal]:
        """The power of each steady line over the variance of its estimate (about 1 by chance), and its amplitude.

        Shape   (candidates,) -> twice (candidates, count)
        """
        once = np.exp(-2j * np.pi * np.outer(fundamentals / self._hop_hz, np.arange(len(self._spectra))))
        turns = np.ones_like(once)
        evidence, height = np.empty((2, fundamentals.size, count))
        for line in range(count):  # one at a time: all of them at once are 30 MB
            turns *= once
            values, weights = self.lines((line + 1) * fundamentals)
            sums = np.maximum(weights.sum(axis=0), _TINY)
            total = np.abs(np.einsum("tn,nt->n", weights * values, turns))
            evidence[:, line], height[:, line] = total**2 / (sums * _OVERLAPPING), total / sums
        return evidence, height


def _own(frames: _Frames, fundamental: float, evidence: Signal) -> Signal:
    """*evidence*, without that of lines that are but the skirt of a stronger one beside them."""
    skirts, _ = frames.evidence(fundamental + _SKIRT_HZ, evidence.size)
    return np.where(skirts.max(axis=0) > _STRONGER * evidence, 0.0, evidence)


def _apart(count: int, span: int | None) -> Signal:
    """Which frames count for which: all, or the *span* nearest. Shape (count, count)"""
    if span is None:
        return np.ones((count, count))
    near = np.abs(np.subtract.outer(np.arange(count), np.arange(count))) <= span // 2
    return near.astype(np.float64)


def _is_series(lines: npt.NDArray[np.intp]) -> bool:
    """Whether these multiples, in rising order, are hum: of the mains, or of twice the mains."""
    return lines.size > 1 and bool(lines[1] <= _LOW_LINES) and int(np.gcd.reduce(lines)) <= 2
