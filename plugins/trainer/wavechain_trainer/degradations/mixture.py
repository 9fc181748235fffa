"""Several faults in one clip, as in life: which, in which order, and how often none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wavechain.errors import ParameterError
from wavechain.recipes import Degradation, Surroundings
from wavechain.stream import Block


class Mixture:
    """Draws 1 to *most* of the given faults by weight, in random order; leaves a share of the clips untouched.

    degradations  name: (fault, weight); a weight of 0 is never drawn
    untouched     how often nothing is done, 0 to 1
    most          the most faults in one clip

    A fault that changes what is wanted (`Degradation.changes_wanted`: a room) comes first, as in life:
    the room was there before the microphone. Of such faults at most one is applied. All others worsen only what the
    repair is given.
    """

    def __init__(self, degradations: Mapping[str, tuple[Degradation, float]], untouched: float, most: int) -> None:
        drawn = {name: entry for name, entry in degradations.items() if entry[1] > 0}
        if any(weight < 0 for _, weight in degradations.values()) or not drawn:
            raise ParameterError("a mixture needs faults, with weights of 0 or more.", hint="a weight of 1 for each.")
        if not 0 <= untouched <= 1 or most < 1:
            raise ParameterError(
                f"untouched = {untouched} and most = {most} make no mixture.", hint="untouched 0 to 1, most 1 or more."
            )
        self._degradations = {name: degradation for name, (degradation, _) in drawn.items()}
        weights = np.array([weight for _, weight in drawn.values()], dtype=np.float64)
        self._chances = weights / weights.sum()
        self._untouched = untouched
        self._most = min(most, len(drawn))

    def apply(
        self, waveform: Block, sample_rate: int, rng: np.random.Generator, surroundings: Surroundings
    ) -> tuple[Block, Block, tuple[str, ...]]:
        """(worsened, wanted, names in the order applied); for an untouched clip twice *waveform* itself and no name."""
        worsened = wanted = waveform
        applied = self._draw(rng)
        for name in applied:
            degradation = self._degradations[name]
            worsened, target = degradation.apply(worsened, sample_rate, rng, surroundings)
            if degradation.changes_wanted:
                wanted = target
        return worsened, wanted, applied

    def _draw(self, rng: np.random.Generator) -> tuple[str, ...]:
        if rng.random() < self._untouched:
            return ()
        count = int(rng.integers(1, self._most + 1))
        names = list(self._degradations)
        drawn = [names[index] for index in rng.choice(len(names), count, replace=False, p=self._chances)]
        rng.shuffle(drawn)
        first = [name for name in drawn if self._degradations[name].changes_wanted]
        return (*first[:1], *(name for name in drawn if name not in first))
