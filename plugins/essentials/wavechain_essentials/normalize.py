"""Normalize: the loudest point of the whole file on a given level.

Conventions: one gain for all channels and all of the file, so balance and dynamics stay; length unchanged; a silent
file is left alone, and the report says so. For how loud it *sounds*, use ``loudness``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from wavechain import Analysis, Block, MeasuredEffect, Processor, Spec, param
from wavechain.dsp.levels import db
from wavechain.dsp.true_peak import TruePeakMeter
from wavechain_essentials.gain import Amplified


class Normalize(MeasuredEffect):
    """Bring the loudest point of the file to a given level."""

    cost: ClassVar[float] = 0.1

    target_db: float = param(-1.0, unit="dB", ge=-60, le=0, help="Where the loudest point will be, re full scale.")
    mode: Literal["peak", "true-peak"] = param(
        "true-peak", help="peak: the highest sample; true-peak: the highest point of the wave between samples, too."
    )

    def analyse(self, spec: Spec, results: Sequence[Any]) -> Analysis | None:
        if results:
            return None
        return _SamplePeak() if self.mode == "peak" else _TruePeak(spec)

    def open_measured(self, spec: Spec, results: Sequence[Any]) -> Processor:
        peak_db: float = results[0]
        if not math.isfinite(peak_db):
            return Amplified(spec, 0.0, {"left_alone": "silent throughout"})
        gain_db = self.target_db - peak_db
        return Amplified(spec, gain_db, {"measured_peak_db": round(peak_db, 3), "gain_db": round(gain_db, 3)})


class _SamplePeak(Analysis):
    def __init__(self) -> None:
        self._peak = np.float32(0.0)

    def feed(self, block: Block) -> None:
        self._peak = max(self._peak, block.max(initial=0.0), -block.min(initial=0.0))

    def result(self) -> float:
        return float(db(self._peak))


class _TruePeak(Analysis):
    def __init__(self, spec: Spec) -> None:
        self._meter = TruePeakMeter(spec.sample_rate, spec.channels)

    def feed(self, block: Block) -> None:
        self._meter.feed(block)

    def result(self) -> float:
        self._meter.finish()
        return self._meter.true_peak_dbtp
