"""Patch discriminator: one log spectrogram as a picture, a score for each patch of it.

Each convolution but the last halves both axes; a score sees a patch of some tenths of a second and some thousand hertz,
so texture is judged and the whole is not.

Source  P. Isola et al., Image-to-Image Translation with Conditional Adversarial Networks, CVPR 2017 (arXiv 1611.07004)
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from wavechain.params import param
from wavechain_trainer.discriminators.base import Discriminator, DiscriminatorSettings, Part, convolution, spectrogram
from wavechain_trainer.losses.spectra import power


class SpectrogramPatchSettings(DiscriminatorSettings):
    size: int = param(1024, unit="frames", ge=16, le=65_536, help="Window size.")
    hop: int = param(256, unit="frames", ge=1, le=65_536, help="From one window to the next.")
    widths: tuple[int, ...] = param((32, 64, 128, 128), help="Planes of each convolution.")
    floor_dbfs: float = param(-80.0, unit="dBFS", ge=-160, le=-20, help="What is quieter counts as silence.")


class SpectrogramPatch(Discriminator):
    Settings = SpectrogramPatchSettings
    settings: SpectrogramPatchSettings

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = s = SpectrogramPatchSettings(**settings)
        planes = (s.channels, *s.widths)
        last = len(s.widths) - 1
        self.parts = nn.ModuleList(
            [
                Part(
                    [
                        convolution(s.norm, pair, (5, 5), (2, 2) if place < last else (1, 1))
                        for place, pair in enumerate(zip(planes, s.widths, strict=False))
                    ],
                    convolution(s.norm, (s.widths[-1], 1), (3, 3)),
                )
            ]
        )

    def views(self, waveform: Tensor) -> list[Tensor]:
        s = self.settings
        floor = 10 ** (s.floor_dbfs / 10)
        bins = power(spectrogram(waveform, s.size, s.hop)) + floor
        return [1 - 2 * bins.log10() * 10 / s.floor_dbfs]  # -1 at the floor, 1 for noise at full scale
