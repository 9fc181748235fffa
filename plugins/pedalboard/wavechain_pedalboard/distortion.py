"""pedalboard's ways to damage a waveform on purpose: distortion, clipping, fewer bits.

Conventions: any channel count; length unchanged; each sample depends on itself alone.
"""

from __future__ import annotations

from typing import ClassVar

import pedalboard

from wavechain import param
from wavechain_pedalboard.hosting import PedalboardEffect


class Distortion(PedalboardEffect):
    """Push the waveform into a soft ceiling (the hyperbolic tangent), which adds overtones."""

    pedal = pedalboard.Distortion
    cost: ClassVar[float] = 5.0

    drive_db: float = param(25.0, unit="dB", ge=-60, le=120, help="How hard it is pushed.")


class Clipping(PedalboardEffect):
    """Cut the waveform off at a level, which sounds harsh."""

    pedal = pedalboard.Clipping
    cost: ClassVar[float] = 0.8

    threshold_db: float = param(-6.0, unit="dB", ge=-100, le=24, help="The level at which it is cut.")


class Bitcrush(PedalboardEffect):
    """Round the samples to few levels, without dither: the grain of early samplers."""

    pedal = pedalboard.Bitcrush
    cost: ClassVar[float] = 5.0

    bit_depth: float = param(
        8.0, unit="bits", ge=0, le=32, help="How many bits are left below full scale; 7.5 is allowed."
    )
