"""pedalboard's Gain and Invert.

Conventions: any channel count; length unchanged. essentials has `gain` and `polarity`, which need no pedalboard, so
these two answer to their full names only: `pedalboard.gain` and `pedalboard.invert`.
"""

from __future__ import annotations

from typing import ClassVar

import pedalboard

from wavechain import param
from wavechain_pedalboard.hosting import PedalboardEffect


class Gain(PedalboardEffect):
    """Louder or quieter, nothing else."""

    pedal = pedalboard.Gain
    cost: ClassVar[float] = 0.6

    gain_db: float = param(1.0, unit="dB", ge=-120, le=60, help="How much louder (+) or quieter (-).")


class Invert(PedalboardEffect):
    """Turn the waveform upside down, on every channel."""

    pedal = pedalboard.Invert
    cost: ClassVar[float] = 0.6
