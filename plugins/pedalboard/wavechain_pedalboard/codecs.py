"""The sound of poor carriers: a low sample rate, MP3, a GSM telephone.

Conventions: length unchanged; nothing moves in time, though each carrier smears what it carries. MP3 takes the channels
in pairs; GSM is mono, so each channel has a telephone of its own. MP3 and GSM hold no sample beyond full scale.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import pedalboard

from wavechain import Block, Effect, Processor, Spec, Window, param
from wavechain.errors import SpecMismatchError
from wavechain_pedalboard.hosting import PedalboardEffect

_Q = pedalboard.Resample.Quality
Quality = Literal[
    "zero-order-hold",
    "linear",
    "catmull-rom",
    "lagrange",
    "windowed-sinc-8",
    "windowed-sinc-16",
    "windowed-sinc-32",
    "windowed-sinc-64",
    "windowed-sinc-128",
    "windowed-sinc-256",
]
_QUALITIES: dict[str, pedalboard.Resample.Quality] = {
    "zero-order-hold": _Q.ZeroOrderHold,
    "linear": _Q.Linear,
    "catmull-rom": _Q.CatmullRom,
    "lagrange": _Q.Lagrange,
    "windowed-sinc-8": _Q.WindowedSinc8,
    "windowed-sinc-16": _Q.WindowedSinc16,
    "windowed-sinc-32": _Q.WindowedSinc32,
    "windowed-sinc-64": _Q.WindowedSinc64,
    "windowed-sinc-128": _Q.WindowedSinc128,
    "windowed-sinc-256": _Q.WindowedSinc256,
}
_QUALITY_HELP = "How the samples between samples are found: the first sound rough, the last clean and slow."

MP3_SAMPLE_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


@lru_cache(maxsize=64)
def hold_delay(sample_rate: int, target_sample_rate: float) -> int:
    """Frames by which a zero-order hold is late: about half a period of the lower rate, measured on a bump."""
    period = max(1.0, sample_rate / target_sample_rate)
    width = math.ceil(64 * period)
    bump = np.zeros((1, 4 * width), np.float32)
    bump[0, width : 2 * width] = np.hanning(width)
    held = pedalboard.Resample(target_sample_rate, _Q.ZeroOrderHold).process(bump, float(sample_rate))
    frames = np.arange(4 * width)
    return max(0, round(float((held[0] * frames).sum() / held[0].sum() - (bump[0] * frames).sum() / bump[0].sum())))


class Resample(PedalboardEffect):
    """Play the sound through a lower sample rate and back: the highs go, and at a poor quality return as rubble.

    The stream keeps its own rate: to change that, use `resample`.
    """

    pedal = pedalboard.Resample
    cost: ClassVar[float] = 70.0
    counts_frames = True

    target_sample_rate: float = param(
        8000.0, unit="Hz", ge=500, le=192_000, help="The rate that the sound goes through."
    )
    quality: Quality = param("windowed-sinc-32", help=_QUALITY_HELP)

    def settings(self, spec: Spec) -> dict[str, Any]:
        return self.model_dump() | {"quality": _QUALITIES[self.quality]}

    def latency(self, spec: Spec) -> int:
        return hold_delay(spec.sample_rate, self.target_sample_rate) if self.quality == "zero-order-hold" else 0


class Mp3Compressor(PedalboardEffect):
    """Encode to MP3 and decode again, on the way: what the codec does to the sound, without a file."""

    pedal = pedalboard.MP3Compressor
    cost: ClassVar[float] = 40.0
    channels_each = 2

    vbr_quality: float = param(2.0, ge=0, le=9.9, help="LAME's variable bit rate: 0 is the best, 9.9 the worst.")

    def check(self, spec: Spec) -> None:
        if spec.sample_rate not in MP3_SAMPLE_RATES:
            above = [rate for rate in MP3_SAMPLE_RATES if rate >= spec.sample_rate] or [MP3_SAMPLE_RATES[-1]]
            raise SpecMismatchError(
                f"takes {', '.join(map(str, MP3_SAMPLE_RATES))} Hz; it is given {spec.sample_rate} Hz.",
                hint=f"add resample:sample_rate={above[0]} before it.",
            )


class GsmCompressor(Effect):
    """A call on a mobile telephone of the 1990s: GSM full rate, 13 kbit/s, nothing above 4 kHz."""

    cost: ClassVar[float] = 55.0

    quality: Quality = param("windowed-sinc-8", help=f"For the way to 8000 Hz and back. {_QUALITY_HELP}")

    def open(self, spec: Spec) -> Processor:
        return _GsmSections(spec, self.quality)


class _GsmSections(Window):
    """The codec in sections of some seconds, each begun a second early and blended into the next.

    pedalboard's codec drops 20 ms at the start of every call, so a stream cannot be handed over call by call; and the
    codec never forgets, so two runs over the same sound differ by its own noise. Sections start on its grid of 20 ms.
    """

    def __init__(self, spec: Spec, quality: str) -> None:
        sample_rate = spec.sample_rate
        grid = sample_rate // math.gcd(sample_rate, 50)
        core = grid * math.ceil(8 * sample_rate / grid)
        if spec.length is not None:
            core = min(core, grid * max(1, math.ceil(spec.length / grid)))
        early = grid * math.ceil(sample_rate / grid)
        self._fade = max(1, sample_rate // 50)
        self._late = hold_delay(sample_rate, 8000.0) if quality == "zero-order-hold" else 0
        super().__init__(spec, left=early, right=self._fade + self._late + sample_rate // 10, core=core)
        self._quality = _QUALITIES[quality]
        self._rising = np.linspace(0.0, 1.0, self._fade, dtype=np.float32)
        self._before: Block | None = None

    def compute(self, window: Block) -> Block:
        start = self.left + self._late
        sound = np.stack([self._call(channel) for channel in window])[:, start : start + self.core + self._fade]
        if self._before is not None:
            head = sound[:, : self._fade]
            head += (1 - self._rising) * (self._before - head)
        self._before = sound[:, self.core :]
        return sound[:, : self.core]

    def _call(self, channel: Block) -> Block:
        return pedalboard.GSMFullRateCompressor(self._quality).process(channel, float(self.spec.sample_rate))
