"""Loudness: bring the whole programme to a loudness, with its true peak under a ceiling.

Conventions: integrated loudness as EBU R 128 measures it (``wavechain.dsp.loudness``); one gain for all of the file;
length unchanged; what is silent or shorter than 400 ms has no loudness and is left alone, and the report says so.

When the plain gain would lift the true peak over the ceiling, ``reduce`` stops at the ceiling and stays quieter than
the target. ``limit`` lets the look-ahead limiter hold the peaks, which takes some loudness away with them: so it
listens again, through the limiter, and corrects the gain until the result is on target. Limited loudness rises
with the gain, ever more slowly; a secant from below therefore closes in without overshooting, in one to four passes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np

from wavechain import Analysis, Block, MeasuredEffect, Processor, Spec, param
from wavechain.dsp.limiter import Limiter
from wavechain.dsp.loudness import LoudnessMeter
from wavechain.dsp.true_peak import TruePeakMeter
from wavechain.limiting import LimiterWindow
from wavechain_essentials.gain import Amplified

# A third of the +-0.1 LU that are promised: the rest is for other meters, their one decimal, and dither.
_NEAR_ENOUGH_LU: Final = 0.03
# True peak meters of the standard differ by this much on noise and cymbals: the ceiling holds on the next one, too.
_METER_MARGIN_DB: Final = 0.2
# What limiting takes away is given back up to here; more would crush everything to lift the little that is left.
_MOST_COMPENSATION_DB: Final = 15.0
_MOST_PASSES: Final = 8
_LARGEST_STEP_DB: Final = 6.0


class Loudness(MeasuredEffect):
    """Bring the programme to a loudness (EBU R 128), with its true peak under a ceiling."""

    cost: ClassVar[float] = 6.0

    target_lufs: float = param(-16.0, unit="LUFS", ge=-70, le=0, help="The integrated loudness to reach.")
    true_peak_ceiling_db: float = param(-1.0, unit="dBTP", ge=-60, le=0, help="The true peak stays under this.")
    ceiling_mode: Literal["limit", "reduce"] = param(
        "limit", help="Where the ceiling is in the way: limit the peaks, or reduce the gain and miss the target."
    )

    def analyse(self, spec: Spec, results: Sequence[Any]) -> Analysis | None:
        if not results:
            return _Plain(spec)
        source: Measured = results[0]
        if not self._must_limit(source):
            return None
        gain_db = self._next_gain_db(source, results[1:])
        return None if gain_db is None else _Limited(spec, gain_db, self._held_dbtp)

    def open_measured(self, spec: Spec, results: Sequence[Any]) -> Processor:
        source: Measured = results[0]
        if not math.isfinite(source.lufs):
            return Amplified(spec, 0.0, {"left_alone": "silent, or too short for a loudness"})
        report: dict[str, Any] = {
            "measured_lufs": round(source.lufs, 2),
            "measured_true_peak_dbtp": round(source.true_peak_dbtp, 2),
        }
        if self._must_limit(source):
            best = min(results[1:], key=lambda tried: abs(tried.lufs - self.target_lufs))
            report |= {"gain_db": round(best.gain_db, 2), "expected_lufs": round(best.lufs, 2), "ceiling": "limited"}
            if abs(best.lufs - self.target_lufs) > _NEAR_ENOUGH_LU:
                report["warning"] = (
                    f"{self.target_lufs:g} LUFS is out of reach under {self.true_peak_ceiling_db:g} dBTP; "
                    f"it comes to {best.lufs:.1f}. Try: a compressor before it, or a lower target_lufs."
                )
            return _AmplifiedLimited(spec, best.gain_db, self._held_dbtp, report)
        gain_db = min(self.target_lufs - source.lufs, self._held_dbtp - source.true_peak_dbtp)
        report |= {"gain_db": round(gain_db, 2), "expected_lufs": round(source.lufs + gain_db, 2)}
        if gain_db < self.target_lufs - source.lufs:
            report["ceiling"] = "gain reduced"
        return Amplified(spec, gain_db, report)

    @property
    def _held_dbtp(self) -> float:
        return self.true_peak_ceiling_db - _METER_MARGIN_DB

    def _must_limit(self, source: Measured) -> bool:
        return (
            self.ceiling_mode == "limit"
            and math.isfinite(source.lufs)
            and source.true_peak_dbtp + self.target_lufs - source.lufs > self._held_dbtp
        )

    def _next_gain_db(self, source: Measured, tried: Sequence[Measured]) -> float | None:
        """The gain to listen to next, or None when the best of those that were *tried* is good enough."""
        # Up to this gain the limiter has nothing to do: the first point of the curve, known without listening.
        free_db = self._held_dbtp - source.true_peak_dbtp
        points = [(free_db, source.lufs + free_db), *((trial.gain_db, trial.lufs) for trial in tried)]
        gain_db, lufs = points[-1]
        missing = self.target_lufs - lufs
        if not tried:
            return gain_db + missing
        highest_db = self.target_lufs - source.lufs + _MOST_COMPENSATION_DB
        hopeless = missing > 0.0 and gain_db >= highest_db
        if abs(missing) <= _NEAR_ENOUGH_LU or hopeless or len(tried) >= _MOST_PASSES:
            return None
        earlier_db, earlier_lufs = points[-2]
        slope = (lufs - earlier_lufs) / (gain_db - earlier_db)
        step = missing / slope if slope > 0.0 else math.copysign(_LARGEST_STEP_DB, missing)
        return min(highest_db, gain_db + float(np.clip(step, -_LARGEST_STEP_DB, _LARGEST_STEP_DB)))


@dataclass(frozen=True, slots=True)
class Measured:
    """How loud the programme is after *gain_db* (and the limiter, unless the gain is 0)."""

    gain_db: float
    lufs: float
    true_peak_dbtp: float = math.nan


class _Plain(Analysis):
    """Listens to the programme as it is."""

    def __init__(self, spec: Spec) -> None:
        self._loudness = LoudnessMeter(spec.sample_rate, spec.channels)
        self._true_peak = TruePeakMeter(spec.sample_rate, spec.channels)

    def feed(self, block: Block) -> None:
        self._loudness.feed(block)
        self._true_peak.feed(block)

    def result(self) -> Measured:
        self._true_peak.finish()
        return Measured(0.0, self._loudness.integrated_lufs(), self._true_peak.true_peak_dbtp)


class _Limited(Analysis):
    """Listens to what a gain and the limiter would make of it."""

    def __init__(self, spec: Spec, gain_db: float, ceiling_db: float) -> None:
        self._gain_db = gain_db
        self._limited = _AmplifiedLimited(spec, gain_db, ceiling_db, {})
        self._loudness = LoudnessMeter(spec.sample_rate, spec.channels)

    def feed(self, block: Block) -> None:
        self._loudness.feed(self._limited.process(block))

    def result(self) -> Measured:
        self._loudness.feed(self._limited.flush())
        return Measured(self._gain_db, self._loudness.integrated_lufs())


class _AmplifiedLimited(LimiterWindow):
    def __init__(self, spec: Spec, gain_db: float, ceiling_db: float, report: dict[str, Any]) -> None:
        super().__init__(spec, Limiter(ceiling_db, spec.sample_rate))
        self._factor = np.float32(10.0 ** (gain_db / 20.0))
        self._report = report

    def process(self, block: Block) -> Block:
        return super().process(block * self._factor)

    @property
    def report(self) -> dict[str, Any]:
        return self._report
