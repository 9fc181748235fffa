"""How much was changed of a stream: what every part of a repair reports."""

from __future__ import annotations

import numpy as np

from wavechain.stream import Block


class Tally:
    """The power of what came in, and of what was changed of it."""

    def __init__(self) -> None:
        self._power = np.zeros(2)

    def add(self, before: Block, change: Block) -> None:
        self._power += [np.square(each, dtype=np.float64).sum() for each in (before, change)]

    @property
    def db(self) -> float | None:
        """The change relative to what came in, or None when nothing was changed."""
        return round(float(10 * np.log10(self._power[1] / self._power[0])), 1) if self._power[1] > 0 else None
