"""Multi-scale mel loss: the distance of log-mel spectra, as an ear of several patiences would see it.

Magnitudes are scaled so that a sine at full scale reads 1, averaged into mel bands, floored and taken as log10: a loss
of 0.05 is one decibel of magnitude, on average over bands and scales.

Source  the idea of several scales, and the default windows: R. Kumar et al., High-Fidelity Audio Compression with
        Improved RVQGAN, NeurIPS 2023 (arXiv 2306.06546)
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import field_validator, model_validator
from torch import Tensor

from wavechain.errors import ParameterError
from wavechain.params import param
from wavechain.stages import Stage
from wavechain_trainer.losses.spectra import autocast_off, check_numbers, check_pair, mel_filters, power, stft


class Mel(Stage):
    """L1 between log10 mel magnitudes, the mean over all sizes."""

    sample_rate: int = param(unit="Hz", ge=1000, le=768_000, help="Rate of the waveforms: where the bands lie.")
    sizes: tuple[int, ...] = param((32, 64, 128, 256, 512, 1024, 2048), unit="frames", help="Window sizes.")
    mels: tuple[int, ...] = param((5, 10, 20, 40, 80, 160, 320), help="Number of bands for each window size.")
    overlap: int = param(4, ge=1, le=16, help="Windows over each frame: the hop is the size divided by this.")
    floor_dbfs: float = param(-100.0, unit="dBFS", ge=-160, le=-20, help="What is quieter counts as silence.")

    @field_validator("sizes")
    @classmethod
    def _windows(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        check_numbers(cls.stage_name(), "sizes", sizes, 16, 65_536)
        return sizes

    @field_validator("mels")
    @classmethod
    def _bands(cls, mels: tuple[int, ...]) -> tuple[int, ...]:
        check_numbers(cls.stage_name(), "mels", mels, 1, 1024)
        return mels

    @model_validator(mode="after")
    def _one_for_each(self) -> Mel:
        if len(self.sizes) != len(self.mels):
            raise ParameterError(
                f"mel: {len(self.sizes)} sizes and {len(self.mels)} numbers of mels.", hint="one number for each size."
            )
        return self

    def __call__(self, estimate: Tensor, target: Tensor) -> Any:
        """Shape (batch, channels, frames) twice -> ()"""
        check_pair(self.stage_name(), estimate, target)
        with autocast_off(estimate):
            distances = [
                (self.log_mel(estimate, size, mels) - self.log_mel(target, size, mels)).abs().mean()
                for size, mels in zip(self.sizes, self.mels, strict=True)
            ]
            return torch.stack(distances).mean()

    def log_mel(self, waveform: Tensor, size: int, mels: int) -> Tensor:
        """Shape (batch, channels, frames) -> (batch x channels, mels, hops)"""
        floor = 10 ** (self.floor_dbfs / 20)
        # A sine at full scale has a peak of size / 4 under a Hann window. Half the floor keeps the root's slope finite
        # and lies below what counts.
        bins = power(stft(waveform, size, max(1, size // self.overlap)) * (4 / size))
        magnitude = bins.clamp_min((floor / 2) ** 2).sqrt()
        filters = mel_filters(self.sample_rate, size, mels, magnitude.device, magnitude.dtype)
        return (filters @ magnitude).clamp_min(floor).log10()
