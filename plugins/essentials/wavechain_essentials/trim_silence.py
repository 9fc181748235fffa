"""Trim silence: cut off what is quiet before the first and after the last sound.

Conventions: a frame is quiet when no channel exceeds the threshold; samples stay what they are; silence between
sounds stays; a file that is quiet throughout is left alone, and the report says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from wavechain import Analysis, Block, MeasuredEffect, Processor, Spec, param
from wavechain_essentials.timing import frames_of
from wavechain_essentials.trim import Cut


class TrimSilence(MeasuredEffect):
    """Cut off silence at the start and at the end."""

    keeps_samples: ClassVar[bool] = True
    cost: ClassVar[float] = 0.1

    threshold_dbfs: float = param(-60.0, unit="dBFS", ge=-140, le=0, help="Sample peaks up to here count as silence.")
    minimum_silence_seconds: float = param(
        0.1, unit="s", ge=0, le=3600, help="A shorter silence at an end of the file is left as it is."
    )
    keep_seconds: float = param(0.05, unit="s", ge=0, le=60, help="How much silence stays before and after the sound.")
    start: bool = param(True, help="Cut at the start.")
    end: bool = param(True, help="Cut at the end.")

    def out_spec(self, spec: Spec) -> Spec:
        return spec.with_length(None)

    def analyse(self, spec: Spec, results: Sequence[Any]) -> Analysis | None:
        return None if results else _Edges(10.0 ** (self.threshold_dbfs / 20.0))

    def open_measured(self, spec: Spec, results: Sequence[Any]) -> Processor:
        heard: Heard = results[0]
        start, end = 0, heard.frames
        if not heard.silent:
            keep = frames_of(self.keep_seconds, spec.sample_rate)
            least = max(1, frames_of(self.minimum_silence_seconds, spec.sample_rate))
            if self.start and heard.first >= least:
                start = max(0, heard.first - keep)
            if self.end and heard.frames - 1 - heard.last >= least:
                end = min(heard.frames, heard.last + 1 + keep)
        return _SilenceCut(spec.with_length(heard.frames), start, end, silent=heard.silent)


@dataclass(frozen=True, slots=True)
class Heard:
    """First and last frame above the threshold (first is -1 when there is none), and the frames in all."""

    first: int
    last: int
    frames: int

    @property
    def silent(self) -> bool:
        return self.first < 0


class _Edges(Analysis):
    def __init__(self, threshold: float) -> None:
        self._threshold = np.float32(threshold)
        self._first = self._last = -1
        self._frames = 0

    def feed(self, block: Block) -> None:
        loud = np.flatnonzero((np.abs(block) > self._threshold).any(axis=0))
        if loud.size:
            if self._first < 0:
                self._first = self._frames + int(loud[0])
            self._last = self._frames + int(loud[-1])
        self._frames += block.shape[-1]

    def result(self) -> Heard:
        return Heard(self._first, self._last, self._frames)


class _SilenceCut(Cut):
    def __init__(self, spec: Spec, start: int, end: int, *, silent: bool) -> None:
        super().__init__(spec, start, end)
        self._silent = silent
        self._removed = (float(start / spec.rate), float(((spec.length or 0) - end) / spec.rate))

    @property
    def report(self) -> dict[str, Any]:
        start, end = self._removed
        report: dict[str, Any] = {"removed_start_seconds": round(start, 6), "removed_end_seconds": round(end, 6)}
        if self._silent:
            report["left_alone"] = "silent throughout"
        return report
