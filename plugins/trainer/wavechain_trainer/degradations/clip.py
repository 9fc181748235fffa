"""Clipping: the level was set too high, and the peaks are cut off or pressed flat.

Conventions: one threshold for all channels and both signs; samples below it (soft: below the knee) stay as they were.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from wavechain import param
from wavechain.recipes import Degradation, Surroundings
from wavechain.stream import Block
from wavechain_trainer.degradations.spans import Span, draw, draw_log, within

_HALVINGS = 16


class Clip(Degradation):
    """Cut the peaks off at a share of the highest one, or where a wanted damage is reached."""

    threshold: Annotated[Span, within(0.001, 1)] = param(
        (0.1, 1.0), help="Where it clips, as a share of the highest peak, drawn from this range."
    )
    snr_db: Annotated[Span, within(0.1, 60)] = param(
        (1.0, 20.0), unit="dB", help="How far the clip lies above what clipping changes, when chosen by damage."
    )
    by_damage: float = param(0.5, ge=0, le=1, help="How often the threshold is chosen by damage, not by the peak.")
    soft: float = param(0.3, ge=0, le=1, help="How often peaks are pressed flat instead of cut off.")

    def apply(
        self, waveform: Block, sample_rate: int, rng: np.random.Generator, surroundings: Surroundings
    ) -> tuple[Block, Block]:
        by_damage, soft = rng.random(2) < (self.by_damage, self.soft)
        share, snr_db, knee = draw_log(rng, self.threshold), draw(rng, self.snr_db), draw(rng, (0.3, 0.9))
        magnitude = np.abs(waveform)
        peak = float(magnitude.max(initial=0))
        if peak == 0:
            return waveform.copy(), waveform
        limit = _limit_for(magnitude, peak, snr_db) if by_damage else share * peak
        if not soft:
            return np.clip(waveform, np.float32(-limit), np.float32(limit)), waveform
        bend, room = np.float32(knee * limit), np.float32((1 - knee) * limit)
        pressed = bend + room * np.tanh((magnitude - bend) / room)
        return np.where(magnitude > bend, np.copysign(pressed, waveform), waveform), waveform


def _limit_for(magnitude: Block, peak: float, snr_db: float) -> float:
    """The threshold at which hard clipping loses the power that *snr_db* stands for, found by halving."""
    flat = magnitude.ravel()
    allowed = float(np.dot(flat, flat)) * 10 ** (-snr_db / 10)
    low, high = 0.0, peak
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        over = np.maximum(flat - np.float32(middle), np.float32(0))
        low, high = (middle, high) if float(np.dot(over, over)) > allowed else (low, middle)
    return (low + high) / 2
