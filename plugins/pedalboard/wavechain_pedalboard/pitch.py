"""Pitch shift: higher or lower, at the same speed.

Conventions: any channel count, all shifted together; length unchanged. The method (Rubber Band's phase vocoder) works
on windows of some 40 ms, so a click is smeared over that time; its middle stays within 8 ms of where it was.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pedalboard

from wavechain import Block, Spec, WholeEffect, param

# pedalboard moves sound in time by this share of a window for a shift of very many semitones, earlier when the pitch
# rises; measured on clicks, tones, chords and bursts of noise at 8 to 96 kHz, -24 to 24 semitones.
_DRIFT = 0.38


class PitchShift(WholeEffect):
    """Sing higher or lower without singing faster or slower."""

    cost: ClassVar[float] = 150.0

    semitones: float = param(0.0, unit="semitones", ge=-72, le=72, help="How far up (+) or down (-); 12 is an octave.")

    def apply(self, waveform: Block, spec: Spec) -> Block:
        frames = waveform.shape[-1]
        early = self._early(spec.sample_rate)
        silence = np.zeros((waveform.shape[0], abs(early)), np.float32)
        fed = np.concatenate([silence, waveform] if early > 0 else [waveform, silence], axis=-1)
        # One call: between two calls the shifter forgets everything.
        shifted = pedalboard.PitchShift(self.semitones).process(fed, float(spec.sample_rate))
        return shifted[:, max(0, -early) :][:, :frames]

    def _early(self, sample_rate: int) -> int:
        """Frames by which pedalboard's output is ahead of the input (negative: behind)."""
        window = 512
        while window < 2048 * sample_rate / 48_000:
            window *= 2
        drift = _DRIFT * window * (1 - 2 ** (-abs(self.semitones) / 12))
        return round(drift if self.semitones > 0 else -drift)
