"""raise-dips: raises stretches that fell in level at once, and came back at once, to the level around them.

A dip is still there, only too quiet: a tape that lost touch with the head, a worn spot, a bad contact. What `ar-fill`
would have to guess can be had by dividing by the gain, as far as noise and quantisation allow.

Found        by level first, in hops of half a millisecond: steep edges on both sides. Next by colour: under a model of
             the sound before, and of that after, the excitation within has fallen as far as the level has. What passes
             is rare, and fitted edge by edge as `dip_edges` tells, its ramps and its gain: first roughly, and in
             full where that speaks for one edge, and does not speak against the other having the same gain.
Raised       if both edges are far more likely a change of gain than sound that grew quieter, and fit one gain. Silence,
             pauses, consonants, gates and drums that stop do not answer to the sound beside them, and stay.

Conventions: any channel count, each by itself; length unchanged; frames outside dips pass through bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import model_validator

from wavechain import Effect, Processor, Spec, param
from wavechain.errors import ParameterError
from wavechain_restoration.ar import Mask, Signal, autocorrelation, predicting
from wavechain_restoration.dip_edges import LEAD, DipEdge, Join
from wavechain_restoration.in_order import InOrder

_HOP_SECONDS = 0.0005
_CONTEXT_SECONDS = 0.04
_FADE_SECONDS = 0.0025
_ORDER_SECONDS = 0.0015
_INSIDE_SECONDS = 0.002
_CORE_SECONDS = 0.25
_BESIDE = 4  # hops that tell the level beside an edge
_ABOUT = 3  # hops about an edge, of which the one with the steepest fall is taken
_MARGIN_DB = 4.0  # by which the level may seem to have fallen less than the gain
_WITHIN = 1.5  # of the level asked for, that a peak within may have
_QUIETEST = 10 ** (-70 / 20)
_COLOUR_ORDER = 16
_COLOUR_FLOOR = 1e-3
_COLOUR_DB = 10.0
_SIDES_DB = 15.0
_HISS_DB = 9.0  # by which the excitation may have fallen less than the gain; more is noise that did not fall
_SILENT_DB = 12.0  # below the deepest: nothing is left there to be raised
_SAME = 0.05  # nats between the gains of both edges, up to which they need not be fitted again
_ONE_ROUGHLY = 50.0  # nats of evidence that a sparse search must find for one edge,
_OTHER_ROUGHLY = 25.0  # for the other, to be asked for a gain of its own,
_HOPELESS = -80.0  # and for the other with the gain of the one, to be searched at all
_RELUCTANCE = 2.0  # nats for each time that sound is raised e-fold: of two gains that fit alike, the milder one
_EACH = 100.0  # nats of evidence for each edge
_BOTH = 250.0  # and for both
_ROUGH_DB = 22.0
_LOUDER = 1.5  # than all that is beside it, and what was raised was not that sound
_TINY = 1e-20


class RaiseDips(Effect):
    """Raise stretches that fell in level, back to the sound around them."""

    cost: ClassVar[float] = 60.0

    shortest_ms: float = param(2.0, unit="ms", ge=1, le=50, help="Dips shorter than this are left alone.")
    longest_ms: float = param(100.0, unit="ms", ge=1, le=200, help="Dips longer than this are left alone.")
    depth_db: float = param(15.0, unit="dB", ge=10, le=60, help="Dips that fell by less are left alone.")
    deepest_db: float = param(60.0, unit="dB", ge=20, le=80, help="Dips that fell by more are left alone.")

    @model_validator(mode="after")
    def _bounds_in_order(self) -> RaiseDips:
        for least, most, unit in (("shortest_ms", "longest_ms", "ms"), ("depth_db", "deepest_db", "dB")):
            low, high = getattr(self, least), getattr(self, most)
            if low > high:
                raise ParameterError(
                    f"raise-dips: {least} is {low:g} {unit} and {most} is {high:g} {unit}: no dip lies between.",
                    hint=f"a {most} of {low:g} {unit} or more.",
                )
        return self

    def open(self, spec: Spec) -> Processor:
        return _Raise(spec, self)


class _Raise(InOrder):
    def __init__(self, spec: Spec, stage: RaiseDips) -> None:
        rate = spec.sample_rate
        self._hop = max(2, round(_HOP_SECONDS * rate))
        self._fade = round(_FADE_SECONDS * rate)
        self._order = max(8, round(_ORDER_SECONDS * rate))
        self._context = round(_CONTEXT_SECONDS * rate)
        self._inside = round(_INSIDE_SECONDS * rate)
        self._shortest = max(1, round(stage.shortest_ms * rate / 1000) // self._hop - 1)
        self._longest = round(stage.longest_ms * rate / 1000)
        self._lengths = max(1, round(stage.shortest_ms * rate / 1000) - self._hop), self._longest + self._hop
        self._least_db, self._most_db = stage.depth_db, stage.deepest_db
        self._fallen = 10 ** (-(stage.depth_db - _MARGIN_DB) / 20)
        self._silent = 10 ** (-(stage.deepest_db + _SILENT_DB) / 20)
        # How far from the hop of an edge its fade may begin, and how far what is made use of.
        self._reach = 2 * self._fade + self._hop
        self._margin = self._reach + self._context + self._order + LEAD
        left = -(-(self._margin + self._reach) // self._hop) * self._hop
        core = max(1, round(_CORE_SECONDS * rate / self._hop)) * self._hop
        super().__init__(spec, left, core, self._longest + self._margin + 2 * self._reach)
        self._dips = 0
        self._seconds = 0.0

    def mend(self, window: Signal, channel: int, frames: int) -> Mask | None:
        raised = np.zeros(window.size, bool)
        edges: dict[tuple[int, int], DipEdge] = {}
        colours: dict[tuple[int, int], _Colour] = {}
        done = 0
        for first, last in self._places(window, frames):
            fall_db = self._fall_db(window, first, last, colours) if first - self._reach >= done else None
            found = None if fall_db is None else self._dip(window, first, last, edges)
            if fall_db is None or found is None:
                continue
            start, curve = found
            depth_db = -20 * math.log10(float(curve.min()))
            if not self._least_db <= depth_db <= min(self._most_db, _HISS_DB - fall_db):
                continue
            end = start + curve.size
            beside = window[max(0, start - self._context) : start], window[end : end + self._context]
            if np.abs(window[start:end] / curve).max() > _LOUDER * max(np.abs(side).max() for side in beside):
                continue
            done = end
            window[start:done] /= curve
            raised[start:done] = True
            self._dips += 1
            self._seconds += curve.size / self.spec.sample_rate
        return raised

    def _places(self, window: Signal, frames: int) -> list[tuple[int, int]]:
        """Where the level falls and comes back: first frame, and the one after the last, in whole hops."""
        hop = self._hop
        steps = np.abs(np.diff(window, prepend=window[:1]))
        peaks = steps[: steps.size // hop * hop].reshape(-1, hop).max(axis=1)
        if peaks.max() < _QUIETEST or self._context < 2 * _COLOUR_ORDER:  # of so few frames there is no model
            return []
        fade = -(-self._fade // hop) + 1
        falls = _falls(peaks, self._shortest, fade, self._fallen)
        rises = peaks.size - _falls(peaks[::-1], self._shortest, fade, self._fallen)[::-1]
        starts = falls * hop - self._reach
        span = fade + _BESIDE
        loudest = sliding_window_view(peaks, span).max(axis=1)
        found = []
        for first in falls[(starts >= self.left) & (starts < self.left + frames)]:
            near = (rises >= first + self._shortest) & (rises <= first + self._longest // hop + 2)
            for last in rises[near & (rises * hop + self._margin <= window.size)]:
                level = max(loudest[first - span], loudest[last])
                fallen = peaks[first:last].max() <= _WITHIN * self._fallen * level
                if fallen and np.median(peaks[first:last]) > self._silent * level:
                    found.append((int(first) * hop, int(last) * hop))
        return found

    def _fall_db(self, window: Signal, first: int, last: int, known: dict[tuple[int, int], _Colour]) -> float | None:
        """How far the excitation fell, against the side where it fell further; None if the colour is another.

        known  what was made of the sound beside other places, which may share it
        """
        trim = self._fade // 3 if last - first > 2 * self._fade else 0
        within = _lags(window[first + trim : last - trim])
        start, end = first - self._reach, last + self._reach
        falls = []
        for side in (start - self._context, start), (end, end + self._context):
            if side not in known:
                known[side] = _Colour.of(_lags(window[slice(*side)]))
            fall, level = known[side].against(within)
            if abs(fall - level) > _COLOUR_DB:
                return None
            falls.append(fall)
        alike = abs(falls[0] - falls[1]) < _SIDES_DB and max(falls) < _MARGIN_DB - self._least_db
        return min(falls) if alike else None

    def _dip(
        self, window: Signal, first: int, last: int, known: dict[tuple[int, int], DipEdge]
    ) -> tuple[int, Signal] | None:
        """The first frame of the dip and the gain of each of its frames, or None where there is none.

        known  edges that were fitted before: one may belong to several places
        """
        size = min(last - first, 4 * self._hop + self._inside + self._fade)
        sides = {
            (first, size): window[first - self._margin : first + size],
            (-last, size): window[last - size : last + self._margin][::-1],
        }
        for key in sides.keys() - known.keys():
            known[key] = DipEdge(
                sides[key],
                self._margin,
                self._order,
                self._context,
                self._inside,
                self._fade,
                10 ** (-(self._most_db + 6) / 20),
            )
        fall, rise = (known[key] for key in sides)
        agreed = _agreed(fall, rise)
        if agreed is None:
            return None
        one, other = agreed
        gain, faded, rising = float(one[2]), int(one[1]), int(other[1])
        start = first - self._margin + int(one[0]) - faded
        count = last + self._margin - int(other[0]) + rising - start
        least, most = self._lengths
        if not least <= count - faded - rising <= most:
            return None
        if start < first - self._reach or start + count > last + self._reach:
            return None
        curve = np.full(count, gain)
        curve[:faded] = _ramp(gain, faded)
        curve[count - rising :] = _ramp(gain, rising)[::-1]
        return start, curve

    @property
    def report(self) -> dict[str, Any]:
        if not self._dips:
            return {"left_alone": "no dips were found"}
        return {"raised_dips": self._dips, "raised_seconds": round(self._seconds, 3)}


@dataclass(frozen=True)
class _Colour:
    """A sound's model of low order, as the weights that give the power of its excitation from any sound's lags."""

    lags: Signal
    weights: Signal

    @classmethod
    def of(cls, lags: Signal) -> _Colour:
        model = predicting(np.concatenate([[lags[0] * (1 + _COLOUR_FLOOR) + _TINY], lags[1:]]))
        weights = 2 * autocorrelation(model, _COLOUR_ORDER)
        weights[0] = weights[0] / 2 + _COLOUR_FLOOR
        return cls(lags, weights)

    def against(self, lags: Signal) -> tuple[float, float]:
        """How much louder a sound of these *lags* is under this model, and without any, in decibels."""
        now, then = (float(self.weights @ each) + _TINY for each in (lags, self.lags))
        return 10 * math.log10(now / then), 10 * math.log10((lags[0] + _TINY) / (self.lags[0] + _TINY))


def _agreed(fall: DipEdge, rise: DipEdge) -> tuple[Join, Join] | None:
    """Both joins with one gain; None where the evidence is not enough."""
    weak, strong = sorted((fall, rise), key=lambda edge: edge.rough[0])
    if strong.rough[0] < _ONE_ROUGHLY:
        return None
    alone = weak.rough[0] >= _OTHER_ROUGHLY
    if not alone and weak.roughly(strong.rough[1]) < _HOPELESS:
        return None
    sure = [edge for edge in ((fall, rise) if alone else (strong,)) if edge.gained(edge.likeliest) >= _EACH]
    if not sure:
        return None

    def pair_of(edge: DipEdge) -> tuple[Join, Join]:
        join = edge.likeliest
        gain = float(join[2])
        return (join, rise.with_gain(gain)) if edge is fall else (fall.with_gain(gain), join)

    def evidence(pair: tuple[Join, Join]) -> tuple[float, float]:
        return fall.gained(pair[0]), rise.gained(pair[1])

    if alone and abs(math.log(fall.likeliest[2] / rise.likeliest[2])) <= _SAME:
        pair = fall.likeliest, rise.likeliest
    else:
        # Each edge is asked for the gain that the other is sure of.
        pair = max(map(pair_of, sure), key=lambda pair: sum(evidence(pair)) + _RELUCTANCE * math.log(pair[0][2]))
    gained = evidence(pair)
    if min(gained) < _EACH or sum(gained) < _BOTH:
        return None
    if max(fall.roughness_db(pair[0]), rise.roughness_db(pair[1])) > _ROUGH_DB:
        return None
    low, high = sorted(float(join[2]) for join in pair)
    gains = np.geomspace(low / 1.1, high * 1.1, 31)
    costs = fall.costs(_with(pair[0], gains)) + rise.costs(_with(pair[1], gains))
    gain = gains[np.argmin(costs)]
    return fall.refined(_with(pair[0], gain)[0], True), rise.refined(_with(pair[1], gain)[0], True)


def _with(join: Join, gains: Signal) -> Signal:
    """*join* with each of the *gains*. Shape (3,), (gains,) -> (gains, 3)"""
    joins = np.tile(join, (np.size(gains), 1))
    joins[:, 2] = gains
    return joins


def _falls(peaks: Signal, least: int, fade: int, ratio: float) -> npt.NDArray[np.intp]:
    """The hops from which on the level is below *ratio* of that before, *least* hops long: the steepest of each few.

    peaks  the largest step in each hop; between the level before and the hop lie *fade* hops
    """
    far = fade + _BESIDE
    within = sliding_window_view(peaks, least).max(axis=1)[far:]
    beside = sliding_window_view(peaks, _BESIDE).max(axis=1)[: within.size]
    fall = np.where((beside > _QUIETEST) & (within > 0), within / (beside + _TINY), 1.0)
    steepest = sliding_window_view(np.pad(fall, _ABOUT, constant_values=np.inf), 2 * _ABOUT + 1).min(axis=1)
    return np.flatnonzero((fall <= ratio) & (fall == steepest)) + far


def _lags(signal: Signal) -> Signal:
    found: Signal = autocorrelation(signal * _hann(signal.size), _COLOUR_ORDER) / signal.size
    return found


@lru_cache(maxsize=64)
def _hann(size: int) -> Signal:
    window: Signal = np.hanning(size + 2)[1:-1]
    return window


def _ramp(gain: float, fade: int) -> Signal:
    ramp: Signal = 1 - (1 - gain) * np.arange(1, fade + 1) / (fade + 1)
    return ramp
