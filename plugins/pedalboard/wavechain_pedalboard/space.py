"""pedalboard's rooms and echoes: delay and reverb.

Conventions: the output is longer than the input, by what rings on. Delay takes any channel count; reverb takes mono or
stereo, because it spreads sound between left and right. pedalboard's `freeze_mode` is left out: it lets nothing into
the room, so what is frozen from the first frame is silence.
"""

from __future__ import annotations

import math
from typing import ClassVar

import pedalboard

from wavechain import Spec, param
from wavechain_pedalboard.hosting import PedalboardEffect, echo_seconds

LONGEST_ECHO_SECONDS = 60.0


class Delay(PedalboardEffect):
    """Echoes: the sound again after a time, and again, each quieter than the one before."""

    pedal = pedalboard.Delay
    cost: ClassVar[float] = 3.0

    delay_seconds: float = param(0.5, unit="s", ge=0, le=30, help="The time from one echo to the next.")
    feedback: float = param(0.0, ge=0, le=1, help="The level of each echo beside the one before; 0 is one echo only.")
    mix: float = param(0.5, ge=0, le=1, help="0 is the sound alone, 1 the echoes alone.")

    def tail_seconds(self, spec: Spec) -> float:
        return echo_seconds(self.delay_seconds, self.feedback, self.mix, longest=LONGEST_ECHO_SECONDS)


class Reverb(PedalboardEffect):
    """A room: small and dull, or large and bright, after the Freeverb design."""

    pedal = pedalboard.Reverb
    cost: ClassVar[float] = 7.8

    room_size: float = param(0.5, ge=0, le=1, help="How long the room rings.")
    damping: float = param(0.5, ge=0, le=1, help="How fast the highs die away.")
    wet_level: float = param(0.33, ge=0, le=1, help="How much of the room is heard.")
    dry_level: float = param(0.4, ge=0, le=1, help="How much of the sound itself is heard; 0.5 leaves its level alone.")
    width: float = param(1.0, ge=0, le=1, help="How far the room spreads between left and right; 0 is mono.")

    def check(self, spec: Spec) -> None:
        self._at_most_stereo(spec)

    def tail_seconds(self, spec: Spec) -> float:
        return math.inf if self.wet_level > 0 else 0.0
