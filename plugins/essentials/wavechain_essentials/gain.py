"""Gain: louder or quieter, nothing else.

Conventions: any channel count; length unchanged; output may exceed [-1, 1].
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from wavechain import Effect, Processor, Spec, param, pointwise


class Gain(Effect):
    """Louder or quieter, nothing else."""

    cost: ClassVar[float] = 0.3

    gain_db: float = param(0.0, unit="dB", ge=-120, le=60, help="How much louder (+) or quieter (-).")

    def open(self, spec: Spec) -> Processor:
        factor = np.float32(10.0 ** (self.gain_db / 20.0))
        return pointwise(spec, lambda block: block * factor)
