"""pedalboard's moving effects: chorus and phaser.

Conventions: any channel count, every channel moved alike; the movement starts at the same point for every stream; with
feedback they ring on after the end (at most 10 s) until 60 dB below the last sound.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import pedalboard

from wavechain import Spec, param
from wavechain_pedalboard.hosting import PedalboardEffect, echo_seconds

LONGEST_TAIL_SECONDS = 10.0
# The sweep of the phaser goes from 20 Hz up to here, or to 49 % of the sample rate where that is less.
SWEEP_TOP_HZ = 20_000.0
# The sweep of the chorus reaches this far around its centre at full depth.
_CHORUS_SWEEP_SECONDS = 0.010


class Chorus(PedalboardEffect):
    """A second voice beside the first, wavering in time: choir, flanger or vibrato."""

    pedal = pedalboard.Chorus
    cost: ClassVar[float] = 4.5

    rate_hz: float = param(1.0, unit="Hz", ge=0, le=99, help="How many times a second it wavers.")
    depth: float = param(0.25, ge=0, le=1, help="How far it wavers: at 1 by 10 ms to either side.")
    centre_delay_ms: float = param(7.0, unit="ms", ge=1, le=100, help="How far the second voice lags on average.")
    feedback: float = param(0.0, ge=-0.99, le=0.99, help="How much of the second voice goes round again.")
    mix: float = param(0.5, ge=0, le=1, help="0 is the first voice alone, 1 the second.")

    def tail_seconds(self, spec: Spec) -> float:
        furthest = self.centre_delay_ms / 1000 + self.depth * _CHORUS_SWEEP_SECONDS
        # Echoes so dense pile up, to 1 / (1 - feedback); and interpolation smears the last one over a delay more.
        piled = self.mix / (1 - abs(self.feedback))
        ringing = echo_seconds(furthest, self.feedback, piled, longest=LONGEST_TAIL_SECONDS)
        return min(LONGEST_TAIL_SECONDS, ringing + furthest + 8 / spec.sample_rate) if ringing else 0.0


class Phaser(PedalboardEffect):
    """Notches that sweep up and down the spectrum, from six all-pass filters."""

    pedal = pedalboard.Phaser
    frequencies = ("centre_hz",)
    called: ClassVar[dict[str, str]] = {"centre_hz": "centre_frequency_hz"}
    cost: ClassVar[float] = 13.0

    # Beyond these two, fast sweeps at low sample rates feed back more than they take away, and the sound explodes.
    rate_hz: float = param(1.0, unit="Hz", ge=0, le=20, help="How many times a second it sweeps.")
    depth: float = param(0.5, ge=0, le=1, help="How far it sweeps around the centre; 1 is the whole hearing range.")
    centre_hz: float = param(1300.0, unit="Hz", ge=20, le=20_000, help="The middle of the sweep.")
    feedback: float = param(0.0, ge=-0.95, le=0.95, help="How much goes round again, which sharpens the notches.")
    mix: float = param(0.5, ge=0, le=1, help="0 leaves the sound alone; notches are deepest at 0.5.")

    def settings(self, spec: Spec) -> dict[str, Any]:
        """pedalboard places the centre on its scale before it knows the sample rate: on the one of 44.1 kHz.

        So below 40.8 kHz, where that scale is shorter, the centre is asked for where it will come to lie right.
        """
        centre = 20 * math.exp(self._height(spec) * math.log(SWEEP_TOP_HZ / 20))
        return super().settings(spec) | {"centre_frequency_hz": centre}

    def _height(self, spec: Spec) -> float:
        """Where the centre lies on the scale of the sweep: 0 at 20 Hz, 1 at its top."""
        return math.log(self.centre_hz / 20) / math.log(_sweep_top(spec) / 20)

    def tail_seconds(self, spec: Spec) -> float:
        """Time to -60 dB of the slowest mode anywhere in the sweep.

        A first-order all-pass of corner f has its pole at (1 - g)/(1 + g), g = tan(pi f / rate): slow near 0 and near
        half the rate. A round of six with feedback h has modes where A**6 = 1/h; beside a pole that decays by d a frame
        (in nepers) the slowest decays by d (r - 1)/(r + 1), r = |h|**(-1/6). Six equal poles alone need about 20/d.
        """
        if self.mix == 0:
            return 0.0
        span, height = math.log(_sweep_top(spec) / 20), self._height(spec)
        reach = (max(0.0, height - self.depth / 2), min(1.0, height + self.depth / 2))
        warped = [math.tan(math.pi * 20 * math.exp(part * span) / spec.sample_rate) for part in reach]
        decay = min(-math.log(abs((1 - g) / (1 + g)) or 1e-9) for g in warped)
        frames = 24 + 20 / decay
        if self.feedback:
            r = abs(self.feedback) ** (-1 / 6)
            # However fast the poles are, a round lasts about eight frames.
            frames += 6.9 * (r + 1) / (r - 1) / decay - 8 * 6.9 / math.log(abs(self.feedback))
        return min(LONGEST_TAIL_SECONDS, frames / spec.sample_rate)


def _sweep_top(spec: Spec) -> float:
    return min(SWEEP_TOP_HZ, 0.49 * spec.sample_rate)
