"""Gains that follow a level: the part that the expander and the de-esser share.

A level is read, and a gain decided, once a *hop*: a power of two of frames, 0.7 ms at 44.1 kHz. The level of a hop is
the highest sample of any channel in it, held for a while, so that a low tone does not flutter between its own peaks.
The gain follows in dB with one time constant up and another one down; within a hop it runs in a straight line. So the
recursion is 32 times shorter than the signal, and everything else is arithmetic on arrays.

Look-ahead is plain delay, declared as latency: the core takes it out again. Hops are counted from the start of the
stream, so the result does not depend on how it is cut.

Conventions: dB re full scale; gains of 0 dB or less; all channels share one gain, so that the stereo image stays.
Source: D. Giannoulis, M. Massberg, J. D. Reiss, Digital dynamic range compressor design, JAES 60, 2012: knees, and
smoothing of the gain in dB with branches.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from wavechain import Block, FixedBlocks, Spec
from wavechain.dsp.iir import QUANTUM
from wavechain.dsp.levels import db, from_db

Float64 = npt.NDArray[np.float64]

_SILENCE: Final = 1e-10


class HopDynamics(FixedBlocks):
    """Audio under a gain that follows a level. A subclass says what gain a level wants, and, in `step`, of what."""

    def __init__(self, spec: Spec, *, rise_ms: float, fall_ms: float, hold_ms: float, lookahead_ms: float) -> None:
        super().__init__(spec, QUANTUM)
        self.hop = 1 << max(0, math.floor(math.log2(spec.sample_rate / 1000.0)))
        hops_per_ms = spec.sample_rate / 1000.0 / self.hop
        self._rise, self._fall = (math.exp(-1.0 / (ms * hops_per_ms)) for ms in (rise_ms, fall_ms))
        self._ramp = np.arange(1, self.hop + 1) / self.hop
        # A level stays up until the delayed audio that it was read from has come by, and for the hold time after it.
        ahead = math.ceil(lookahead_ms * hops_per_ms)
        self._earlier_levels = np.zeros(ahead + math.ceil(hold_ms * hops_per_ms))
        self.latency = ahead * self.hop
        self.lowest_db = 0.0
        self._gain_db: float | None = None

    @abstractmethod
    def wanted_db(self, level_db: Float64) -> Float64:
        """The gain for each level, in dB, 0 or less. Shape (hops,) -> (hops,)."""

    def gain(self, heard: Block) -> npt.NDArray[np.float32]:
        """A factor for each frame, from the signal whose level counts. Shape (channels, size) -> (size,)."""
        levels = np.abs(heard).reshape(len(heard), -1, self.hop).max(axis=(0, 2)).astype(np.float64)
        history = np.concatenate([self._earlier_levels, levels])
        held = sliding_window_view(history, self._earlier_levels.size + 1).max(axis=1)
        self._earlier_levels = history[levels.size :]
        gains = from_db(self._smoothed_db(self.wanted_db(db(np.maximum(held, _SILENCE)))))
        steps = np.diff(gains)[:, np.newaxis]
        return (gains[:-1, np.newaxis] + steps * self._ramp).reshape(-1).astype(np.float32)

    def _smoothed_db(self, wanted_db: Float64) -> Float64:
        """The gain at the end of each hop, after the one at the end of the hop before them all."""
        wanted = wanted_db.tolist()
        now: float = wanted[0] if self._gain_db is None else self._gain_db
        smoothed = [now]
        for goal in wanted:
            now = goal + (now - goal) * (self._rise if goal > now else self._fall)
            smoothed.append(now)
        self._gain_db = now
        self.lowest_db = min(self.lowest_db, *smoothed)
        return np.array(smoothed)

    @property
    def report(self) -> dict[str, Any]:
        return {"most_reduction_db": round(-self.lowest_db, 2)}


class Delay:
    """The same signal, later. Shape (channels, any) -> (channels, any)."""

    def __init__(self, spec: Spec, steps: int) -> None:
        self._kept = spec.zeros(steps)

    def __call__(self, block: Block) -> Block:
        if not self._kept.shape[-1]:
            return block
        joined = np.concatenate([self._kept, block], axis=-1)
        self._kept = joined[..., block.shape[-1] :]
        return joined[..., : block.shape[-1]]


def knee(over_db: Float64, width_db: float) -> Float64:
    """How far a level lies above a threshold: 0 below, itself above, a parabola in between.

    Shape   (any) -> (any)

    >>> knee(np.array([-10.0, 0.0, 10.0]), 6.0).tolist()
    [0.0, 0.75, 10.0]
    """
    if not width_db:
        return np.maximum(over_db, 0.0)
    bent = np.clip(over_db + width_db / 2, 0.0, width_db) ** 2 / (2 * width_db)
    return np.where(over_db > width_db / 2, over_db, bent)
