"""Compressed complex STFT loss: magnitude and phase together, quiet bins lifted towards loud ones.

With X the spectrum and c the exponent, magnitudes become |X|^c and spectra X |X|^(c - 1), as loudness grows with a
power of intensity; then squared errors of both. A small constant is added to the power of each bin before roots are
taken, so that the slope at silence is finite: as if white noise of 80 dB below full scale RMS were under everything.

Source  S. Braun, I. Tashev, A consolidated view of loss functions for supervised deep learning-based speech
        enhancement (arXiv 2009.12286)
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from wavechain.params import param
from wavechain.stages import Stage
from wavechain_trainer.losses.spectra import autocast_off, check_pair, level_stft, power

SMALLEST_POWER = 1e-8


class ComplexSTFT(Stage):
    """Squared error of compressed magnitudes and of compressed complex spectra, the mean over bins."""

    size: int = param(2048, unit="frames", ge=16, le=65_536, help="Window size.")
    hop: int = param(512, unit="frames", ge=1, le=65_536, help="From one window to the next.")
    exponent: float = param(0.3, gt=0, le=1, help="Compression: 1 for none.")
    magnitude: float = param(0.6, ge=0, le=1000, help="Weight of the magnitudes.")
    complex: float = param(0.4, ge=0, le=1000, help="Weight of the complex spectra, that is of phase as well.")

    def __call__(self, estimate: Tensor, target: Tensor) -> Any:
        """Shape (batch, channels, frames) twice -> ()"""
        check_pair(self.stage_name(), estimate, target)
        with autocast_off(estimate):
            found, wanted = (level_stft(x, self.size, self.hop) for x in (estimate, target))
            found_power, wanted_power = (power(x) + SMALLEST_POWER for x in (found, wanted))
            c = self.exponent
            magnitude = (found_power ** (c / 2) - wanted_power ** (c / 2)).square().mean()
            turned = power(found * found_power ** ((c - 1) / 2) - wanted * wanted_power ** ((c - 1) / 2)).mean()
            return self.magnitude * magnitude + self.complex * turned
