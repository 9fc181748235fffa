"""Multi-resolution STFT loss: how far magnitudes are apart, seen through several windows; phase is not looked at.

Per window size: spectral convergence, the norm of the difference over the norm of the target, which loud bins decide,
and the mean distance of log magnitudes, in which quiet bins count as much as loud ones. The mean over all sizes.

Source  R. Yamamoto, E. Song, J.-M. Kim, Parallel WaveGAN, ICASSP 2020 (arXiv 1910.11480)
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import field_validator
from torch import Tensor

from wavechain.params import param
from wavechain.stages import Stage
from wavechain_trainer.losses.spectra import autocast_off, check_numbers, check_pair, power, stft

SMALLEST_POWER = 1e-7  # of a bin: what lies below counts as silence, and gets no gradient


class MultiResolutionSTFT(Stage):
    """Norms are taken over the whole batch, so that a silent clip in it does not divide by nothing."""

    sizes: tuple[int, ...] = param((512, 1024, 2048), unit="frames", help="Window sizes.")
    overlap: int = param(4, ge=1, le=16, help="Windows over each frame: the hop is the size divided by this.")
    convergence: float = param(1.0, ge=0, le=1000, help="Weight of the spectral convergence.")
    log_magnitude: float = param(1.0, ge=0, le=1000, help="Weight of the distance of natural-log magnitudes.")

    @field_validator("sizes")
    @classmethod
    def _windows(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        check_numbers(cls.stage_name(), "sizes", sizes, 16, 65_536)
        return sizes

    def __call__(self, estimate: Tensor, target: Tensor) -> Any:
        """Shape (batch, channels, frames) twice -> ()"""
        check_pair(self.stage_name(), estimate, target)
        with autocast_off(estimate):
            return torch.stack([self._distance(estimate, target, size) for size in self.sizes]).mean()

    def _distance(self, estimate: Tensor, target: Tensor, size: int) -> Tensor:
        hop = max(1, size // self.overlap)
        found, wanted = (power(stft(x, size, hop)).clamp_min(SMALLEST_POWER).sqrt() for x in (estimate, target))
        convergence: Tensor = torch.linalg.vector_norm(wanted - found) / torch.linalg.vector_norm(wanted)
        log_magnitude = (wanted.log() - found.log()).abs().mean()
        return self.convergence * convergence + self.log_magnitude * log_magnitude
