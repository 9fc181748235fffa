"""One edge of a dip: where the level starts to fall, how fast, and how far, told by what makes the join seamless.

Model    outside the sound is x, inside it is g x, and between them lies a straight ramp of so many frames. Divided by
         that curve c, the sound runs through the edge as if nothing had been there: its excitation e under an
         autoregressive model of the sound outside is no larger than usual. With Gaussian excitation of unknown power
         the curve is the one of the greatest likelihood, that is of the least
             cost = N / 2 log(mean of e^2) + sum of log c
         where the last term keeps a curve from winning by leaving everything quiet. See `ar` for the model.
Evidence `gained` is how far the cost lies below that of the same frames taken as they are, with a level of the
         excitation that changes wherever suits best: sound that really grows quieter has no step in it to be undone.
Search   from a grid, downhill from the best few joins, under one model after the other. A grid of a tenth of the size
         tells beforehand whether that is worth while: nearly all edges end there.

Conventions: float64; an edge is seen from outside, so that the end of a dip is given reversed; a join is a row of the
first frame at full depth, the frames of the ramp before it, and the gain; costs and evidence are in nats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from wavechain_restoration.ar import Signal, autocorrelation, predicting

Joins = npt.NDArray[np.float64]  # (joins, 3)
Join = npt.NDArray[np.float64]  # (3,)

# White noise that each model allows for, relative to the sound. The first finds the place: the more noise, the wider
# the valley. The last finds the gain.
_FLOORS = (1e-3, 1e-5, 1e-7)

# The grid: frames from the place that the level alone suggests, parts of the longest fade, ratios to the gain that the
# level suggests. Of places and fades the sparse one takes every third.
_PLACES = np.array([-24, -18, -12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20])
_FADES = np.array([0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1])
_GAINS = np.array([0.35, 0.6, 1.0, 1.6])
_SPARSE = 3
_SHALLOWEST = 0.7
# Where the other edge tells the gain, the level may have told the place less well, and its gain roughly.
_EARLIER = np.array([-64, -48, -36])
_NEAR = np.array([0.63, 0.8, 1.0, 1.26, 1.6])

# Downhill: single steps of several sizes in one or two of the three directions.
_STEPS = (-8, -3, -1, 0, 1, 3, 8)
_RATIOS = (0.87, 0.98, 1.0, 1.02, 1.15)
_MOVES = np.stack(np.meshgrid(_STEPS, _STEPS, _RATIOS, indexing="ij"), -1).reshape(-1, 3)
_MOVES = _MOVES[(_MOVES != (0, 0, 1)).sum(axis=1) <= 2]
_STARTS = 4
_REFINED = 2  # of them, that are refined to the end
_ROUNDS = 20
_GIVEN_UP = 30.0  # nats, less than which under a model are not worth the next

_AT_ONCE = 128  # joins
# Products of numbers in one product of matrices. Of more, threads are woken that cost more time than they bring; that
# of a single row with a matrix counts as one of so many.
_ONE_THREAD = 250_000
_FEWEST = 28
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
        self._known = known
        self._views: dict[int, _View] = {}
        self._lags = autocorrelation(known * np.hanning(known.size + 2)[1:-1], order)

    def _model(self, level: int) -> Signal:
        noisy = np.concatenate([[self._lags[0] * (1 + _FLOORS[level]) + _TINY], self._lags[1:]])
        return predicting(noisy)

    def _view(self, level: int) -> _View:
        level %= len(_FLOORS)
        if level not in self._views:
            self._views[level] = _View.of(self._signal, self._model(level))
        return self._views[level]

    @cached_property
    def rough(self) -> tuple[float, float]:
        """What a sparse grid tells: the evidence for its best join, under the first model, and that join's gain."""
        return self._sparse(self._gains, _PLACES[::_SPARSE])

    def roughly(self, gain: float) -> float:
        """The evidence of a sparse grid about a *gain* that the other edge tells."""
        return self._sparse(gain * _NEAR, np.concatenate([_EARLIER, _PLACES[::_SPARSE]]))[0]

    @cached_property
    def likeliest(self) -> Join:
        """The join of the least cost."""
        return self._best(self._grid(self._gains, _PLACES), fixed=False)

    def with_gain(self, gain: float) -> Join:
        """The join of the least cost among those of one *gain*."""
        return self._best(self._grid(np.array([gain]), np.concatenate([_EARLIER, _PLACES])), fixed=True)

    @property
    def _gains(self) -> Signal:
        return np.clip(self._gain * _GAINS, self.deepest, _SHALLOWEST)

    def _grid(self, gains: Signal, places: Signal, every: int = 1) -> Joins:
        fades = np.unique(np.round(self.fade * _FADES))[::every]
        fade, place, gain = np.meshgrid(fades, self._place + places, gains, indexing="ij")
        return np.stack([place, fade, gain], -1).reshape(-1, 3)

    def _sparse(self, gains: Signal, places: Signal) -> tuple[float, float]:
        joins = self._grid(gains, places, _SPARSE)
        costs = self.costs(joins, 0)
        least = int(np.argmin(costs))
        return self._natural(0) - float(costs[least]), float(joins[least, 2])

    def _best(self, joins: Joins, fixed: bool) -> Join:
        found: list[tuple[float, Join]] = []
        costs = self.costs(joins, 0)
        for k in np.argsort(costs, kind="stable"):
            if not any(_near(joins[k], join) for _, join in found):
                found.append((float(costs[k]), joins[k]))
            if len(found) == _STARTS:
                break
        for level in range(1, len(_FLOORS)):
            found = sorted((self._downhill(join, fixed, level) for _, join in found), key=itemgetter(0))[:_REFINED]
            if self._natural(level) - found[0][0] < _GIVEN_UP:
                break
        return found[0][1]

    def refined(self, join: Join, fixed: bool) -> Join:
        """*join*, moved downhill until no step helps; its gain stays where it is *fixed*."""
        return self._downhill(join, fixed, -1)[1]

    def _downhill(self, join: Join, fixed: bool, level: int) -> tuple[float, Join]:
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
        return cost, join

    def costs(self, joins: Joins, level: int = -1) -> Signal:
        """Infinite for joins that begin before the frames looked at. Shape (joins, 3) -> (joins,)"""
        starts = range(0, len(joins), _AT_ONCE)
        powers, depths = zip(*(self._undone(joins[k : k + _AT_ONCE], level) for k in starts), strict=True)
        costs = self._count / 2 * np.log(np.concatenate(powers) + _TINY) + np.concatenate(depths)
        return np.where(joins[:, 0] - joins[:, 1] < self._offset + self.order, np.inf, costs)

    def _undone(self, joins: Joins, level: int) -> tuple[Signal, Signal]:
        """The mean power of the excitation once each of the *joins* is undone, and the sum of log c.

        The curves differ in shape only from the earliest fall, *first*, to the latest full depth, *last*. What the
        frames before come to is the same for all joins, and what those after come to goes with the gain.
        """
        view, signal, order = self._view(level), self._signal, self.order
        place, fade, gain = (joins[:, k, np.newaxis] for k in range(3))
        first = min(max(int((place - fade).min()) - self._offset, order), signal.size - 1)
        last = min(max(int(place.max()) - self._offset, first), signal.size)
        end = min(last + order, signal.size)
        frames = np.arange(first, last) + self._offset
        curves = np.clip(1 - (1 - gain) / (fade + 1) * (frames - (place - fade) + 1), gain, 1)
        undone = np.empty((len(joins), end - first + order))
        undone[:, :order] = signal[first - order : first]
        undone[:, order : order + last - first] = signal[first:last] / curves
        undone[:, order + last - first :] = signal[last:end] / gain
        gain = gain[:, 0]
        before, after = view.power[first - order], view.power[-1] - view.power[end - order]
        power = before + _excited(undone, view.model) + after / gain**2
        return power / self._count, np.log(curves).sum(axis=1) + (signal.size - last) * np.log(gain)

    def gained(self, join: Join) -> float:
        """How much more likely the dip is than sound that has grown quieter by itself."""
        return self._natural() - float(self.costs(join[np.newaxis])[0])

    def _natural(self, level: int = -1) -> float:
        """The cost of the frames as they are, with an excitation that grows quieter where it suits best."""
        power = self._view(level).power
        loud = np.arange(_GUARD, self._count - _GUARD)
        quiet = self._count - loud
        before, after = power[loud], power[-1] - power[loud]
        costs = loud / 2 * np.log(before / loud + _TINY) + quiet / 2 * np.log(np.abs(after) / quiet + _TINY)
        return float(costs.min())

    def roughness_db(self, join: Join) -> float:
        """How far the excitation lies above what is usual in the sound outside, with *join* undone."""
        power, _ = self._undone(join[np.newaxis], -1)
        # A Hann window leaves 3/8 of the power.
        usual = max(float(self._lags @ self._model(-1)) / (0.375 * self._known.size), 0.0) + _TINY
        return 10 * math.log10(float(power[0]) / usual + _TINY)


