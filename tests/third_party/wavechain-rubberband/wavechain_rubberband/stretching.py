"""Time stretching: longer or shorter at the same pitch.

Conventions: any channel count up to 32, 8 to 192 kHz; the output is `factor` times as long, rounded to the frame; the
level of a steady sound is unchanged. A change of length leaves no room for a latency: the processor takes out its own,
and ends by itself in `flush`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from wavechain import Analysis, Block, Effect, MeasuredEffect, Processor, Spec, param
from wavechain.errors import SpecMismatchError
from wavechain_rubberband.engine import Engine

SHORTEST, LONGEST = 0.125, 8.0


class TimeStretch(Effect):
    """Longer or shorter at the same pitch."""

    cost: ClassVar[float] = 500.0

    factor: float = param(
        1.0, ge=SHORTEST, le=LONGEST, help="Duration of the output over that of the input: 2 is half the speed."
    )

    def open(self, spec: Spec) -> Processor:
        length = None if spec.length is None else stretched(spec.length, self.factor)
        return _Stretching(spec.with_length(length), self.factor)


class FitDuration(MeasuredEffect):
    """Stretched or squeezed to a duration, at the same pitch.

    How long the input is, it reads from the spec; where only the end can tell (after trim-silence), it listens first.
    """

    cost: ClassVar[float] = 500.0

    seconds: float = param(unit="s", gt=0, le=86_400, help="How long it will be, to the frame.")

    def analyse(self, spec: Spec, results: Sequence[Any]) -> Analysis | None:
        return _Length() if spec.length is None and not results else None

    def open_measured(self, spec: Spec, results: Sequence[Any]) -> Processor:
        frames = spec.length if spec.length is not None else results[0]
        due = self._due(spec)
        factor = due / frames if frames else 1.0
        if not SHORTEST <= factor <= LONGEST:
            raise SpecMismatchError(
                f"{frames / spec.sample_rate:.3g} s to {self.seconds:g} s is a factor of {factor:.3g}; "
                f"it goes from {SHORTEST:g} to {LONGEST:g}.",
                hint="a duration nearer to the sound's own.",
            )
        return _Stretching(spec.with_length(due), factor)

    def out_spec(self, spec: Spec) -> Spec:
        return spec.with_length(self._due(spec))

    def _due(self, spec: Spec) -> int:
        return stretched(spec.sample_rate, self.seconds)


class _Length(Analysis):
    def __init__(self) -> None:
        self._frames = 0

    def feed(self, block: Block) -> None:
        self._frames += block.shape[-1]

    def result(self) -> int:
        return self._frames


class _Stretching(Processor):
    def __init__(self, spec: Spec, factor: float) -> None:
        super().__init__(spec)
        self._engine = Engine(spec, factor=factor)
        self._factor = factor
        self._skip = self._engine.delay
        self._received = self._given = 0

    def process(self, block: Block) -> Block:
        self._received += block.shape[-1]
        return self._give(self._engine.push(block))

    def flush(self) -> Block:
        due = stretched(self._received, self._factor) if self.spec.length is None else self.spec.length
        return self._give(self._engine.rest(self._skip + due - self._given))

    def _give(self, block: Block) -> Block:
        skipped = min(self._skip, block.shape[-1])
        self._skip -= skipped
        self._given += block.shape[-1] - skipped
        return block[:, skipped:]

    @property
    def report(self) -> dict[str, Any]:
        return {"factor": self._factor}


def stretched(frames: int, factor: float) -> int:
    """The length law: half a frame counts as one."""
    return math.floor(frames * factor + 0.5)
