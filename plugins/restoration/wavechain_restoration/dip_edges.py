"""One edge of a dip: where the level starts to fall, how fast, and how far, told by what makes the join seamless.

Model    outside the sound is x, inside it is g x, and between them lies a straight ramp of so many frames. Divided by
         that curve c, the sound runs through the edge as if nothing had been there: its excitation e under an
         autoregressive model of the sound outside is no larger than usual. With Gaussian excitation of unknown power
         the curve is the one of the greatest likelihood, that is of the least
             cost = N / 2 log(mean of e^2) + sum of log c
         where the last term keeps a curve from winning by leaving everything quiet. See `ar` for the model.
Evidence `gained` is how far the cost lies below that of the same frames taken as they are, with a level of the
         excitation that changes wherever suits best: sound that really grows quieter has no step in it to be undone.

Conventions: float64; an edge is seen from outside, so that the end of a dip is given reversed; a join is a row of the
first frame at full depth, the frames of the ramp before it, and the gain; costs and evidence are in nats.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from wavechain_restoration.ar import Signal, autocorrelation, toeplitz

Joins = npt.NDArray[np.float64]  # (joins, 3)
Join = npt.NDArray[np.float64]  # (3,)

# White noise that each model allows for, relative to the sound. The first finds the place: the more noise, the wider
# the valley. The last finds the gain.
_FLOORS = (1e-3, 1e-5, 1e-7)

# The search: frames from the place that the level alone suggests, parts of the longest fade, ratios to the gain that
# the level suggests. From the best of them, single steps of several sizes in one or two of the three directions.
_PLACES = np.array([-24, -18, -12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20])
_FADES = np.array([0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1])
_GAINS = np.array([0.35, 0.6, 1.0, 1.6])
_STEPS = (-8, -3, -1, 0, 1, 3, 8)
_RATIOS = (0.87, 0.98, 1.0, 1.02, 1.15)
_MOVES = np.stack(np.meshgrid(_STEPS, _STEPS, _RATIOS, indexing="ij"), -1).reshape(-1, 3)
_MOVES = _MOVES[(_MOVES != (0, 0, 1)).sum(axis=1) <= 2]
_SPARSE = 3  # every third place and fade tells whether there is anything to be searched for
_PROMISING = 30.0  # nats
_AT_ONCE = 200  # joins; all of them are 20 MB
_STARTS = 4
_REFINED = 2  # of them, that are refined to the end
_ROUNDS = 20
_LOUDER = 1.3  # than any step inside: a frame that belongs to the fade
_GUARD = 8  # frames between the model's sound and the first join that is tried, and the least for a level
_TINY = 1e-20

LEAD = _GUARD - int(_PLACES[0])  # frames by which the model's sound ends before the earliest fade


class DipEdge:
    """The edge in *signal*, of which the first *outside* frames lie before full depth, to a fade.

    context, inside  frames that the model is made of, and that are looked at inside
    fade             the longest that is tried
    deepest          the smallest gain that is tried
    """

    def __init__(
        self, signal: Signal, outside: int, order: int, context: int, inside: int, fade: int, deepest: float
    ) -> None:
        self.fade, self.deepest, self.order = fade, deepest, order
        size = signal.size - outside
        steps = np.abs(np.diff(signal))
        settled = outside + min(size // 3, fade // 2)
        within = steps[settled : outside + min(size, inside + fade // 2)]
        louder = np.flatnonzero(steps[:settled] > _LOUDER * within.max())
        self._place = max(int(louder[-1]) + 1 if louder.size else outside, outside - fade)
        start = self._place - fade - LEAD
        end = min(self._place + int(_PLACES[-1]) + max(order, inside), signal.size)
        known = signal[start - context : start]
        fall = math.sqrt(float(np.mean(within**2)) / (float(np.mean(np.diff(known) ** 2)) + _TINY))
        self._gain = min(0.5, max(deepest, fall))
        self._offset, self._count = start - order, end - start
        self._signal = signal[self._offset : end]
        self._known, self._filters = known, dict[int, Signal]()
        self._lags = autocorrelation(known * np.hanning(known.size + 2)[1:-1], order)

    def _model(self, level: int) -> Signal:
        noisy = np.concatenate([[self._lags[0] * (1 + _FLOORS[level]) + _TINY], self._lags[1:]])
        return np.concatenate([[1.0], -np.linalg.solve(toeplitz(noisy[:-1]), noisy[1:])])

    def _filter(self, level: int) -> Signal:
        """The matrix that answers the excitation of the frames looked at. Shape (order + count, count)"""
        level %= len(_FLOORS)
        if level not in self._filters:
            self._filters[level] = self._excited_by(self._model(level))
        return self._filters[level]

    def _excited_by(self, model: Signal) -> Signal:
        rows = np.zeros((self._count, self._signal.size + 1))
        rows[:, : self.order + 1] = model[::-1]
        return rows.reshape(-1)[: self._count * self._signal.size].reshape(self._count, -1).T

    def best(self, gain: float | None = None) -> Join:
        """The join of the least cost, with the *gain* if that is known."""
        gains = np.clip(self._gain * _GAINS, self.deepest, 0.7) if gain is None else np.array([gain])
        fades = np.unique(np.round(self.fade * _FADES))
        places = self._place + _PLACES
        if gain is None:
            few = _grid(places[::_SPARSE], fades[::_SPARSE], gains)
            costs = self.costs(few, 0)
            if self._natural(0) - costs.min() < _PROMISING:
                self._filters.clear()  # megabytes, for an edge that is hardly asked again
                likeliest: Join = few[np.argmin(costs)]
                return likeliest
        joins = _grid(places, fades, gains)
        starts: list[Join] = []
        for join in joins[np.argsort(self.costs(joins, 0), kind="stable")]:
            if not any(_near(join, start) for start in starts):
                starts.append(join)
            if len(starts) == _STARTS:
                break
        for level in range(1, len(_FLOORS)):
            starts = [self.refined(start, gain is not None, level) for start in starts]
            starts = sorted(starts, key=lambda join: float(self.costs(join[np.newaxis], level)[0]))[:_REFINED]
        return min(starts, key=lambda join: float(self.costs(join[np.newaxis])[0]))

    def refined(self, join: Join, fixed: bool, level: int = -1) -> Join:
        """*join*, moved downhill until no step helps; its gain stays where it is *fixed*."""
        moves = _MOVES[_MOVES[:, 2] == 1] if fixed else _MOVES
        cost = float(self.costs(join[np.newaxis], level)[0])
        for _ in range(_ROUNDS):
            tries = join * (1, 1, 0) + moves * (1, 1, join[2])
            tries[:, 1] = np.clip(tries[:, 1], 0, self.fade)
            tries[:, 2] = np.clip(tries[:, 2], self.deepest, 0.9)
            costs = self.costs(tries, level)
            least = int(np.argmin(costs))
            if costs[least] > cost - 1e-3:
                break
            join, cost = tries[least], float(costs[least])
        return join

    def costs(self, joins: Joins, level: int = -1) -> Signal:
        """Shape (joins, 3) -> (joins,)"""
        if len(joins) > _AT_ONCE:
            parts = [joins[first : first + _AT_ONCE] for first in range(0, len(joins), _AT_ONCE)]
            return np.concatenate([self.costs(part, level) for part in parts])
        curves = self._curves(joins)
        power = np.mean(((self._signal / curves) @ self._filter(level)) ** 2, axis=1)
        found: Signal = self._count / 2 * np.log(power + _TINY) + np.log(curves[:, self.order :]).sum(axis=1)
        return found

    def _curves(self, joins: Joins) -> Signal:
        place, fade, gain = (joins[:, k, np.newaxis] for k in range(3))
        frames = np.arange(self._signal.size) + self._offset
        curves: Signal = np.clip(1 - (1 - gain) * (frames - (place - fade) + 1) / (fade + 1), gain, 1.0)
        return curves

    def gained(self, join: Join) -> float:
        """How much more likely the dip is than sound that has grown quieter by itself."""
        return self._natural() - float(self.costs(join[np.newaxis])[0])

    def _natural(self, level: int = -1) -> float:
        """The cost of the frames as they are, with an excitation that grows quieter where it suits best."""
        power = np.cumsum((self._signal @ self._filter(level)) ** 2)
        loud = np.arange(_GUARD, self._count - _GUARD)
        quiet = self._count - loud
        before, after = power[loud - 1], power[-1] - power[loud - 1]
        costs = loud / 2 * np.log(before / loud + _TINY) + quiet / 2 * np.log(np.abs(after) / quiet + _TINY)
        return float(costs.min())

    def roughness_db(self, join: Join) -> float:
        """How far the excitation lies above what is usual in the sound outside, with *join* undone."""
        power = np.mean(((self._signal / self._curves(join[np.newaxis])[0]) @ self._filter(-1)) ** 2)
        # A Hann window leaves 3/8 of the power.
        usual = max(float(self._lags @ self._model(-1)) / (0.375 * self._known.size), 0.0) + _TINY
        return 10 * math.log10(float(power) / usual + _TINY)


def _grid(places: Signal, fades: Signal, gains: Signal) -> Joins:
    return np.stack(np.meshgrid(places, fades, gains, indexing="ij"), -1).reshape(-1, 3)


def _near(one: Join, other: Join) -> bool:
    return bool(abs(one[0] - other[0]) <= 4 and abs(one[1] - other[1]) <= 8 and abs(math.log(one[2] / other[2])) <= 0.6)
