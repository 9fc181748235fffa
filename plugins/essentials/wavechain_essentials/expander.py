"""Expander: what is quiet becomes quieter. The gentle relative of the noise gate, for breath, spill and room noise.

Conventions: all channels share one gain; length unchanged, and nothing is late; above the threshold (and its knee)
samples stay exactly what they are.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from wavechain import Block, Effect, Processor, Spec, param
from wavechain_essentials.hop_dynamics import Delay, Float64, HopDynamics, knee


class Expander(Effect):
    """Make what is quiet quieter: breath, spill, room noise."""

    cost: ClassVar[float] = 2.3

    threshold_db: float = param(-45.0, unit="dBFS", ge=-120, le=0, help="Peaks below this are lowered.")
    ratio: float = param(2.0, ge=1, le=20, help="How many dB the output falls for each dB below the threshold.")
    range_db: float = param(18.0, unit="dB", ge=0, le=120, help="It never lowers by more than this.")
    knee_db: float = param(6.0, unit="dB", ge=0, le=24, help="Width of the gentle bend around the threshold.")
    attack_ms: float = param(2.0, unit="ms", ge=0.1, le=500, help="How fast it opens for a sound.")
    hold_ms: float = param(30.0, unit="ms", ge=0, le=1000, help="How long it stays open after the last sound.")
    release_ms: float = param(150.0, unit="ms", ge=1, le=5000, help="How fast it closes then.")
    lookahead_ms: float = param(5.0, unit="ms", ge=0, le=50, help="How early it opens, so that no consonant is lost.")

    def open(self, spec: Spec) -> Processor:
        return _Expander(spec, self)


class _Expander(HopDynamics):
    def __init__(self, spec: Spec, settings: Expander) -> None:
        super().__init__(
            spec,
            rise_ms=settings.attack_ms,
            fall_ms=settings.release_ms,
            hold_ms=settings.hold_ms,
            lookahead_ms=settings.lookahead_ms,
        )
        self._settings = settings
        self._late = Delay(spec, self.latency)

    def wanted_db(self, level_db: Float64) -> Float64:
        settings = self._settings
        below = knee(settings.threshold_db - level_db, settings.knee_db)
        return -np.minimum((settings.ratio - 1.0) * below, settings.range_db)

    def step(self, chunk: Block) -> Block:
        return self._late(chunk) * self.gain(chunk)
