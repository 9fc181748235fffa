"""Dropouts: packets that did not arrive, a worn spot on the tape, a cable that lost touch for a moment.

Conventions: all channels together; the gap is at full depth for its length, fades lie outside of it.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from wavechain import param
from wavechain.recipes import Degradation, Surroundings
from wavechain.stream import Block
from wavechain_trainer.degradations.spans import Span, draw, draw_log, within


class Dropouts(Degradation):
    """Cut gaps into the clip: digital silence, or far too quiet."""

    per_second: Annotated[Span, within(0.01, 50)] = param(
        (0.5, 4.0), unit="1/s", help="How many gaps a second, drawn from this range; at least one falls in a clip."
    )
    length_ms: Annotated[Span, within(0.1, 2000)] = param(
        (5.0, 80.0), unit="ms", help="How long a gap lasts, drawn from this range."
    )
    depth_db: Annotated[Span, within(3, 120)] = param(
        (20.0, 60.0), unit="dB", help="How far the level falls where it is not silence, drawn from this range."
    )
    silent: float = param(0.7, ge=0, le=1, help="How often a gap is digital silence.")
    fade_ms: Annotated[Span, within(0, 100)] = param(
        (0.0, 2.0), unit="ms", help="How long the level takes to fall and to rise, drawn from this range."
    )

    def apply(
        self, waveform: Block, sample_rate: int, rng: np.random.Generator, surroundings: Surroundings
    ) -> tuple[Block, Block]:
        frames = waveform.shape[1]
        count = max(1, round(draw_log(rng, self.per_second) * frames / sample_rate))
        gain = np.ones(frames, dtype=np.float32)
        for slot in np.array_split(np.arange(frames), count):  # one gap in each: gaps never run together
            self._cut(gain[slot[0] : slot[-1] + 1] if slot.size else gain[:0], sample_rate, rng)
        return waveform * gain, waveform

    def _cut(self, gain: Block, sample_rate: int, rng: np.random.Generator) -> None:
        """Write one gap into its part of the gain curve; one that is longer than its part fills it."""
        length = round(draw_log(rng, self.length_ms) * sample_rate / 1000)
        fade = round(draw(rng, self.fade_ms) * sample_rate / 1000)
        floor = 0.0 if rng.random() < self.silent else 10 ** (-draw(rng, self.depth_db) / 20)
        fade = max(0, min(fade, (gain.size - length) // 2))
        length = min(length, gain.size)
        start = int(rng.integers(gain.size - length - 2 * fade + 1))
        ramp = floor + (1 - floor) * np.arange(1, fade + 1) / (fade + 1)
        gain[start : start + length + 2 * fade] = np.concatenate([ramp[::-1], np.full(length, floor), ramp])
