"""Fade: in from silence, out into silence.

Conventions: any channel count; length unchanged; the first frame of a fade-in and the last of a fade-out are
silent. Where both fades meet in a short file, their gains multiply.
Memory: the fade-out is held back until the end is known, 21 MB for a minute of 44.1 kHz stereo.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from wavechain import Block, Effect, Processor, Spec, param
from wavechain.processors import Pending
from wavechain_essentials.timing import frames_of

Curve: TypeAlias = Literal["linear", "equal-power", "exponential", "s-curve"]

# The exponential curve climbs evenly in dB from here, and is shifted so that it still begins at silence.
_EXPONENTIAL_DB = 60.0


def rise(frames: int, curve: Curve) -> npt.NDArray[np.float32]:
    """Gain of a fade-in, from 0 at its first frame to just below 1 at its last.

    Shape   -> (frames,)

    >>> rise(4, "linear").tolist()
    [0.0, 0.25, 0.5, 0.75]
    """
    t = np.arange(frames) / max(frames, 1)
    if curve == "equal-power":
        t = np.sin(np.pi / 2 * t)
    elif curve == "exponential":
        floor = 10.0 ** (-_EXPONENTIAL_DB / 20.0)
        t = (floor ** (1.0 - t) - floor) / (1.0 - floor)
    elif curve == "s-curve":
        t = np.sin(np.pi / 2 * t) ** 2
    return t.astype(np.float32)


class Fade(Effect):
    """Fade in from silence, out into silence."""

    cost: ClassVar[float] = 0.2

    fade_in_seconds: float = param(0.0, unit="s", ge=0, le=600, help="Length of the fade at the start.")
    fade_out_seconds: float = param(0.0, unit="s", ge=0, le=600, help="Length of the fade at the end.")
    curve: Curve = param(
        "s-curve",
        help="linear; equal-power (keeps the power of a cross-fade); exponential (even in dB); s-curve (no corners).",
    )

    def open(self, spec: Spec) -> Processor:
        rate = spec.sample_rate
        fall = np.ascontiguousarray(rise(frames_of(self.fade_out_seconds, rate), self.curve)[::-1])
        return _Fade(spec, rise(frames_of(self.fade_in_seconds, rate), self.curve), fall)


class _Fade(Processor):
    def __init__(self, spec: Spec, rising: npt.NDArray[np.float32], falling: npt.NDArray[np.float32]) -> None:
        super().__init__(spec)
        self._rising = rising
        self._falling = falling
        self._held = Pending(spec)

    def process(self, block: Block) -> Block:
        count = min(len(self._rising), block.shape[-1])
        if count:
            faded = block.copy()
            faded[..., :count] *= self._rising[:count]
            block, self._rising = faded, self._rising[count:]
        self._held.push(block)
        return np.ascontiguousarray(self._held.take(max(0, self._held.steps - len(self._falling))))

    def flush(self) -> Block:
        rest = self._held.take()
        return rest * self._falling[len(self._falling) - rest.shape[-1] :]
