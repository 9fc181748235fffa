"""Gains that follow a level: the part that the expander and the de-esser share.

A level is read, and a gain decided, once a *hop*: a power of two of frames, 0.7 ms at 44.1 kHz. The level of a hop is
the highest sample of any channel in it, held for a while, so that a low tone does not flutter between its own peaks.
The gain follows in dB with one time constant up and another one down; within a hop it runs in a straight line. So the
recursion is 32 times shorter than the signal (0.5 s of CPU an hour), and everything else is arithmetic on arrays.

Look-ahead is plain delay, declared as latency: the core takes it out again. Hops are counted from the start of the
stream, so the result does not depend on how it is cut.

Conventions: dB re full scale; gains up to 0 dB; float32 audio, float64 gains.
Source: D. Giannoulis, M. Massberg, J. D. Reiss, Digital dynamic range compressor design, JAES 60, 2012 (smoothing
the gain in dB, with branches).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from wavechain import Block, FixedBlocks, Spec
from wavechain.dsp.iir import QUANTUM
from wavechain.dsp.levels import db, from_db

Float64 = npt.NDArray[np.float64]

_SILENCE = 1e-10


def hop_frames(sample_rate: int) -> int:
    """The power of two next below a millisecond."""
    return 1 << max(0, math.floor(math.log2(sample_rate / 1000.0)))


class HopDynamics(FixedBlocks):
    """Audio times a gain that follows a level; a subclass says which level (`listen`), which gain, and on what."""

    def __init__(
        self, spec: Spec, *, rise_ms: float, fall_ms: float, hold_ms: float, lookahead_ms: float
    ) -> None:
        super().__init__(spec, QUANTUM)
        self.hop = hop_frames(spec.sample_rate)
        hops_per_ms = spec.sample_rate / 1000.0 / self.hop
        self._rise, self._fall = (math.exp(-1.0 / (ms * hops_per_ms)) for ms in (rise_ms, fall_ms))
        self.latency = math.ceil(lookahead_ms * hops_per_ms) * self.hop
        self._ramp = np.arange(1, self.hop + 1) / self.hop
        # A level stays up while the delayed audio that it was read from comes by, and for the hold time after it.
        held = math.ceil((lookahead_ms + hold_ms) * hops_per_ms)
        self._levels = np.zeros(held)
        self._gain_db = self._factor = None
        self._late = spec.zeros(self.latency)
        self.lowest_db = 0.0

    @abstractmethod
    def listen(self, chunk: Block) -> Block:
        """The signal whose level counts. Shape (channels, size) -> (channels, size)."""

    @abstractmethod
    def wanted_db(self, level_db: Float64) -> Float64:
        """The gain for each level, in dB, 0 or less."""
