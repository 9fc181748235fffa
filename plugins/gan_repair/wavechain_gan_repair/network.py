"""repairnet: a small recurrent network that gives back what a recording was before it was damaged.

The shape is that of FastEnhancer (S. Ahn et al., "FastEnhancer: Speed-optimized streaming neural speech enhancement",
2025; built here from the description): convolutions along frequency within one column of the spectrum, a recurrent
layer along time for each band, attention across bands. Nothing but the recurrent layers looks back, so their state is
all that passes from one stretch of sound to the next. Four things are ours:

    what comes out    a complex mask *and* an additive complex residual *and* gains for copies of the spectrum shifted
                      upwards: a mask alone cannot fill an empty band or a gap. The mask works on the spectrum as it
                      is, the rest on the compressed one, where what is small is next to nothing: clean stays clean
    a look ahead      each column sees the next `lookahead` ones, in one small layer at the narrowest place
    a detector        eight probabilities a column, one for each fault: the stage leaves alone what is not damaged
    a hint            the faults may be told (`hint`, zeros when they are not): one set of weights serves `repair`,
                      which knows nothing, and `denoise`, `declip` …, which do

Conventions
    Spectra are (batch, 2, hops, bins) float32, real and imaginary part, of `n_fft / 2 + 1` bins without the last
    (Nyquist, which passes as it is), of a Hann window. One batch item is one channel. "Compressed" is |X|^0.3, phases
    kept.
    hops in = hops out + lookahead: the caller gives the columns to come.
    States are (layers, batch * bands, width), zeros at the start.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional

from wavechain_gan_repair.faults import FAULTS
from wavechain_gan_repair.sizes import SIZES

COMPRESSION = 0.3
QUIETEST = 1e-9  # power of a bin: about -145 dB below a sine of full scale


class RepairNetSettings(BaseModel):
    """What rebuilds a network of this family; stored beside its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Literal["xs", "s", "m"] = "s"
    n_fft: int = 2048
    hop_length: int = 512
    lookahead: int = 3
    copies: tuple[int, ...] = (128, 256, 512)  # bins by which the spectrum is shifted up


