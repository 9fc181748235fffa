"""The true-peak limiter as a stage: what `wavechain.dsp.limiter` computes, fed with context by the core.

It lives in the core because the last mile needs it (``--overs limit``); the essentials plugin registers it.
"""

from __future__ import annotations

from typing import ClassVar

from wavechain.dsp.limiter import Limiter
from wavechain.params import param
from wavechain.processors import Processor, Window
from wavechain.stages import Effect
from wavechain.stream import Block, Spec


class TruePeakLimiter(Effect):
    """Holds the true peak under a ceiling, with look-ahead: no overshoot, no recursion, transparent below it."""

    cost: ClassVar[float] = 6.0

    ceiling_db: float = param(-1.0, unit="dBTP", ge=-60, le=0, help="The true peak never rises above this.")
    lookahead_seconds: float = param(0.005, unit="s", ge=0.0005, le=0.1, help="How early the gain starts to fall.")
    release_seconds: float = param(0.1, unit="s", ge=0.001, le=2, help="How long the gain takes to come back.")

    def open(self, spec: Spec) -> Processor:
        return LimiterWindow(
            spec,
            Limiter(
                self.ceiling_db,
                spec.sample_rate,
                lookahead_seconds=self.lookahead_seconds,
                release_seconds=self.release_seconds,
            ),
        )


class LimiterWindow(Window):
    """Feeds a `Limiter` the context it needs."""

    def __init__(self, spec: Spec, limiter: Limiter) -> None:
        super().__init__(spec, *limiter.context)
        self._limiter = limiter

    def compute(self, window: Block) -> Block:
        return self._limiter.process_window(window)
