"""Trim: keep one stretch of the file, named by its times.

Conventions: times count from the start of the stream; samples stay what they are; the frame at ``start_seconds`` is
the first one kept, the frame at ``end_seconds`` the first one not kept; an end beyond the end of the file is its end.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import model_validator

from wavechain import Block, Effect, Processor, Spec, param
from wavechain.errors import EmptyAudioError, ParameterError
from wavechain_essentials.timing import frames_of


class Trim(Effect):
    """Keep the stretch between two times."""

    keeps_samples: ClassVar[bool] = True
    cost: ClassVar[float] = 0.1

    start_seconds: float = param(0.0, unit="s", ge=0, help="Where the part to keep begins.")
    end_seconds: float | None = param(None, unit="s", gt=0, help="Where it ends; unset: at the end of the file.")
    duration_seconds: float | None = param(None, unit="s", gt=0, help="How long it is, instead of where it ends.")

    @model_validator(mode="after")
    def _one_end_after_the_start(self) -> Trim:
        if self.end_seconds is not None and self.duration_seconds is not None:
            raise ParameterError(
                "trim: end_seconds and duration_seconds are two ways to say one thing.", hint="only one of them."
            )
        if self.end_seconds is not None and self.end_seconds <= self.start_seconds:
            raise ParameterError(
                f"trim: it would end at {self.end_seconds:g} s and begin at {self.start_seconds:g} s.",
                hint="an end_seconds above start_seconds, or duration_seconds.",
            )
        return self

    def open(self, spec: Spec) -> Processor:
        start = frames_of(self.start_seconds, spec.sample_rate)
        end = None
        if self.end_seconds is not None:
            end = frames_of(self.end_seconds, spec.sample_rate)
        elif self.duration_seconds is not None:
            end = start + frames_of(self.duration_seconds, spec.sample_rate)
        return Cut(spec, start, end)


class Cut(Processor):
    """Lets through the frames from *start* up to, not including, *end* (None: the last)."""

    def __init__(self, spec: Spec, start: int, end: int | None) -> None:
        length = spec.length
        if length is not None:
            end = length if end is None else min(end, length)
            self._refuse_nothing(spec, start, max(0, end - start), length)
            length = end - start
        super().__init__(spec.with_length(length))
        self._start = start
        self._end = end
        self._position = 0
        self._kept = 0

    def process(self, block: Block) -> Block:
        count = block.shape[-1]
        first = min(max(self._start - self._position, 0), count)
        last = count if self._end is None else min(max(self._end - self._position, first), count)
        self._position += count
        self._kept += last - first
        return np.ascontiguousarray(block[..., first:last])

    def flush(self) -> Block:
        self._refuse_nothing(self.spec, self._start, self._kept, self._position)
        return self.spec.zeros(0)

    def _refuse_nothing(self, spec: Spec, start: int, kept: int, frames: int) -> None:
        if not kept:
            raise EmptyAudioError(
                f"the part to keep begins at {float(start / spec.rate):g} s, the audio has "
                f"{float(frames / spec.rate):g} s: nothing would be left.",
                hint="an earlier start_seconds.",
            )
