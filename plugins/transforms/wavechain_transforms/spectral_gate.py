"""Spectral gate: lowers steady noise (hiss, hum of fans, tape and preamp noise) wherever nothing rises above it.

Conventions: works between `stft` and `inverse`; phases, bins and hops stay; no column depends on others farther away
than twice `smooth_seconds`.

Two steps, each a Wiener gain S / (S + N), with N the noise power of the bin (`wavechain_transforms.noise_profile`):
the first from the power around each point, less the noise there; the second from what the first let through. A second
look is what P. Scalart and J. V. Filho ("Speech enhancement based on a priori signal to noise estimation", ICASSP 1996)
gain from their estimate of the signal-to-noise ratio before the noise was added; taken from neighbours on both sides
instead of from the past, it needs a finite context, and every column can be computed alone. Single bins where noise
peaks by chance ("musical noise") do not survive both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.params import param
from wavechain.processors import Processor, Window
from wavechain.stages import Analysis, MeasuredEffect
from wavechain.stream import Block, Spec
from wavechain_transforms.noise_profile import NoiseProfile

_TINY = np.float32(1e-30)


class SpectralGate(MeasuredEffect):
    reduction_db: float = param(
        15.0, unit="dB", ge=0, le=80, help="How far noise is lowered where nothing else sounds."
    )
    threshold_db: float = param(
        2.5,
        unit="dB",
        ge=-10,
        le=30,
        help="How far above the noise a sound must rise to pass; more removes more of both.",
    )
    smooth_hz: float = param(
        25.0,
        unit="Hz",
        ge=0,
        le=2000,
        help="How far to each side in frequency a point is judged together with its neighbours.",
    )
    smooth_seconds: float = param(
        0.025, unit="s", ge=0, le=1, help="How far to each side in time: more is steadier, less keeps attacks sharper."
    )
    noise_percentile: float = param(
        20.0,
        unit="%",
        ge=1,
        le=90,
        help="Share of the file, in each bin, that is taken for noise alone: its quietest moments.",
    )
    noise_from_seconds: float | None = param(
        None, unit="s", ge=0, help="Start of a passage that is nothing but noise, to learn it from instead."
    )
    noise_to_seconds: float | None = param(None, unit="s", gt=0, help="End of that passage.")

    accepts: ClassVar[tuple[str, ...]] = ("stft",)
    cost: ClassVar[float] = 11.0

    @model_validator(mode="after")
    def _passage_has_length(self) -> SpectralGate:
        passage = self._passage
        if passage is not None and passage[0] >= passage[1]:
            raise ParameterError(
                f"spectral-gate: the noise passage from {passage[0]:g} s to {passage[1]:g} s has no length.",
                hint="noise_to_seconds after noise_from_seconds.",
            )
        return self

    @property
    def _passage(self) -> tuple[float, float] | None:
        if self.noise_from_seconds is None and self.noise_to_seconds is None:
            return None
        return (self.noise_from_seconds or 0.0, math.inf if self.noise_to_seconds is None else self.noise_to_seconds)

    def out_spec(self, spec: Spec) -> Spec:
        if len(spec.shape) != 3 or spec.shape[1] != 2 or spec.source is None:
            raise SpecMismatchError(
                f"spectral-gate takes complex spectra of known origin; it is given {spec}.", hint="stft."
            )
        return spec

    def analyse(self, spec: Spec, results: Sequence[Any]) -> Analysis | None:
        return None if results else NoiseProfile(self.out_spec(spec), self.noise_percentile, self._passage)

    def open_measured(self, spec: Spec, results: Sequence[Any]) -> Processor:
        assert spec.source is not None
        bin_hz = float(spec.source.rate) / 2 / (spec.shape[-1] - 1)
        across = round(self.smooth_hz / bin_hz)
        along = round(self.smooth_seconds * spec.rate)
        return _Gate(self, spec, results[0], across, along)


class _Gate(Window):
    """*across* bins and *along* hops to each side are judged together."""

    def __init__(self, stage: SpectralGate, spec: Spec, noise: NDArray[np.float32], across: int, along: int) -> None:
        self._along, self._again = along, (along + 1) // 2
        context = self._along + self._again
        super().__init__(spec, context, context, core=max(64, 4 * context))
        self._floor = np.float32(10 ** (-stage.reduction_db / 20))
        self._noise = np.maximum(noise, _TINY)[..., np.newaxis]
        self._level = self._noise * np.float32(10 ** (stage.threshold_db / 10))
        self._across = min(across, spec.shape[-1] - 1)
        self._bins = _neighbours(np.ones((1, spec.shape[-1], 1), np.float32), self._across)

    def compute(self, window: Block) -> Block:
        power: Block = window[:, 0] ** 2 + window[:, 1] ** 2
        # Columns of digital silence, also those outside the stream, are not counted: sound beside them keeps its level.
        sounding: Block = np.sign(power.max(axis=1, keepdims=True))
        near = _mean(_neighbours(power, self._across) / self._bins, sounding, self._along)
        gain: Block = np.maximum(0, 1 - self._level / np.maximum(near, _TINY))
        inside = slice(self._along, power.shape[-1] - self._along)
        sound = _mean(gain * gain * power[..., inside], sounding[..., inside], self._again)
        gain = self._floor + (1 - self._floor) * (sound / (sound + self._noise))
        return window[..., self.left : self.left + self.core] * gain[:, np.newaxis]


def _mean(power: Block, sounding: Block, reach: int) -> Block:
    """Mean over *reach* hops to each side, of those that sound. Shape (…, hops) -> (…, hops - 2 reach)"""
    mean: Block = np.divide(_within(power, reach), np.maximum(_within(sounding, reach), 1))
    return mean


def _within(values: Block, reach: int) -> Block:
    """Sum over *reach* steps to each side, where there are as many. Shape (…, steps) -> (…, steps - 2 reach)"""
    steps = values.shape[-1] - 2 * reach
    total = values[..., :steps].copy()
    for shift in range(1, 2 * reach + 1):
        total += values[..., shift : shift + steps]
    return total


def _neighbours(values: Block, reach: int) -> Block:
    """Sum over *reach* bins to each side, fewer at the ends. Shape (channels, bins, hops), unchanged"""
    total = values.copy()
    for shift in range(1, reach + 1):
        total[:, shift:] += values[:, :-shift]
        total[:, :-shift] += values[:, shift:]
    return total
