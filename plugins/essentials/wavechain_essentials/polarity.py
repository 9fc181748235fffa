"""Polarity: turn the waveform upside down, for a microphone or cable wired the other way round.

Conventions: channels are counted from 0; length unchanged; twice is as if never.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from wavechain import Effect, Processor, Spec, param, pointwise
from wavechain.errors import SpecMismatchError


class Polarity(Effect):
    """Turn the waveform upside down, in all channels or in some."""

    cost: ClassVar[float] = 0.1

    channels: tuple[int, ...] = param((), help="Which channels to turn, counted from 0; none named: all of them.")

    def open(self, spec: Spec) -> Processor:
        missing = [channel for channel in self.channels if not 0 <= channel < spec.channels]
        if missing:
            raise SpecMismatchError(
                f"polarity: there is no channel {missing[0]}; the stream has {spec.channels}, counted from 0.",
                hint=f"channels=[{spec.channels - 1}], or leave channels out to turn all.",
            )
        sign = np.ones((spec.channels, 1), np.float32)
        sign[list(self.channels) or slice(None)] = -1.0
        return pointwise(spec, lambda block: block * sign)
