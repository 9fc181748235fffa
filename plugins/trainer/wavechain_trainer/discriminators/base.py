"""What all discriminators share.

Conventions
    ``scores, features = d(waveform)``: (batch, channels, frames) in; out, for each part (period, window size …), one
    tensor of scores and one list of feature maps. A score is per place, not per clip, and has no sigmoid on it.
    With ``channels = 1`` each channel is judged on its own, whatever their number, and counts as a clip; with more,
    that many are judged together, so that the stereo image is judged too.
    Randomness: initial weights are drawn from torch's generator. Nothing else is random.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.nn.utils import parametrizations

from wavechain.errors import SpecMismatchError
from wavechain.params import param
from wavechain.stages import Stage
from wavechain_trainer.losses.spectra import check_numbers, level_stft, power

SLOPE = 0.1  # of the leaky rectifiers
SMALLEST_POWER = 1e-6  # under each bin, as of noise of 60 dB below full scale RMS: bounds the slope at silence

Verdict = tuple[list[Tensor], list[list[Tensor]]]


class DiscriminatorSettings(Stage):
    """Settings of every discriminator."""

    channels: int = param(1, ge=1, le=64, help="Judged together; 1 judges each channel on its own.")
    norm: Literal["weight", "spectral", "none"] = param(
        "weight", help="How the weights of convolutions are normalised."
    )

    @classmethod
    def stage_name(cls) -> str:
        return super().stage_name().removesuffix("-settings")

    @field_validator("widths", check_fields=False)
    @classmethod
    def _widths(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        check_numbers(cls.stage_name(), "widths", widths, 1, 4096)
        return widths

    @field_validator("sizes", check_fields=False)
    @classmethod
    def _windows(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        check_numbers(cls.stage_name(), "sizes", sizes, 16, 65_536)
        return sizes


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network costs: its numbers, and the multiplications of its convolutions for a second of sound."""

    name: str
    parameters: int
    macs_per_second: float

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.parameters / 1e6:.3g} M parameters, "
            f"{self.macs_per_second / 1e9:.3g} GMAC per second of audio"
        )


class Discriminator(nn.Module, ABC):
    """One or several parts. Subclasses set `Settings`, make `parts` and say what each part is shown."""

    Settings: ClassVar[type[DiscriminatorSettings]]
    settings: DiscriminatorSettings
    parts: nn.ModuleList

    @abstractmethod
    def views(self, waveform: Tensor) -> list[Tensor]:
        """What each part is shown. Shape (clips, channels, frames) -> a list of (clips, planes, rows, columns)"""

    def forward(self, waveform: Tensor) -> Verdict:
        """Shape (batch, channels, frames) -> scores and feature maps of each part"""
        views = self.views(self._clips(waveform))
        judged = [part(view) for part, view in zip(self.parts, views, strict=True)]
        return [scores for scores, _ in judged], [features for _, features in judged]

    def describe(self, sample_rate: int) -> Cost:
        """Parameters, and the multiply-adds of convolutions for one second of one clip, counted on shapes alone."""
        counted: list[int] = []

        def count(layer: nn.Module, _: Any, output: Tensor) -> None:
            assert isinstance(layer, nn.Conv2d)
            counted.append(output.numel() * layer.weight[0].numel())

        ghost = copy.deepcopy(self).to("meta")  # a device that holds shapes and no numbers
        for module in ghost.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(count)
        with torch.no_grad():
            ghost(torch.zeros(1, self.settings.channels, sample_rate, device="meta"))
        name = self.settings.stage_name()
        return Cost(name, sum(weights.numel() for weights in self.parameters()), float(sum(counted)))

    def _clips(self, waveform: Tensor) -> Tensor:
        if waveform.ndim != 3 or self.settings.channels not in (1, waveform.shape[1]):
            wanted = "any number of" if self.settings.channels == 1 else self.settings.channels
            raise SpecMismatchError(
                f"{self.settings.stage_name()} judges waveforms (batch, channels, frames) of {wanted} channels; "
                f"this one is {tuple(waveform.shape)}.",
                hint=f"{self.settings.stage_name()}:channels=1, which judges each channel on its own.",
            )
        return waveform.reshape(-1, self.settings.channels, waveform.shape[-1])


class ConvolutionStack(nn.Module):
    """Convolutions with leaky rectifiers after each; every output is a feature map."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        for layer in self.layers:
            x = leaky_relu(layer(x), SLOPE)
            features.append(x)
        return features


class Part(nn.Module):
    """A stack of convolutions, and one more that gives a score for each place of the last feature map."""

    def __init__(self, layers: list[nn.Module], score: nn.Module) -> None:
        super().__init__()
        self.stack = ConvolutionStack(layers)
        self.score = score

    def forward(self, view: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = self.stack(view)
        return self.score(features[-1]), features


def convolution(
    norm: str, planes: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)
) -> nn.Module:
    """A two-dimensional convolution that keeps places in place: padded by half a kernel."""
    layer = nn.Conv2d(*planes, kernel, stride, padding=(kernel[0] // 2, kernel[1] // 2))
    if norm == "weight":
        parametrizations.weight_norm(layer)
    elif norm == "spectral":
        parametrizations.spectral_norm(layer)
    return layer


def spectrogram(clips: Tensor, size: int, hop: int) -> Tensor:
    """Shape (clips, channels, frames) -> complex (clips, channels, hops, bins), scaled as `level_stft`"""
    spectra = level_stft(clips, size, hop).transpose(1, 2)
    return spectra.reshape(*clips.shape[:2], *spectra.shape[1:])


def compressed_magnitude(spectra: Tensor, exponent: float) -> Tensor:
    return (power(spectra) + SMALLEST_POWER) ** (exponent / 2)


def compressed_planes(spectra: Tensor, exponent: float) -> Tensor:
    """Real and imaginary parts as planes, magnitudes raised to *exponent* with the phase kept.

    Shape (clips, channels, hops, bins) -> (clips, 2 x channels, hops, bins)
    """
    lifted = spectra if exponent == 1 else spectra * (power(spectra) + SMALLEST_POWER) ** ((exponent - 1) / 2)
    return torch.cat([lifted.real, lifted.imag], dim=1)
