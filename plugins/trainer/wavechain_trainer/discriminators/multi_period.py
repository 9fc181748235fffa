"""Multi-period discriminator: the waveform folded into rows of some prime number of samples, columns looked down.

Whatever repeats every p samples stands in a column of the picture with p columns. No convolution crosses columns.

Source  J. Kong, J. Kim, J. Bae, HiFi-GAN, NeurIPS 2020 (arXiv 2010.05646), whose widths are 32, 128, 512, 1024, 1024;
        the slim ones here cost a twentieth
"""

from __future__ import annotations

from typing import Any

from pydantic import field_validator
from torch import Tensor, nn
from torch.nn.functional import pad

from wavechain.params import param
from wavechain_trainer.discriminators.base import Discriminator, DiscriminatorSettings, Part, convolution
from wavechain_trainer.losses.spectra import check_numbers


class MultiPeriodSettings(DiscriminatorSettings):
    periods: tuple[int, ...] = param((2, 3, 5, 7, 11), unit="frames", help="Row lengths; each has its own part.")
    widths: tuple[int, ...] = param((24, 48, 96, 192, 192), help="Planes of each convolution.")
    kernel: int = param(5, ge=1, le=63, help="Rows under a convolution, an odd number.")
    stride: int = param(3, ge=1, le=16, help="Rows from one place to the next, in all convolutions but the last.")

    @field_validator("periods")
    @classmethod
    def _periods(cls, periods: tuple[int, ...]) -> tuple[int, ...]:
        check_numbers(cls.stage_name(), "periods", periods, 1, 4096)
        return periods

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError("an even kernel has no middle")
        return kernel


class MultiPeriod(Discriminator):
    Settings = MultiPeriodSettings
    settings: MultiPeriodSettings

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = s = MultiPeriodSettings(**settings)
        planes = (s.channels, *s.widths)
        last = len(s.widths) - 1
        self.parts = nn.ModuleList(
            Part(
                [
                    convolution(s.norm, pair, (s.kernel, 1), (s.stride if place < last else 1, 1))
                    for place, pair in enumerate(zip(planes, s.widths, strict=False))
                ],
                convolution(s.norm, (s.widths[-1], 1), (3, 1)),
            )
            for _ in s.periods
        )

    def views(self, waveform: Tensor) -> list[Tensor]:
        clips, channels, frames = waveform.shape
        return [
            pad(waveform, (0, -frames % period)).reshape(clips, channels, -1, period)
            for period in self.settings.periods
        ]
