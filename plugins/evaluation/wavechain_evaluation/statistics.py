"""Medians, and how sure one can be of them, by the paired bootstrap.

Every row repairs the same items, so gains are taken item by item before anything is averaged; items are then drawn
anew, with replacement, a few thousand times, and the middle 95 % of the medians is the interval.

Source  B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993 (percentile intervals)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2000
_TAIL = 2.5


@dataclass(frozen=True, slots=True)
class Interval:
    """A median and the 95 % interval around it."""

    median: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


def median_interval(values: ArrayLike, seed: int) -> Interval | None:
    """The median with its interval; None for no values. The same seed gives the same interval.

    Shape   (items,); NaN are left out
    """
    given: NDArray[np.float64] = np.asarray(values, np.float64)
    given = given[np.isfinite(given)]
    if not given.size:
        return None
    drawn = np.random.default_rng(seed).integers(given.size, size=(DRAWS, given.size))
    low, high = np.percentile(np.median(given[drawn], axis=1), [_TAIL, 100 - _TAIL])
    return Interval(float(np.median(given)), float(low), float(high))
