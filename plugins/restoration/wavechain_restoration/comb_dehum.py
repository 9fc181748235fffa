"""comb-dehum: takes out mains hum and its harmonics, and nothing that moves.

Hum is a series of lines at multiples of one frequency, each of one amplitude and phase for all the seconds that are
looked at. In half overlapping frames, the bins beside a line say how much else there is at that time, and how it lies
between the channels of a pair: what is in the middle hides little of a hum that is not. Each line is fitted so that the
frames are likeliest if the rest has the spread that is beside it, and tails as heavy as those of Student's
t-distribution: a frame in which a note sounds counts little, and one in which the line should be seen but is not counts
against it. So a note that comes and goes adds nothing, however loud, and a hum far below the music does.

Hum it is where the gain in likelihood, summed over the lines, exceeds half that of any other series nearby (a loop that
repeats has many) by `least`, where the lines are seen in a number of frames, and in half of those in which they should
be, and where there is one of the lowest two lines or two of the lowest four. Lines count less where notes are often
found, and a line alone needs more. Then each line is subtracted as far as it is certain, the higher ones where frames
agree and they are not much louder than the lower ones; phases of all else stay.

Where the frequency wanders, frames nearby predict a frame better than all of them do: that decides over how many frames
a line is averaged.

Source  K. L. Lange, R. J. A. Little, J. M. G. Taylor, "Robust statistical modeling using the t distribution", J. Am.
        Stat. Assoc. 84, 1989 (the weights of `_fit`).

Conventions: any channel count, two and two together; length unchanged; where no series is found, frames pass through
bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import model_validator

from wavechain import Block, Effect, Processor, Spec, Window, param
from wavechain.errors import ParameterError
from wavechain_restoration.ar import Mask, Signal

Complex = npt.NDArray[np.complex128]

_HOPS = 16  # of a quarter of a second, in the core and on each side of it
_HOPS_PER_SECOND = 4
_LOWEST_HZ = 15.0  # the lowest mains there are have 16.7 Hz; below, what is beside one line is the next
_LOW_HOP = 1024  # frames of a hop after the reduction to 4096 Hz
_TOGETHER = 2  # channels: the covariance of more is not to be had from so few bins
_NEAREST, _FARTHEST = 4, 12  # bins of 2 Hz, of what is beside a line
_OVERLAPPING = 4 / 3  # variance of a mean of half overlapping Hann frames, against independent ones

# Which series are tried: those that stand highest above what is beside them.
_STEP_HZ = 0.004
_SEARCHED = 20  # lines
_CHANCE = 6.0  # times the variance of its estimate, that a line reaches without hum
_SHORTLISTS = ((_SEARCHED, 4), (6, 4), (2, 3))  # of the lowest so many lines the best so many series
_APART_HZ = 0.05
_FINER_HZ = np.linspace(-0.06, 0.06, 31)
_FINER_LINES = 12

# How lines are fitted, and what speaks for them.
_FREEDOM = 2.0  # of Student's t
_TURNS = 5
_UNLIKELY = 3.0  # gain in likelihood by a channel, that lines have without hum
_MOST = 60.0  # gain that one line is credited with
_BELIEF = (1.0, 1.0, 1.0, 1.0, 0.5, 1.0, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3)  # share of it: notes are near the fifth line,
_SURE = 0.5  # and on all that are believed less than this
_LOW = 6  # lines
_SKIRT_HZ = np.linspace(-2.5, 2.5, 51)
_OWN = 0.5  # of the highest evidence within the skirt, that a line needs to be none of it
_OTHER_HZ = 0.12
_OTHER = 0.5  # of the gain of another series, that is held against this
_SEEN = 6.0  # times what is beside it, that a line is in a frame in which it should be seen
_ALIKE = 0.25  # of its power, that a frame may deviate by in which it is seen
_STANDS = 8  # frames, of all lines, that it is seen in
_STANDS_SHARE = 0.5  # of those in which it should be
_LOUDER = 8.0  # times the power of the loudest low line, that a higher one has at most
_LONE = 0.25  # of its gain, that must exceed `least` where a line is alone
_LONE_SHARE = 0.25  # of all power, above which a line alone is no hum but the sound itself
_OCTAVE_SHARE, _OCTAVE_STANDS_SHARE = 0.01, 0.8  # the same where all lines are even

_SPANS = (None, 15, 7)  # frames; None: all
_BETTER = 0.9
_TINY = 1e-24


class CombDehum(Effect):
    """Take out mains hum and its harmonics."""

    cost: ClassVar[float] = 120.0

    mains_hz: float = param(
        0.0, unit="Hz", ge=0, le=500, help="The frequency of the hum, from 15 up; 0 for 50 or 60, whichever there is."
    )
    drift: float = param(0.0115, ge=0, le=0.1, help="How far off the frequency may be, as a share of it.")
    harmonics: int = param(30, ge=1, le=60, help="How many multiples of it are taken out, itself included.")
    least: float = param(
        20.0, ge=4, le=1000, help="How much likelier, as a natural logarithm, the sound must be with hum than without."
    )
    amount: float = param(1.0, ge=0, le=1, help="How much of the hum is taken out.")

    @model_validator(mode="after")
    def _lines_apart(self) -> CombDehum:
        if 0 < self.mains_hz < _LOWEST_HZ:
            raise ParameterError(
                f"comb-dehum: mains_hz of {self.mains_hz:g} Hz: lines so close cannot be told apart.",
                hint=f"{_LOWEST_HZ:g} Hz or more, or 0 for 50 or 60 Hz.",
            )
        return self

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
        self._low_hop = min(self._hop, 1 << math.ceil(math.log2(max(_LOW_HOP, 2.2 * lines_hz / _HOPS_PER_SECOND))))
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
        for first in range(0, len(window), _TOGETHER):
            some = slice(first, first + _TOGETHER)
            hum = self._hum(window[some])
            if hum is None:
                continue
            if out is None:
                out = core.copy()
            out[some] = core[some] - np.float32(self._stage.amount) * hum.astype(np.float32)
        return core if out is None else out

    def _hum(self, signals: Block) -> Signal | None:
        """The hum in the core of *signals*, or None. Shape (channels, left + core + right) -> (channels, core)"""
        sounding = np.flatnonzero(signals.any(axis=0))
        if sounding.size < 6 * self._hop or self._count < 1:
            return None
        starts = np.arange(3 * _HOPS - 1) * self._hop
        inside = (starts >= sounding[0]) & (starts + 2 * self._hop <= sounding[-1] + 1)
        if np.count_nonzero(inside) < 4:
            return None
        size = 3 * _HOPS * self._low_hop
        # One channel after the other: each is megabytes.
        low = np.stack([np.fft.irfft(np.fft.rfft(each.astype(np.float64))[: size // 2 + 1], size) for each in signals])
        low *= self._low_hop / self._hop
        spectra = np.fft.rfft(sliding_window_view(low, 2 * self._low_hop, axis=1)[:, :: self._low_hop] * self._hann)
        spectra *= 2 / self._hann.sum()
        frames = _Frames(spectra, inside, self._hop_hz)
        fundamental = self._fundamental(frames, float((low * low).sum()) / low.shape[1])
        if fundamental is None:
            return None
        steady = self._steady(frames, fundamental)
        if not steady.any():
            return None
        self._found.append(fundamental)
        return self._series(steady, fundamental)

    def _fundamental(self, frames: _Frames, power: float) -> float | None:
        """The frequency of the series that is hum, or None."""
        tried = self._shortlist(frames)
        if not tried.size:
            return None
        order = np.arange(1.0, self._searched + 1)
        tried = frames.finer(tried, frames.fit(np.outer(tried, order)), _FINER_HZ)
        fit = frames.fit(np.outer(tried, order))
        belief = np.zeros(self._searched)
        belief[: len(_BELIEF)] = _BELIEF[: self._searched]
        gain = np.clip(fit.gain - _UNLIKELY * frames.channels, 0, _MOST)
        own = gain * frames.own(tried, self._searched)
        other = np.abs(np.subtract.outer(tried, tried)) > _OTHER_HZ
        score = own @ belief - _OTHER * np.max(other * (gain @ belief), axis=1)
        there = own > _UNLIKELY
        sure = there & (belief >= _SURE)
        seen, shown = (fit.seen * sure).sum(axis=1), (fit.shown * sure).sum(axis=1)
        is_hum = (score > self._stage.least) & (shown >= _STANDS) & (shown >= _STANDS_SHARE * seen)
        is_hum &= there[:, :2].any(axis=1) | (there[:, :4].sum(axis=1) >= 2)
        lone = there[:, :_LOW].sum(axis=1) == 1
        loud = fit.power[:, :4].max(axis=1) > _LONE_SHARE * power
        weak = _LONE * fit.gain[:, :2].max(axis=1) < self._stage.least
        is_hum &= ~(lone & (loud | weak))
        # Even lines alone are those of a note too: such a hum is quiet, and never moves.
        octave = ~there[:, ::2].any(axis=1)
        moving = shown < _OCTAVE_STANDS_SHARE * seen
        is_hum &= ~(octave & (moving | ((fit.power * there).sum(axis=1) > _OCTAVE_SHARE * power)))
        if not is_hum.any():
            return None
        best = tried[[np.where(is_hum, score, -np.inf).argmax()]]
        for offsets in (_FINER_HZ / 15, _FINER_HZ / 225):
            best = frames.finer(best, frames.fit(np.outer(best, order)), offsets)
        return float(best[0])

    def _shortlist(self, frames: _Frames) -> Signal:
        """Frequencies of series that stand out from their surroundings."""
        evidence = frames.evidence(self._candidates, self._searched)
        heights = np.log(np.maximum((evidence - (frames.channels - 1)) / _CHANCE, 1))
        tried: list[float] = []
        for lines, kept in _SHORTLISTS:
            score = heights[:, :lines].sum(axis=1)
            for _ in range(kept):
                best = int(score.argmax())
                if score[best] <= 0:
                    break
                hz = float(self._candidates[best])
                if all(abs(hz - other) > _APART_HZ for other in tried):
                    tried.append(hz)
                score[np.abs(self._candidates - hz) < _APART_HZ] = 0
        return np.array(tried)

    def _steady(self, frames: _Frames, fundamental: float) -> Complex:
        """The complex amplitude of each line at each frame, as far as it is certain. Shape (channels, frames, lines)"""
        order = np.arange(1.0, self._count + 1)
        values, weights = frames.lines(order * fundamental)
        count = values.shape[1]
        best, chosen = np.inf, _apart(count, None)
        for span in _SPANS:
            apart = _apart(count, span)
            without = np.where(np.abs(np.subtract.outer(np.arange(count), np.arange(count))) > 1, apart, 0)
            error = _distance(values - _mean(values, weights, without)[0], weights)
            total = float(np.sum(np.minimum(error, 100.0)))
            if total < _BETTER * best:
                best, chosen = total, apart
        fit = _fit(values, weights, chosen)
        taken = fit.gain > _UNLIKELY * frames.channels
        # On higher lines there are notes: there frames must agree, and hum is not much louder than below.
        loudest = np.max(fit.power * taken * (order <= _LOW))
        taken &= (order <= _LOW) | ((fit.shown >= _STANDS_SHARE * fit.seen) & (fit.power <= _LOUDER * loudest))
        certain = np.abs(fit.amplitude) ** 2 / fit.variance
        kept: Complex = fit.amplitude * (np.maximum(0, 1 - 1 / np.maximum(certain, 1)) * taken)
        return kept

    def _series(self, steady: Complex, fundamental: float) -> Signal:
        first = self.left // self._hop - 1  # the frame whose centre is the first of the core
        time = np.arange(self.left, self.left + self.core)
        phasor = np.exp(2j * np.pi * fundamental / self._rate * time)
        ramp = np.arange(self._hop) / self._hop
        carrier = np.ones_like(phasor)
        hum = np.zeros((len(steady), self.core))
        for harmonic in range(steady.shape[2]):
            carrier = carrier * phasor
            for channel, knots in enumerate(steady[:, first : first + _HOPS + 1, harmonic]):
                if knots.any():
                    amplitude = (knots[:-1, np.newaxis] + np.diff(knots)[:, np.newaxis] * ramp).reshape(-1)
                    hum[channel] += (carrier * amplitude).real
        return hum

    @property
    def report(self) -> dict[str, Any]:
        if not self._found:
            return {"left_alone": "no steady series of lines was found"}
        return {"fundamental_hz": round(float(np.median(self._found)), 3)}


@dataclass(frozen=True, slots=True)
class _Fit:
    """Lines as they are likeliest. Shape of all but the first three: that of the frequencies."""

    amplitude: Complex  # (channels, frames or 1, …)
    variance: Signal  # of the amplitude, as that is
    trust: Signal  # in each frame (frames, …)
    gain: Signal  # logarithm of how much likelier the frames are with the line than without
    power: Signal
    seen: Signal  # frames in which it should be seen
    shown: Signal  # those of them in which it is


class _Frames:
    """Spectra of half overlapping frames, in bins of half a hop; phases count from the start of each.

    Shape   (channels, frames, bins), one channel or two; inside (frames,): which lie in the sound
    """

    def __init__(self, spectra: Complex, inside: Mask, hop_hz: float) -> None:
        self.channels = len(spectra)
        self._spectra = spectra
        self._hop_hz = hop_hz
        power = (np.abs(spectra) ** 2).sum(axis=0)
        loudest = np.take_along_axis(spectra, power.argmax(axis=1)[np.newaxis, :, np.newaxis], axis=2)
        # Leakage, of the line itself and of the loudest, bounds what can be said of what is beside it.
        beside = 1e-7 * _outer(loudest) + np.zeros_like(power)
        for one in range(self.channels):
            for other in range(self.channels):  # one at a time: all of them at once are 60 MB
                product = spectra[one] * spectra[other].conj()
                beside[one, other] += _beside(product) + 1e-5 * product
            beside[one, one] += 1e-9 * (self.channels - 1) * power.max(axis=1, keepdims=True) + _TINY
        self._weights: Complex = _inverse(beside)
        del beside
        self._weights *= inside[:, np.newaxis] & (power > _TINY)
        self._weighted = np.ascontiguousarray(np.einsum("abtk,btk->kat", self._weights, spectra))
        self._variance = _inverse(self._weights.sum(axis=2))

    def lines(self, hz: Signal) -> tuple[Complex, Complex]:
        """Complex amplitudes at *hz*, turned back to the first frame, and their weights, inverse covariances.

        Shape   (…) -> (channels, frames, …), (channels, channels, frames, …)
        """
        bins, gain = self._place(hz)
        turns = np.exp(-2j * np.pi * np.multiply.outer(np.arange(self._spectra.shape[1]), hz / self._hop_hz))
        return self._spectra[:, :, bins] / gain * turns, self._weights[:, :, :, bins] * np.abs(gain) ** 2

    def fit(self, hz: Signal) -> _Fit:
        """Steady lines at *hz*, of any shape."""
        return _fit(*self.lines(hz), None)

    def finer(self, fundamentals: Signal, fit: _Fit, offsets: Signal) -> Signal:
        """The frequency within *offsets* of each, at which the lines of *fit* (series, lines) are strongest."""
        order = np.arange(1, fit.gain.shape[1] + 1)
        values, weights = self.lines(np.outer(fundamentals, order))
        weights = weights * fit.trust
        weighted = np.einsum("abtsk,btsk->atsk", weights, values)
        variance = _inverse(weights.sum(axis=2))
        counted = (fit.gain > _UNLIKELY * self.channels) & (order <= _FINER_LINES)
        score = np.empty((offsets.size, fundamentals.size))
        for index, off in enumerate(offsets):
            turns = np.exp(-2j * np.pi * np.outer(np.arange(values.shape[1]), order) * off / self._hop_hz)
            evidence = _distance(np.einsum("atsk,tk->ask", weighted, turns), variance)
            score[index] = (np.sqrt(evidence) * counted).sum(axis=1)
        found: Signal = fundamentals + offsets[score.argmax(axis=0)]
        return found

    def own(self, fundamentals: Signal, count: int) -> Mask:
        """Which lines are not but the skirt of a stronger one beside them. Shape (series,) -> (series, lines)"""
        skirts = self.evidence((fundamentals[:, np.newaxis] + _SKIRT_HZ).reshape(-1), count)
        highest = skirts.reshape(fundamentals.size, _SKIRT_HZ.size, count).max(axis=1)
        own: Mask = self.evidence(fundamentals, count) > _OWN * highest
        return own

    def evidence(self, fundamentals: Signal, count: int) -> Signal:
        """The power of each steady line over the variance of its estimate (about 1 a channel by chance).

        Shape   (candidates,) -> (candidates, lines)
        """
        once = np.exp(-2j * np.pi * np.outer(fundamentals / self._hop_hz, np.arange(self._spectra.shape[1])))
        turns = np.ones_like(once)
        evidence = np.empty((fundamentals.size, count))
        for line in range(count):  # one at a time: all of them at once are 60 MB
            turns *= once
            bins, _ = self._place((line + 1) * fundamentals)
            sums = np.einsum("nat,nt->an", self._weighted[bins], turns)
            evidence[:, line] = _distance(sums, self._variance[:, :, bins]) / _OVERLAPPING
        return evidence

    def _place(self, hz: Signal) -> tuple[npt.NDArray[np.intp], Complex]:
        """The bins nearest to *hz*, and what a line of amplitude 1 there has in them."""
        place = hz / self._hop_hz * 2
        bins = np.rint(place).astype(int)
        off = place - bins
        # The spectrum of a Hann window at a fraction of a bin, the phase that of the middle of the frame.
        return bins, np.sinc(off) / (1 - off**2) * np.exp(1j * np.pi * off)


def _fit(values: Complex, weights: Complex, apart: Signal | None) -> _Fit:
    """The likeliest lines, one for all frames or one for each frame of those that are not *apart* from it.

    Each turn trusts a frame the less, the more it deviates. As a note can draw the line to itself, it begins once with
    all frames alike and once with the quiet ones, and what is likelier stays.
    """
    channels = len(values)
    without = _distance(values, weights)
    found: list[tuple[Signal, Complex, Signal, Signal]] = []
    for trust in (np.ones_like(without), 1 / (1 + without / _FREEDOM)):
        for _ in range(_TURNS):
            amplitude, variance = _mean(values, weights * trust, apart)
            distance = _distance(values - amplitude, weights)
            trust = 1 / (1 + distance / _FREEDOM)
        likelier = np.log1p(without / _FREEDOM) - np.log1p(distance / _FREEDOM)
        gain = (_FREEDOM / 2 + channels) / _OVERLAPPING * likelier.sum(axis=0)
        found.append((gain, amplitude, variance, distance))
    second = found[1][0] > found[0][0]
    gain, amplitude, variance, distance = (np.where(second, two, one) for one, two in zip(*found, strict=True))
    height = _distance(np.broadcast_to(amplitude, values.shape), weights)
    seen = height > _SEEN
    return _Fit(
        amplitude,
        variance,
        1 / (1 + distance / _FREEDOM),
        gain,
        (np.abs(amplitude) ** 2).mean(axis=1).sum(axis=0) / 2,
        seen.sum(axis=0),
        (seen & (distance < _ALIKE * height)).sum(axis=0),
    )


def _mean(values: Complex, weights: Complex, apart: Signal | None) -> tuple[Complex, Signal]:
    """Weighted means over the frames that count for each other, and their variances.

    Shape   (channels, frames or 1, …), both
    """
    weighted = np.einsum("abt...,bt...->at...", weights, values)
    if apart is None:
        total, sums = weights.sum(axis=2, keepdims=True), weighted.sum(axis=1, keepdims=True)
    else:
        total, sums = np.einsum("ut,abt...->abu...", apart, weights), np.einsum("ut,at...->au...", apart, weighted)
    covariance = _inverse(total)
    variance = np.stack([covariance[channel, channel].real for channel in range(len(values))])
    return np.einsum("ab...,b...->a...", covariance, sums), np.maximum(variance, _TINY) * _OVERLAPPING


def _outer(spectra: Complex) -> Complex:
    """Each channel times each. Shape (channels, …) -> (channels, channels, …)"""
    products: Complex = spectra[:, np.newaxis] * spectra[np.newaxis].conj()
    return products


def _beside(products: Complex) -> Complex:
    """The mean of what is beside each bin. Shape (…, bins), both"""
    bins = products.shape[-1]
    sums = np.concatenate([np.zeros((*products.shape[:-1], 1)), np.cumsum(products, axis=-1)], axis=-1)
    near, far = _NEAREST, _FARTHEST
    edges = [np.clip(np.arange(bins) + off, 0, bins) for off in (-far, 1 - near, near, far + 1)]
    total = sums[..., edges[1]] - sums[..., edges[0]] + sums[..., edges[3]] - sums[..., edges[2]]
    mean: Complex = total / (edges[1] - edges[0] + edges[3] - edges[2])
    return mean


def _distance(values: Complex, weights: Complex) -> Signal:
    """How far *values* are from nothing, in units of their spread, squared. Shape (channels, …) -> (…)"""
    squares: Signal = np.einsum("a...,ab...,b...->...", values.conj(), weights, values).real
    return np.maximum(squares, 0)


def _inverse(matrices: Complex) -> Complex:
    """Of Hermitian matrices of one row or two; where there is nothing, it stays finite. Shape (rows, rows, …), both"""
    if len(matrices) == 1:
        inverse: Complex = np.ones_like(matrices) / np.maximum(matrices.real, 1e-30)
    else:
        (a, b), (c, d) = matrices
        determinant = np.maximum((a * d - b * c).real, 1e-12 * (a * d).real + 1e-60)
        inverse = np.empty_like(matrices)
        for (row, column), value in (((0, 0), d), ((0, 1), -b), ((1, 0), -c), ((1, 1), a)):
            np.divide(value, determinant, out=inverse[row, column])
    return inverse


def _apart(count: int, span: int | None) -> Signal:
    """Which frames count for which: all, or the *span* nearest. Shape (count, count)"""
    if span is None:
        return np.ones((count, count))
    near = np.abs(np.subtract.outer(np.arange(count), np.arange(count))) <= span // 2
    return near.astype(np.float64)
