"""pedalboard's dynamics: compressor, two limiters, noise gate.

Conventions: any channel count; length unchanged; thresholds are levels of samples in dBFS. Compressor, limiter and gate
follow each channel on its own; the brick-wall limiter turns all channels down together.
"""

from __future__ import annotations

from typing import ClassVar

import pedalboard

from wavechain import param
from wavechain_pedalboard.hosting import PedalboardEffect


class Compressor(PedalboardEffect):
    """Turn down what is loud, so that loud and quiet lie closer together."""

    pedal = pedalboard.Compressor
    cost: ClassVar[float] = 3.0

    # pedalboard's own defaults, 0 dB and 1:1, do nothing.
    threshold_db: float = param(-20.0, unit="dB", ge=-100, le=24, help="The level above which it turns down.")
    ratio: float = param(4.0, ge=1, le=1000, help="So many dB more coming in give 1 dB more going out.")
    attack_ms: float = param(1.0, unit="ms", ge=0, le=10_000, help="How fast it turns down.")
    release_ms: float = param(100.0, unit="ms", ge=0, le=10_000, help="How fast it recovers.")


class Limiter(PedalboardEffect):
    """Make it loud: two compressors, make-up gain that cannot be switched off, and a hard stop at 0 dBFS."""

    pedal = pedalboard.Limiter
    cost: ClassVar[float] = 4.4

    threshold_db: float = param(
        -10.0,
        unit="dB",
        ge=-60,
        le=0,
        help="Where it begins to hold back; lower is louder. Not the ceiling: that is 0.",
    )
    release_ms: float = param(100.0, unit="ms", ge=1, le=10_000, help="How fast it recovers.")


class BrickwallLimiter(PedalboardEffect):
    """Keep every sample under a ceiling by looking ahead; no make-up gain."""

    pedal = pedalboard.BrickwallLimiter
    cost: ClassVar[float] = 3.5
    counts_frames = True

    ceiling_db: float = param(-1.0, unit="dB", ge=-60, le=24, help="No sample leaves above this level.")
    release_ms: float = param(100.0, unit="ms", ge=1, le=10_000, help="How fast it recovers after a peak.")
    lookahead_ms: float = param(5.0, unit="ms", ge=0.1, le=100, help="How long before a peak it knows of it.")
    true_peak: bool = param(
        False, help="Watch the waveform between the samples too, at 4 times the rate; leave 0.5 dB of room even so."
    )


class NoiseGate(PedalboardEffect):
    """Turn down what is quiet: breaths, hiss and room between the words."""

    pedal = pedalboard.NoiseGate
    cost: ClassVar[float] = 2.5

    threshold_db: float = param(-100.0, unit="dB", ge=-120, le=24, help="The level below which it closes.")
    ratio: float = param(10.0, ge=1, le=100, help="How far it closes: so many dB for each dB below the threshold.")
    attack_ms: float = param(1.0, unit="ms", ge=0, le=10_000, help="How fast it opens.")
    release_ms: float = param(100.0, unit="ms", ge=0, le=10_000, help="How fast it closes.")
