"""Late reverb: lowers the tail that a room leaves behind each sound.

Conventions: works between `stft` and `inverse`; phases, bins and hops stay, and no column depends on later ones. All
channels get the same gains, from the mean of their powers: the image stays.

The tail of a room is noise that decays by 60 dB in `decay_seconds`. So its power now is foretold by the power that was
heard `early_seconds` ago: lower by what the decay takes in that time. It is subtracted, down to `reduction_db`. What
follows closer than that (the first reflections) counts as part of the sound.

Source  K. Lebart, J. M. Boucher, P. N. Denbigh, "A new method based on spectral subtraction for speech
        dereverberation", Acta Acustica 87, 2001; here the decay is given, not measured
"""

from __future__ import annotations

from collections import deque
from functools import reduce
from typing import ClassVar

import numpy as np

from wavechain.errors import SpecMismatchError
from wavechain.params import param
from wavechain.processors import Processor
from wavechain.stages import Effect
from wavechain.stream import Block, Spec

_FOLLOW = np.float32(0.5)  # weight of the latest column in the power that is remembered
_TINY = np.float32(1e-30)


class LateReverb(Effect):
    decay_seconds: float = param(
        0.8, unit="s", ge=0.05, le=20, help="How long the room takes to fall by 60 dB; longer removes more."
    )
    early_seconds: float = param(
        0.045, unit="s", ge=0.01, le=0.5, help="What follows a sound within this time belongs to it and stays."
    )
    reduction_db: float = param(10.0, unit="dB", ge=0, le=60, help="How far a bin is lowered at most.")

    accepts: ClassVar[tuple[str, ...]] = ("stft",)
    cost: ClassVar[float] = 5.0

    def open(self, spec: Spec) -> Processor:
        """Raises SpecMismatchError for what is no complex spectrum, and for columns too far apart."""
        if len(spec.shape) != 3 or spec.shape[1] != 2:
            raise SpecMismatchError(f"late-reverb takes complex spectra; it is given {spec}.", hint="stft.")
        if float(spec.rate) * self.early_seconds < 0.5:
            raise SpecMismatchError(
                f"late-reverb: columns come {float(spec.rate):.3g} times a second, and early_seconds = "
                f"{self.early_seconds:g} is over before the next.",
                hint="a shorter hop_length, or more early_seconds.",
            )
        return _LateReverb(self, spec)


class _LateReverb(Processor):
    def __init__(self, stage: LateReverb, spec: Spec) -> None:
        super().__init__(spec)
        hops = max(1, round(float(spec.rate) * stage.early_seconds))
        self._decayed = np.float32(10 ** (-6 * hops / float(spec.rate) / stage.decay_seconds))
        self._floor = np.float32(10 ** (-stage.reduction_db / 20))
        self._power = np.zeros(spec.shape[-1], np.float32)
        self._past = deque([self._power] * hops, maxlen=hops)

    def process(self, block: Block) -> Block:
        power = np.square(block).sum(axis=1)
        total = reduce(np.add, power)  # a sum of many channels would round by how many columns there are
        gains = np.empty_like(total)
        for hop in range(total.shape[-1]):
            tail = self._decayed * self._past[0]
            gains[:, hop] = 1 - tail / np.maximum(total[:, hop], _TINY)
            self._power = self._power + _FOLLOW * (total[:, hop] - self._power)
            self._past.append(self._power)
        lowered: Block = block * np.maximum(np.sqrt(np.maximum(gains, 0)), self._floor)
        return lowered
