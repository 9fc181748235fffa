"""Pad: silence before the first frame, after the last, or both.

Conventions: any channel count; samples stay what they are; length grows by exactly the frames that were asked for.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from wavechain import Block, Effect, Processor, Spec, param
from wavechain_essentials.timing import frames_of


class Pad(Effect):
    """Add silence at the start, at the end, or both."""

    keeps_samples: ClassVar[bool] = True
    cost: ClassVar[float] = 0.1

    start_seconds: float = param(0.0, unit="s", ge=0, le=60, help="Silence before the first frame.")
    end_seconds: float = param(0.0, unit="s", ge=0, le=60, help="Silence after the last frame.")

    def open(self, spec: Spec) -> Processor:
        rate = spec.sample_rate
        return _Pad(spec, frames_of(self.start_seconds, rate), frames_of(self.end_seconds, rate))


class _Pad(Processor):
    def __init__(self, spec: Spec, start: int, end: int) -> None:
        super().__init__(spec.with_length(None if spec.length is None else start + spec.length + end))
        self._start = start
        self._end = end

    def process(self, block: Block) -> Block:
        if not self._start:
            return block
        return np.concatenate([self._lead_in(), block], axis=-1)

    def flush(self) -> Block:
        return np.concatenate([self._lead_in(), self.spec.zeros(self._end)], axis=-1)

    def _lead_in(self) -> Block:
        silence, self._start = self.spec.zeros(self._start), 0
        return silence