class RepairNet(nn.Module):
    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.settings = RepairNetSettings.model_validate(settings)
        shape = SIZES[self.settings.size]
        channels, width, bands = shape["channels"], shape["width"], shape["bands"]
        self.bins = self.settings.n_fft // 2
        self.bands, self.width, self.layers = bands, width, shape["layers"]
        self.lookahead, self.copies = self.settings.lookahead, self.settings.copies

        self.enter = nn.Conv1d(3, channels, 8, stride=4, padding=2)
        self.encoder = nn.ModuleList(Residual(channels) for _ in range(shape["convolutions"]))
        self.narrow = nn.Linear(self.bins // 4, bands, bias=False)
        self.widen = nn.Linear(channels, width)
        self.ahead = nn.Linear(width * (self.lookahead + 1), width)
        self.place = nn.Parameter(0.02 * torch.randn(bands, width))
        self.told = nn.Linear(len(FAULTS), 2 * width, bias=False)
        self.blocks = nn.ModuleList(Block(width) for _ in range(self.layers))
        self.detector = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, len(FAULTS)))
        self.shrink = nn.Linear(width, channels)
        self.spread = nn.Linear(bands, self.bins // 4, bias=False)
        self.merge = nn.Conv1d(2 * channels, channels, 1)
        self.decoder = nn.ModuleList(Residual(channels) for _ in range(shape["convolutions"]))
        self.leave = nn.ConvTranspose1d(channels, 4 + len(self.copies), 8, stride=4, padding=2)
        with torch.no_grad():  # starts close to a wire: a mask of nearly one, next to nothing added
            self.narrow.weight.copy_(_triangles(bands, self.bins // 4))
            self.spread.weight.copy_(_triangles(bands, self.bins // 4).T * 2)
            nn.init.zeros_(self.told.weight)
            self.leave.weight.mul_(0.1)
            assert self.leave.bias is not None
            self.leave.bias.zero_()
            self.leave.bias[0] = 2.0

    def start(self, batch: int) -> Tensor:
        """The state before the first column."""
        return torch.zeros(self.layers, batch * self.bands, self.width)

    def forward(self, spectra: Tensor, hint: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(repaired spectra, fault logits, state), the spectra not compressed.

        Shape   (batch, 2, hops + lookahead, bins), (batch, faults), state
                -> (batch, 2, hops, bins), (batch, hops, faults), state
        """
        batch, _, columns, bins = spectra.shape
        hops = columns - self.lookahead
        small = compress(spectra)
        seen = torch.cat([small.square().sum(dim=1, keepdim=True).add(QUIETEST).sqrt(), small], dim=1)
        inside = self.enter(seen.transpose(1, 2).reshape(batch * columns, 3, bins))
        for layer in self.encoder:
            inside = layer(inside)
        bands = self.widen(self.narrow(inside).transpose(1, 2))  # (batch * columns, bands, width)
        bands = bands.reshape(batch, columns, self.bands, self.width)
        near = torch.cat([bands[:, ahead : ahead + hops] for ahead in range(self.lookahead + 1)], dim=-1)
        scale, shift = self.told(hint)[:, None, None].chunk(2, dim=-1)
        bands = bands[:, :hops] + self.ahead(near) + self.place
        bands = bands * (1 + scale) + shift
        states = []
        for layer, before in zip(self.blocks, state, strict=True):
            bands, after = layer(bands, before)
            states.append(after)
        logits = self.detector(torch.cat([bands.mean(dim=2), bands.amax(dim=2)], dim=-1))

        skip = inside.reshape(batch, columns, -1, bins // 4)[:, :hops].reshape(batch * hops, -1, bins // 4)
        outside = self.spread(self.shrink(bands).reshape(batch * hops, self.bands, -1).transpose(1, 2))
        outside = self.merge(torch.cat([outside, skip], dim=1))
        for layer in self.decoder:
            outside = layer(outside)
        parts = self.leave(outside).reshape(batch, hops, -1, bins).unbind(dim=2)
        gain, turned, add = torch.sigmoid(parts[0]), parts[1], torch.stack(parts[2:4], dim=1)
        for copy, share in zip(self.copies, parts[4:], strict=True):
            add = add + share[:, None] * functional.pad(small[:, :, :hops, :-copy], (copy, 0))
        real, imaginary = spectra[:, :, :hops].unbind(dim=1)
        kept = torch.stack([gain * real - turned * imaginary, gain * imaginary + turned * real], dim=1)
        return kept + expand(add), logits, torch.stack(states)


class Residual(nn.Module):
    """A convolution along frequency beside a wire. Shape (columns, channels, bins / 4), kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, channels, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(channels, 1))

    def forward(self, inside: Tensor) -> Tensor:
        return inside + self.scale * functional.silu(self.convolution(inside))


class Block(nn.Module):
    """Time, then frequency: a recurrent layer for each band, attention across the bands of one column.

    Shape   (batch, hops, bands, width) and the state (batch * bands, width), both kept
    """

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.before_time = nn.LayerNorm(width)
        self.time = nn.GRU(width, width, batch_first=True)
        self.after_time = nn.Linear(width, width)
        self.before_bands = nn.LayerNorm(width)
        self.across = nn.Linear(width, 3 * width)
        self.after_bands = nn.Linear(width, width)

    def forward(self, bands: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        batch, hops, count, width = bands.shape
        lines = self.before_time(bands).transpose(1, 2).reshape(batch * count, hops, width)
        lines, last = self.time(lines, state[None])
        bands = bands + self.after_time(lines).reshape(batch, count, hops, width).transpose(1, 2)
        query, key, value = (
            each.reshape(batch * hops, count, self.heads, -1).transpose(1, 2)
            for each in self.across(self.before_bands(bands)).chunk(3, dim=-1)
        )
        seen = functional.scaled_dot_product_attention(query, key, value)
        seen = seen.transpose(1, 2).reshape(batch, hops, count, width)
        return bands + self.after_bands(seen), last[0]


def compress(spectra: Tensor, quietest: float = QUIETEST) -> Tensor:
    """|X| to the power of 0.3, phases kept. Shape (…, 2, hops, bins) kept.

    Below the power *quietest* it is linear: a slope without end at zero would drown all other gradients.
    """
    power = spectra.square().sum(dim=-3, keepdim=True) + quietest
    return spectra * power ** ((COMPRESSION - 1) / 2)


def expand(spectra: Tensor) -> Tensor:
    """Undoes `compress`."""
    power = spectra.square().sum(dim=-3, keepdim=True) + QUIETEST
    return spectra * power ** ((1 / COMPRESSION - 1) / 2)


def _triangles(bands: int, places: int) -> Tensor:
    """Overlapping triangles, evenly spaced on a mel-like scale, each summing to one: (bands, places)."""
    edges = torch.linspace(0, 1, bands + 2)
    centres = places * (10 ** (edges * 1.2) - 1) / (10**1.2 - 1)
    where = torch.arange(places) + 0.5
    rise = (where - centres[:-2, None]) / (centres[1:-1] - centres[:-2]).clamp(min=1)[:, None]
    fall = (centres[2:, None] - where) / (centres[2:] - centres[1:-1]).clamp(min=1)[:, None]
    weights = torch.minimum(rise, fall).clamp(min=0) + 1e-4
    return weights / weights.sum(dim=1, keepdim=True)
