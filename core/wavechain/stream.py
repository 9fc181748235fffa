"""What flows between stages: blocks of samples, and the `Spec` that says what they are.

Conventions
    A block is a float32, C-contiguous NumPy array whose last axis is time: ``(channels, frames)`` for audio,
    ``(channels, bins, hops)`` for magnitudes, ``(channels, 2, bins, hops)`` for complex spectra (real, imaginary).
    A stage never edits a block in place: another branch of the chain may be reading the same memory.
    A *step* is one index of the last axis: a frame for audio, a hop for features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from wavechain.stages import FeatureTransform

Block: TypeAlias = NDArray[np.float32]

# Samples per block over all channels: 32 Ki frames of stereo, large enough that calls from Python cost little, small
# enough that what one stage made is still in the core's cache for the next (docs/decisions/0004-block-size.md).
BLOCK_SAMPLES = 65_536


@dataclass(frozen=True, slots=True)
class Spec:
    """What a stream is: its kind, its exact rate, its shape without time, and its length where that is known.

    kind    ``"audio"``, ``"stft"``, ``"log_mel"``, ``"latent"`` …
    rate    steps per second, exact: the sample rate for audio, sample rate / hop length for features
    shape   every axis but time; the first is the channel count
    length  steps, or None when it is known only at the end
    recipe  for features, the transform that made them, so that its inverse can be found and a mismatch refused
    source  for features, the audio they were made from
    """

    kind: str
    rate: Fraction
    shape: tuple[int, ...]
    length: int | None = None
    recipe: FeatureTransform | None = None
    source: Spec | None = None

    @classmethod
    def audio(cls, sample_rate: int, channels: int, length: int | None = None) -> Spec:
        """The spec of a waveform ``(channels, frames)``."""
        return cls("audio", Fraction(sample_rate), (channels,), length)

    @property
    def channels(self) -> int:
        return self.shape[0]

    @property
    def sample_rate(self) -> int:
        """Frames per second of an audio stream. Features have a `rate`, which need not be whole."""
        if self.rate.denominator != 1:
            raise ValueError(f"a {self.kind} stream of {self.rate} steps per second has no whole sample rate")
        return self.rate.numerator

    @property
    def seconds(self) -> float | None:
        return None if self.length is None else float(self.length / self.rate)

    def with_length(self, length: int | None) -> Spec:
        return replace(self, length=length)

    def with_channels(self, channels: int) -> Spec:
        return replace(self, shape=(channels, *self.shape[1:]))

    def zeros(self, steps: int) -> Block:
        return np.zeros((*self.shape, steps), np.float32)

    def block_steps(self) -> int:
        """How many steps the runner puts into one block of such a stream (a power of two)."""
        samples_per_step = int(np.prod(self.shape)) or 1
        return 1 << max(4, (BLOCK_SAMPLES // samples_per_step).bit_length() - 1)

    def __str__(self) -> str:
        unit = "frames" if self.kind == "audio" else "steps"
        length = "unknown length" if self.length is None else f"{self.length} {unit}"
        if self.kind == "audio":
            plural = "channel" if self.channels == 1 else "channels"
            return f"audio {self.rate} Hz, {self.channels} {plural}, {length}"
        return f"{self.kind} {float(self.rate):g} steps/s, shape {self.shape}, {length}"
