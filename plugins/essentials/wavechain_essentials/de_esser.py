"""De-esser: tame hissing s and sh sounds, and nothing else.

It listens to what lies above the vowels alone (a steep highpass half an octave below the band), and where that is
too loud it lowers the band: the output is x + (g - 1) b(x), with b a band-pass that has no phase shift at its middle.
So it is an equaliser's bell of gain g whose depth follows the voice, and with g = 1 samples stay exactly what they are.

Conventions: all channels share one gain; length unchanged, and nothing is late.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from wavechain import Block, Effect, Processor, Spec, param
from wavechain.dsp import rbj
from wavechain.dsp.iir import SosFilter
from wavechain_essentials.hop_dynamics import Delay, Float64, HopDynamics, knee

_KNEE_DB = 6.0


class DeEsser(Effect):
    """Tame hissing s and sh sounds."""

    cost: ClassVar[float] = 4.6

    frequency_hz: float = param(6_500.0, unit="Hz", ge=2_000, le=16_000, help="Middle of the band that hisses.")
    q: float = param(0.8, ge=0.3, le=5, help="Narrowness: the band is frequency_hz / q wide.")
    threshold_db: float = param(-30.0, unit="dBFS", ge=-90, le=0, help="Peaks of the hiss above this are lowered.")
    ratio: float = param(4.0, ge=1, le=20, help="How many dB above the threshold become one.")
    range_db: float = param(10.0, unit="dB", ge=0, le=40, help="It never lowers the band by more than this.")
    attack_ms: float = param(1.0, unit="ms", ge=0.1, le=50, help="How fast it acts.")
    release_ms: float = param(60.0, unit="ms", ge=1, le=1000, help="How fast it lets go.")
    lookahead_ms: float = param(2.0, unit="ms", ge=0, le=20, help="How early it acts, so that no onset slips through.")

    def open(self, spec: Spec) -> Processor:
        return _DeEsser(spec, self)


class _DeEsser(HopDynamics):
    def __init__(self, spec: Spec, settings: DeEsser) -> None:
        super().__init__(
            spec,
            rise_ms=settings.release_ms,
            fall_ms=settings.attack_ms,
            hold_ms=0.0,
            lookahead_ms=settings.lookahead_ms,
        )
        self._settings = settings
        rate, channels = spec.sample_rate, spec.channels
        hiss = rbj.highpass(settings.frequency_hz / math.sqrt(2.0), rate, order=4)
        self._hiss = SosFilter(hiss, channels, quantum=self.size)
        self._band = SosFilter(rbj.band_pass(settings.frequency_hz, rate, settings.q), channels, quantum=self.size)
        self._late, self._late_band = Delay(spec, self.latency), Delay(spec, self.latency)

    def wanted_db(self, level_db: Float64) -> Float64:
        settings = self._settings
        above = knee(level_db - settings.threshold_db, _KNEE_DB)
        return -np.minimum((1.0 - 1.0 / settings.ratio) * above, settings.range_db)

    def step(self, chunk: Block) -> Block:
        depth = self.gain(self._hiss.process_quantum(chunk)) - np.float32(1.0)
        return self._late(chunk) + self._late_band(self._band.process_quantum(chunk)) * depth