@dataclass(frozen=True)
class _View:
    """The frames looked at under one model: the power of their excitation, summed over all frames before each."""

    model: Signal
    power: Signal

    @classmethod
    def of(cls, signal: Signal, model: Signal) -> _View:
        power = np.cumsum(np.convolve(signal, model, "valid") ** 2)
        return cls(model, np.concatenate([[0.0], power]))


def _excited(sounds: Signal, model: Signal) -> Signal:
    """The power of the excitation of each sound, summed over all frames but the first few, as many as the order.

    A few frames are told at once, by a product with shifted copies of the model: so few that BLAS keeps to one thread.

    Shape (sounds, frames) -> (sounds,)
    """
    order = model.size - 1
    block = max(1, int(math.sqrt((order / 2) ** 2 + _ONE_THREAD / max(len(sounds), _FEWEST)) - order / 2))
    rows = np.zeros((block, block + order + 1))
    rows[:, : order + 1] = model[::-1]
    copies = rows.reshape(-1)[: block * (block + order)].reshape(block, -1).T
    power = np.zeros(len(sounds))
    for first in range(0, sounds.shape[1] - order, block):
        part = sounds[:, first : first + block + order]
        excitation = part @ copies[: part.shape[1], : part.shape[1] - order]
        power += np.einsum("ij,ij->i", excitation, excitation)
    return power


def _near(one: Join, other: Join) -> bool:
    return bool(abs(one[0] - other[0]) <= 4 and abs(one[1] - other[1]) <= 8 and abs(math.log(one[2] / other[2])) <= 0.6)
