"""Gain: louder or quieter, nothing else.

Conventions: any channel count; length unchanged; output may exceed [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from wavechain import Block, Effect, Processor, Spec, param


class Gain(Effect):
    """Louder or quieter, nothing else."""

    cost: ClassVar[float] = 0.1

    gain_db: float = param(0.0, unit="dB", ge=-120, le=60, help="How much louder (+) or quieter (-).")

    def open(self, spec: Spec) -> Processor:
        return Amplified(spec, self.gain_db)


class Amplified(Processor):
    """Every sample times one factor, with what is to be reported about it."""

    def __init__(self, spec: Spec, gain_db: float, report: Mapping[str, Any] | None = None) -> None:
        super().__init__(spec)
        self._factor = np.float32(10.0 ** (gain_db / 20.0))
        self._report = dict(report or {})

    def process(self, block: Block) -> Block:
        return block * self._factor

    @property
    def report(self) -> dict[str, Any]:
        return self._report
