"""Transposing: higher or lower at the same speed.

Conventions: any channel count up to 32, 8 to 192 kHz; length unchanged; the level of a steady sound is unchanged.
The library is late by a fixed number of frames. That is this processor's `latency`: the core takes it out, and keeps
other branches of a chain aligned.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from wavechain import Block, Effect, Processor, Spec, param
from wavechain_rubberband.engine import Engine

Formants = Literal["follow", "stay"]


def _semitones() -> Any:
    return param(0.0, unit="semitones", ge=-24, le=24, help="How much higher (+) or lower (-); 12 is an octave.")


def _formants() -> Any:
    return param("follow", help="The timbre moves along with the pitch, or stays: a voice keeps its size.")


class Transpose(Effect):
    """Higher or lower at the same speed."""

    cost: ClassVar[float] = 350.0

    semitones: float = _semitones()
    formants: Formants = _formants()

    def open(self, spec: Spec) -> Processor:
        return _Transposing(spec, self.semitones, self.formants)


class Harmony(Effect):
    """The sound, and under it a transposed copy that comes a little later, as a second singer does."""

    cost: ClassVar[float] = 360.0

    semitones: float = _semitones()
    delay_seconds: float = param(0.02, unit="s", ge=0, le=10, help="How much later the copy comes.")
    level: float = param(0.5, ge=0, le=1, help="How loud the copy is, beside the sound itself.")
    formants: Formants = _formants()

    def open(self, spec: Spec) -> Processor:
        copy = _Transposing(spec, self.semitones, self.formants)
        return _Doubling(copy, round(self.delay_seconds * spec.sample_rate), np.float32(self.level))


class _Transposing(Processor):
    def __init__(self, spec: Spec, semitones: float, formants: str) -> None:
        super().__init__(spec)
        self._engine = Engine(spec, pitch=2 ** (semitones / 12), formants=formants)
        self.latency = self._engine.delay
        self._owed = 0

    def process(self, block: Block) -> Block:
        out = self._engine.push(block)
        self._owed += block.shape[-1] - out.shape[-1]
        return out

    def flush(self) -> Block:
        return self._engine.rest(self._owed)


class _Doubling(Processor):
    """Both voices wait in lines that begin with silence: as much as the other voice, or the delay, needs."""

    def __init__(self, copy: _Transposing, delay: int, level: np.float32) -> None:
        super().__init__(copy.spec)
        self.latency = copy.latency
        self.tail = delay
        self._copy = copy
        self._level = level
        self._line = self.spec.zeros(copy.latency)
        self._copy_line = self.spec.zeros(delay)
        self._owed = 0

    def process(self, block: Block) -> Block:
        self._owed += block.shape[-1]
        self._line = np.concatenate([self._line, block], axis=-1)
        return self._sum(self._copy.process(block))

    def flush(self) -> Block:
        return self._sum(self._copy.flush())

    def _sum(self, copied: Block) -> Block:
        self._copy_line = np.concatenate([self._copy_line, copied], axis=-1)
        # Never more than came in: with a long delay, the silence that the lines began with is ready before its time.
        ready = min(self._line.shape[-1], self._copy_line.shape[-1], self._owed)
        self._owed -= ready
        out = self._line[:, :ready] + self._level * self._copy_line[:, :ready]
        self._line, self._copy_line = self._line[:, ready:], self._copy_line[:, ready:]
        return out
