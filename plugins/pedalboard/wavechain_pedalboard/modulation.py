"""pedalboard's moving effects: chorus and phaser.

Conventions: any channel count, every channel moved alike; the movement starts at the same point for every stream; with
feedback they ring on after the end (at most 10 s) until 60 dB below the last sound.
"""

from __future__ import annotations

import math
from typing import ClassVar

import pedalboard

from wavechain import Spec, param
from wavechain_pedalboard.hosting import PedalboardEffect, echo_seconds

LONGEST_TAIL_SECONDS = 10.0
# The sweep of the chorus reaches this far around its centre at full depth.
_CHORUS_SWEEP_SECONDS = 0.010


class Chorus(PedalboardEffect):
    """A second voice beside the first, wavering in time: choir, flanger or vibrato."""

    pedal = pedalboard.Chorus
    cost: ClassVar[float] = 11.0

    rate_hz: float = param(1.0, unit="Hz", ge=0, le=99, help="How many times a second it wavers.")
    depth: float = param(0.25, ge=0, le=1, help="How far it wavers: at 1 by 10 ms to either side.")
    centre_delay_ms: float = param(7.0, unit="ms", ge=1, le=100, help="How far the second voice lags on average.")
    feedback: float = param(0.0, ge=-0.99, le=0.99, help="How much of the second voice goes round again.")
    mix: float = param(0.5, ge=0, le=1, help="0 is the first voice alone, 1 the second.")

    def tail_seconds(self, spec: Spec) -> float:
        furthest = self.centre_delay_ms / 1000 + self.depth * _CHORUS_SWEEP_SECONDS
        # One delay more: interpolation and the movement smear every echo a little.
        ringing = echo_seconds(furthest, self.feedback, self.mix, longest=LONGEST_TAIL_SECONDS)
        return min(LONGEST_TAIL_SECONDS, ringing + furthest) if ringing else 0.0


class Phaser(PedalboardEffect):
    """Notches that sweep up and down the spectrum, from six all-pass filters."""

    pedal = pedalboard.Phaser
    frequencies = ("centre_frequency_hz",)
    cost: ClassVar[float] = 13.0

    rate_hz: float = param(1.0, unit="Hz", ge=0, le=99, help="How many times a second it sweeps.")
    depth: float = param(0.5, ge=0, le=1, help="How far it sweeps around the centre; 1 is the whole hearing range.")
    centre_frequency_hz: float = param(1300.0, unit="Hz", ge=20, le=20_000, help="The middle of the sweep.")
    feedback: float = param(0.0, ge=-0.99, le=0.99, help="How much goes round again, which sharpens the notches.")
    mix: float = param(0.5, ge=0, le=1, help="0 leaves the sound alone; notches are deepest at 0.5.")

    def tail_seconds(self, spec: Spec) -> float:
        """Time to -60 dB of the slowest mode at the lowest point of the sweep.

        A round of six first-order all-passes of corner w with feedback g has poles where A(s)**6 = 1/g; with
        r = |g|**(-1/6) the slowest lies at -w (r - 1)/(r + 1). Six equal poles without feedback need about 15/w.
        """
        if self.mix == 0:
            return 0.0
        highest = min(20_000.0, 0.49 * spec.sample_rate)
        span = math.log(highest / 20)
        lowest = 20 * math.exp(span * max(0.0, math.log(self.centre_frequency_hz / 20) / span - self.depth / 2))
        slowness = 15.0
        if self.feedback:
            r = abs(self.feedback) ** (-1 / 6)
            slowness += 6.9 * (r + 1) / (r - 1)
        return min(LONGEST_TAIL_SECONDS, slowness / (2 * math.pi * lowest))
