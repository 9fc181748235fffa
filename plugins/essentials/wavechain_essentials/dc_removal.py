"""DC removal: put a waveform that hangs above or below the middle back onto it.

A constant offset cannot be heard, but it wastes headroom and makes every cut and fade click.

Conventions: each channel by itself; length unchanged; ``mean`` leaves the spectrum above 0 Hz exactly as it was,
``highpass`` also follows an offset that drifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from wavechain import Analysis, Block, MeasuredEffect, Processor, Spec, param
from wavechain.dsp.blocks import Rechunk
from wavechain.dsp.rbj import highpass
from wavechain_essentials.filters import SosProcessor

_CHUNK = 65_536


class DcRemoval(MeasuredEffect):
    """Remove a constant offset (or, as a highpass, a drifting one)."""

    cost: ClassVar[float] = 0.5

    mode: Literal["mean", "highpass"] = param(
        "mean", help="mean: subtract each channel's measured mean; highpass: filter, for an offset that drifts."
    )
    cutoff_hz: float = param(5.0, unit="Hz", ge=0.5, le=40, help="Corner of the highpass, -3 dB; mode highpass only.")

    def analyse(self, spec: Spec, results: Sequence[Any]) -> Analysis | None:
        return None if results or self.mode == "highpass" else _Mean(spec)

    def open_measured(self, spec: Spec, results: Sequence[Any]) -> Processor:
        if self.mode == "highpass":
            return SosProcessor(spec, highpass(self.cutoff_hz, spec.sample_rate, order=2))
        return _Shift(spec, results[0])


class _Mean(Analysis):
    """Mean of each channel in float64; sums run over chunks of one size, so that they round in one way."""

    def __init__(self, spec: Spec) -> None:
        self._rechunk = Rechunk(_CHUNK, spec.shape)
        self._sum = np.zeros(spec.channels)
        self._frames = 0

    def feed(self, block: Block) -> None:
        self._frames += block.shape[-1]
        for chunk in self._rechunk.push(block):
            self._sum += chunk.astype(np.float64).sum(axis=-1)

    def result(self) -> npt.NDArray[np.float64]:
        self._sum += self._rechunk.rest().astype(np.float64).sum(axis=-1)
        mean: npt.NDArray[np.float64] = self._sum / max(self._frames, 1)
        return mean


class _Shift(Processor):
    def __init__(self, spec: Spec, mean: npt.NDArray[np.float64]) -> None:
        super().__init__(spec)
        self._mean = mean
        self._offset = mean.astype(np.float32)[:, np.newaxis]

    def process(self, block: Block) -> Block:
        return block - self._offset

    @property
    def report(self) -> dict[str, Any]:
        return {"removed_offset": [round(float(value), 9) for value in self._mean]}
