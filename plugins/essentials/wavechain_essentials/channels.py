"""Channels: down-mix, up-mix, pick, swap, or map by number.

Conventions: channels are counted from 0, in the order of WAV and FLAC files: 2 left, right; 3 with centre; 4 with two
surrounds; 5 L R C Ls Rs; 6 L R C LFE Ls Rs (5.1); 7 with a back centre before the sides; 8 with two backs before the
sides (7.1). Length unchanged. A surround down-mix may exceed [-1, 1].
Source: ITU-R BS.775-4, table 2: centre and surrounds at -3 dB, no LFE.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import model_validator

from wavechain import Block, Effect, Processor, Spec, param, pointwise
from wavechain.errors import ParameterError, SpecMismatchError

Layout = Literal["mono", "stereo", "left", "right", "mid", "side", "swap"]
Weights = tuple[float, ...]

_MINUS_3_DB: Final = 0.5**0.5
# What each channel gives to the left of a stereo down-mix; `_mirrored` gives the right.
_TO_LEFT: Final[dict[int, Weights]] = {
    3: (1.0, 0.0, _MINUS_3_DB),
    4: (1.0, 0.0, _MINUS_3_DB, 0.0),
    5: (1.0, 0.0, _MINUS_3_DB, _MINUS_3_DB, 0.0),
    6: (1.0, 0.0, _MINUS_3_DB, 0.0, _MINUS_3_DB, 0.0),
    7: (1.0, 0.0, _MINUS_3_DB, 0.0, 0.5, _MINUS_3_DB, 0.0),
    8: (1.0, 0.0, _MINUS_3_DB, 0.0, _MINUS_3_DB, 0.0, _MINUS_3_DB, 0.0),
}
# The pairs that swap sides.
_PAIRS: Final[dict[int, tuple[tuple[int, int], ...]]] = {
    3: ((0, 1),),
    4: ((0, 1), (2, 3)),
    5: ((0, 1), (3, 4)),
    6: ((0, 1), (4, 5)),
    7: ((0, 1), (5, 6)),
    8: ((0, 1), (4, 5), (6, 7)),
}


class Channels(Effect):
    """Down-mix, up-mix, pick, swap, or map channels by number."""

    cost: ClassVar[float] = 0.2

    layout: Layout | None = param(
        None,
        help="mono: the middle of the stereo (down-)mix; stereo: mono twice, or the BS.775 down-mix of surround; "
        "left, right: that channel; mid, side: half the sum or difference of left and right; swap: exchange them.",
    )
    map: tuple[int, ...] | None = param(
        None, help="For each output channel the input channel that it takes, counted from 0; -1 is silence."
    )

    @model_validator(mode="after")
    def _layout_or_map(self) -> Channels:
        if (self.layout is None) == (self.map is None):
            raise ParameterError("channels needs layout or map, one of them.", hint="channels:layout=mono.")
        if self.map is not None and (not self.map or min(self.map) < -1):
            raise ParameterError(
                f"channels: map = {list(self.map)} is not a list of channels counted from 0 (-1: silence).",
                hint="map=[0,1] for the first two.",
            )
        return self

    @property
    def keeps_samples(self) -> bool:  # type: ignore[override]  # here it depends on the parameters
        """Whether channels are only picked, never mixed (a mono file made stereo is not mixed either)."""
        return self.map is not None or self.layout in ("left", "right", "swap")

    def open(self, spec: Spec) -> Processor:
        picked = self._picked(spec.channels)
        if picked is not None:
            return pointwise(spec.with_channels(len(picked)), lambda block: _pick(block, picked))
        left, right = self._stereo_weights(spec.channels)
        if self.layout in ("mono", "mid"):
            rows = [tuple(0.5 * (a + b) for a, b in zip(left, right, strict=True))]
        elif self.layout == "side":
            rows = [tuple(0.5 * (a - b) for a, b in zip(left, right, strict=True))]
        else:
            rows = [left, right]
        return pointwise(spec.with_channels(len(rows)), lambda block: np.stack([_weighted(block, row) for row in rows]))

    def _picked(self, channels: int) -> tuple[int, ...] | None:
        """The input channel of each output channel, where nothing has to be mixed."""
        if self.map is not None:
            missing = [channel for channel in self.map if channel >= channels]
            if missing:
                raise SpecMismatchError(
                    f"channels: there is no channel {missing[0]}; the stream has {channels}, counted from 0.",
                    hint=f"numbers from 0 to {channels - 1}.",
                )
            return self.map
        if channels == 1 and self.layout in ("mono", "stereo"):
            return (0,) if self.layout == "mono" else (0, 0)
        if channels == 2 and self.layout == "stereo":
            return (0, 1)
        if self.layout in ("left", "right", "swap"):
            self._refuse_other_than_stereo(channels)
            return {"left": (0,), "right": (1,), "swap": (1, 0)}[self.layout]
        return None

    def _stereo_weights(self, channels: int) -> tuple[Weights, Weights]:
        if self.layout in ("mid", "side") or channels <= 2:
            self._refuse_other_than_stereo(channels)
            return (1.0, 0.0), (0.0, 1.0)
        if channels not in _TO_LEFT:
            raise SpecMismatchError(
                f"channels: there is no standard down-mix of {channels} channels.", hint="channels:map=[0,1]."
            )
        left = _TO_LEFT[channels]
        right = list(left)
        for one, other in _PAIRS[channels]:
            right[one], right[other] = left[other], left[one]
        return left, tuple(right)

    def _refuse_other_than_stereo(self, channels: int) -> None:
        if channels != 2:
            raise SpecMismatchError(
                f"channels: layout = {self.layout} takes stereo, the stream has {channels} "
                f"channel{'' if channels == 1 else 's'}.",
                hint="channels:layout=stereo before it, or channels:map=[0].",
            )


def _pick(block: Block, channels: tuple[int, ...]) -> Block:
    out = np.zeros((len(channels), block.shape[-1]), np.float32)
    for row, channel in enumerate(channels):
        if channel >= 0:
            out[row] = block[channel]
    return out


def _weighted(block: Block, weights: Weights) -> Block:
    """Channel by channel in a fixed order: a matrix product would round differently for other block sizes."""
    total = np.zeros(block.shape[-1], np.float32)
    for samples, weight in zip(block, weights, strict=True):
        if weight:
            total += samples * np.float32(weight)
    return total
