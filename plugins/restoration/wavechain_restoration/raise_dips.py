"""raise-dips: raises stretches that fell in level at once, and came back at once, to the level around them.

A dip is still there, only too quiet: a tape that lost touch with the head, a worn spot, a bad contact. What `ar-fill`
would have to guess can be had by dividing by the gain, as far as noise and quantisation allow.

Found        by level first, in hops of half a millisecond: steep edges on both sides. Next by colour: under a model of
             the sound before, and of that after, the excitation within has fallen as far as the level has. What passes
             is rare, and fitted edge by edge as `dip_edges` tells: its ramps and its gain.
Raised       if both edges are far more likely a change of gain than sound that grew quieter, and fit one gain. Silence,
             pauses, consonants, gates and drums that stop do not answer to the sound beside them, and stay.

Conventions: any channel count, each by itself; length unchanged; frames outside dips pass through bit for bit.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import model_validator

from wavechain import Effect, Processor, Spec, param
from wavechain.errors import ParameterError
from wavechain_restoration.ar import Mask, Signal, autocorrelation, toeplitz
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
_EACH = 100.0  # nats of evidence for each edge
_BOTH = 250.0  # and for both
_KNOWN = 6  # edges that are remembered, of megabytes each
_ROUGH_DB = 22.0
_LOUDER = 1.5  # than all that is beside it, and what was raised was not that sound
_TINY = 1e-20


class RaiseDips(Effect):
    """Raise stretches that fell in level, back to the sound around them."""

    cost: ClassVar[float] = 150.0

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
        edges: dict[tuple[int, int], tuple[DipEdge, Join]] = {}
        done = 0
        for first, last in self._places(window, frames):
            fall_db = self._fall_db(window, first, last) if first - self._reach >= done else None
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
        found = []
        for first in falls[(starts >= self.left) & (starts < self.left + frames)]:
            near = (rises >= first + self._shortest) & (rises <= first + self._longest // hop + 2)
            for last in rises[near & (rises * hop + self._margin <= window.size)]:
                beside = peaks[first - fade - _BESIDE : first], peaks[last : last + fade + _BESIDE]
                level = max(float(side.max()) for side in beside)
                fallen = peaks[first:last].max() <= _WITHIN * self._fallen * level
                if fallen and np.median(peaks[first:last]) > self._silent * level:
                    found.append((int(first) * hop, int(last) * hop))
        return found

    def _fall_db(self, window: Signal, first: int, last: int) -> float | None:
        """How far the excitation fell, against the side where it fell further; None if the colour is another."""
        trim = self._fade // 3 if last - first > 2 * self._fade else 0
        within = _lags(window[first + trim : last - trim])
        start, end = first - self._reach, last + self._reach
        falls = []
        for side in window[start - self._context : start], window[end : end + self._context]:
            lags = _lags(side)
            noise = (_COLOUR_FLOOR * lags[0] + _TINY) * np.eye(_COLOUR_ORDER)
            model = np.concatenate([[1.0], -np.linalg.solve(toeplitz(lags[:-1]) + noise, lags[1:])])
            now, then = (model @ toeplitz(each) @ model + _COLOUR_FLOOR * each[0] + _TINY for each in (within, lags))
            fall = 10 * math.log10(now / then)
            if abs(fall - 10 * math.log10((within[0] + _TINY) / (lags[0] + _TINY))) > _COLOUR_DB:
                return None
            falls.append(fall)
        alike = abs(falls[0] - falls[1]) < _SIDES_DB and max(falls) < _MARGIN_DB - self._least_db
        return min(falls) if alike else None

    def _dip(
        self, window: Signal, first: int, last: int, known: dict[tuple[int, int], tuple[DipEdge, Join]]
    ) -> tuple[int, Signal] | None:
        """The first frame of the dip and the gain of each of its frames, or None where there is none.

        known  edges that were fitted before: one may belong to several places
        """
        size = min(last - first, 4 * self._hop + self._inside + self._fade)
        sides = {
            (first, size): window[first - self._margin : first + size],
            (-last, size): window[last - size : last + self._margin][::-1],
        }
        while len(known) > _KNOWN:
            del known[next(iter(known))]
        for key in sides.keys() - known.keys():
            edge = DipEdge(
                sides[key],
                self._margin,
                self._order,
                self._context,
                self._inside,
                self._fade,
                10 ** (-(self._most_db + 6) / 20),
            )
            known[key] = edge, edge.best()
        (fall, one), (rise, other) = (known[key] for key in sides)
        agreed = _agreed(fall, rise, one, other)
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


def _agreed(fall: DipEdge, rise: DipEdge, one: Join, other: Join) -> tuple[Join, Join] | None:
    """Both joins with one gain; None where the evidence is not enough."""

    def evidence(pair: tuple[Join, Join]) -> tuple[float, float]:
        return fall.gained(pair[0]), rise.gained(pair[1])

    pair = one, other
    if max(evidence(pair)) < _EACH:
        return None
    if abs(math.log(one[2] / other[2])) > _SAME:
        # Each edge is asked for the gain that the other is sure of.
        sure = [float(join[2]) for join, gained in zip(pair, evidence(pair), strict=True) if gained >= _EACH]
        pair = max(((fall.best(gain), rise.best(gain)) for gain in sure), key=lambda each: sum(evidence(each)))
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
    windowed = signal * np.hanning(signal.size + 2)[1:-1]
    found: Signal = autocorrelation(windowed, _COLOUR_ORDER) / signal.size
    return found


def _ramp(gain: float, fade: int) -> Signal:
    ramp: Signal = 1 - (1 - gain) * np.arange(1, fade + 1) / (fade + 1)
    return ramp
