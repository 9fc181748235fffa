"""Complex multi-band discriminator: real and imaginary parts of spectra, each frequency band with its own eyes.

Spectra of several window sizes; each is cut into bands, which go through convolutions of their own and are put together
again for the score: what is right for the bass need not be right for the treble.

Source  the idea: R. Kumar et al., High-Fidelity Audio Compression with Improved RVQGAN, NeurIPS 2023 (arXiv 2306.06546)
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from pydantic import field_validator
from torch import Tensor, nn

from wavechain.errors import ParameterError
from wavechain.params import param
from wavechain_trainer.discriminators.base import (
    ConvolutionStack,
    Discriminator,
    DiscriminatorSettings,
    compressed_planes,
    convolution,
    spectrogram,
)


class ComplexMultiBandSettings(DiscriminatorSettings):
    sizes: tuple[int, ...] = param((2048, 1024, 512), unit="frames", help="Window sizes; each has its own part.")
    overlap: int = param(4, ge=1, le=16, help="Windows over each frame: the hop is the size divided by this.")
    edges: tuple[float, ...] = param(
        (0.1, 0.25, 0.5, 0.75), help="Where bands meet, re half the sample rate; none makes one band."
    )
    width: int = param(16, ge=1, le=4096, help="Planes of each convolution.")
    depth: int = param(3, ge=0, le=8, help="Convolutions that halve the number of bins.")
    exponent: float = param(0.3, gt=0, le=1, help="Compression of magnitudes: 1 for none.")

    @field_validator("edges")
    @classmethod
    def _rising(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if not all(low < high for low, high in itertools.pairwise((0.0, *edges, 1.0))):
            raise ParameterError(
                f"{cls.stage_name()}: edges = {list(edges)} do not rise from above 0 to below 1.",
                hint="edges = [0.1, 0.25, 0.5, 0.75].",
            )
        return edges


class ComplexMultiBand(Discriminator):
    Settings = ComplexMultiBandSettings
    settings: ComplexMultiBandSettings

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = s = ComplexMultiBandSettings(**settings)
        self.parts = nn.ModuleList(BandedPart(s, size // 2 + 1) for size in s.sizes)

    def views(self, waveform: Tensor) -> list[Tensor]:
        s = self.settings
        return [
            compressed_planes(spectrogram(waveform, size, max(1, size // s.overlap)), s.exponent) for size in s.sizes
        ]


class BandedPart(nn.Module):
    """Bands side by side, put together along frequency for the score; feature maps are those of the bands."""

    def __init__(self, settings: ComplexMultiBandSettings, bins: int) -> None:
        super().__init__()
        cuts = [0, *(round(edge * bins) for edge in settings.edges), bins]
        self.bands = list(itertools.pairwise(cuts))
        if any(high <= low for low, high in self.bands):
            raise ParameterError(
                f"{settings.stage_name()}: a window of {2 * (bins - 1)} frames has too few bins for "
                f"edges = {list(settings.edges)}.",
                hint="larger sizes or fewer edges.",
            )
        width, norm = settings.width, settings.norm
        self.stacks = nn.ModuleList(
            ConvolutionStack(
                [
                    convolution(norm, (2 * settings.channels, width), (3, 9)),
                    *(convolution(norm, (width, width), (3, 9), (1, 2)) for _ in range(settings.depth)),
                    convolution(norm, (width, width), (3, 3)),
                ]
            )
            for _ in self.bands
        )
        self.score = convolution(norm, (width, 1), (3, 3))

    def forward(self, view: Tensor) -> tuple[Tensor, list[Tensor]]:
        seen = [stack(view[..., low:high]) for stack, (low, high) in zip(self.stacks, self.bands, strict=True)]
        together = torch.cat([features[-1] for features in seen], dim=-1)
        return self.score(together), [layer for features in seen for layer in features]
