"""Multi-resolution discriminator: magnitudes of spectra of several window sizes; phase is not looked at.

Source  W. Jang et al., UnivNet, Interspeech 2021 (arXiv 2106.07889)
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from wavechain.params import param
from wavechain_trainer.discriminators.base import (
    Discriminator,
    DiscriminatorSettings,
    Part,
    compressed_magnitude,
    convolution,
    spectrogram,
)


class MultiResolutionSettings(DiscriminatorSettings):
    sizes: tuple[int, ...] = param((512, 1024, 2048), unit="frames", help="Window sizes; each has its own part.")
    overlap: int = param(4, ge=1, le=16, help="Windows over each frame: the hop is the size divided by this.")
    widths: tuple[int, ...] = param(
        (16, 16, 16, 16), help="Planes of each convolution; all but the first halve the bins."
    )
    exponent: float = param(0.3, gt=0, le=1, help="Compression of magnitudes: 1 for none.")


class MultiResolution(Discriminator):
    Settings = MultiResolutionSettings
    settings: MultiResolutionSettings

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = s = MultiResolutionSettings(**settings)
        planes = (s.channels, *s.widths)
        self.parts = nn.ModuleList(
            Part(
                [
                    *(
                        convolution(s.norm, pair, (3, 9), (1, 2 if place else 1))
                        for place, pair in enumerate(zip(planes, s.widths, strict=False))
                    ),
                    convolution(s.norm, (s.widths[-1], s.widths[-1]), (3, 3)),
                ],
                convolution(s.norm, (s.widths[-1], 1), (3, 3)),
            )
            for _ in s.sizes
        )

    def views(self, waveform: Tensor) -> list[Tensor]:
        s = self.settings
        return [
            compressed_magnitude(spectrogram(waveform, size, max(1, size // s.overlap)), s.exponent) for size in s.sizes
        ]
