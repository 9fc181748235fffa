"""repairnet: a small recurrent network that gives back what a recording was before it was damaged.

The trunk is that of FastEnhancer (S. Ahn et al., "FastEnhancer: Speed-optimized streaming neural speech enhancement",
2025; built here from the description): a recurrent layer along time for each band, then a layer across the bands of one
column, here a mixing one instead of attention. Nothing but the recurrent layers looks back, so their state is all that
passes from one stretch of sound to the next. Into bands and out of them the spectrum goes as in BSRNN (Y. Luo, J. Yu,
"Music source separation with band-split RNN", 2022): narrow bands below, wide ones above, a linear layer for each. Five
things are ours:

    what comes out    a complex mask *and* an additive complex residual *and* gains for copies of the spectrum shifted
                      upwards: a mask alone cannot fill an empty band or a gap. The mask works on the spectrum as it
                      is, the rest on the compressed one, where what is small is next to nothing: clean stays clean
    a look ahead      each column sees the next `lookahead` ones, in one small layer at the narrowest place
    a detector        nine probabilities a column: one for each fault, and one that the repair is worth it, that what
                      goes out is nearer to the truth than what came in: the stage leaves alone what it would spoil
    what was mended   it also hears how much the classical stages before it have changed, column by column and bin by
                      bin: what is left of a mended click is not noise, and a mended recording no noisy one
    a hint            the faults may be told (`hint`, zeros when they are not): one set of weights serves `repair`,
                      which knows nothing, and `denoise` and `extend-bandwidth`, which do

Conventions
    Spectra are (batch, 2, hops, bins) float32, real and imaginary part, of `n_fft / 2 + 1` bins without the last
    (Nyquist, which passes as it is), of a Hann window. One batch item is one channel. "Compressed" is |X|^0.3, phases
    kept.
    hops in = hops out + lookahead: the caller gives the columns to come.
    States are (layers, batch * bands, width), zeros at the start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from wavechain_gan_repair.faults import FAULTS
from wavechain_gan_repair.settings import SIZES, RepairNetSettings, bands, split

COMPRESSION = 0.3
QUIETEST = 1e-9  # power of a bin: about -145 dB below a sine of full scale


class RepairNet(nn.Module):
    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.settings = RepairNetSettings.model_validate(settings)
        shape = SIZES[self.settings.size]
        width, hidden, self.layers = shape["width"], shape["hidden"], shape["layers"]
        self.bins = self.settings.bins
        self.lookahead, self.copies = self.settings.lookahead, self.settings.copies
        self.groups = split(self.bins)
        self.bands, self.width = bands(self.bins), width

        self.enter = BandwiseLinear(self.groups, 4, width)
        self.place = nn.Parameter(0.2 * torch.randn(self.bands, width))
        self.ahead = nn.Linear(width * (self.lookahead + 1), width)
        self.told = nn.Linear(len(FAULTS), 2 * width, bias=False)
        self.blocks = nn.ModuleList(Block(self.bands, width) for _ in range(self.layers))
        self.detector = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, len(FAULTS) + 1))
        self.before_leaving = nn.Sequential(nn.Linear(width, hidden), nn.SiLU())
        self.leave = BandwiseLinear(self.groups, 4 + len(self.copies), hidden, back=True)
        with torch.no_grad():  # starts close to a wire: a mask of nearly one, next to nothing added
            nn.init.zeros_(self.told.weight)
            for weight in self.leave.weights:
                weight.mul_(0.1)
            for bias, (_, bins) in zip(self.leave.biases, self.groups, strict=True):
                bias[:, :bins] = 2.0

    def start(self, batch: int) -> Tensor:
        """The state before the first column."""
        return torch.zeros(self.layers, batch * self.bands, self.width)

    def forward(self, spectra: Tensor, mended: Tensor, hint: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(repaired spectra, logits of the faults and of being worth it, state), the spectra not compressed.

        Shape   twice (batch, 2, hops + lookahead, bins), the second what was changed before; (batch, faults), state
                -> (batch, 2, hops, bins), (batch, hops, faults + 1), state
        """
        hops = spectra.shape[2] - self.lookahead
        small = compress(spectra)
        seen = torch.cat([magnitude(small), small, magnitude(compress(mended))], dim=1)
        bands = self.enter(seen)
        near = torch.cat([bands[:, ahead : ahead + hops] for ahead in range(self.lookahead + 1)], dim=-1)
        scale, shift = self.told(hint)[:, None, None].chunk(2, dim=-1)
        bands = bands[:, :hops] + self.ahead(near) + self.place
        bands = bands * (1 + scale) + shift
        states = []
        for layer, before in zip(self.blocks, state, strict=True):
            bands, after = layer(bands, before)
            states.append(after)
        logits = self.detector(torch.cat([bands.mean(dim=2), bands.amax(dim=2)], dim=-1))

        parts = self.leave(self.before_leaving(bands)).unbind(dim=1)
        gain, turned, add = torch.sigmoid(parts[0]), parts[1], torch.stack(parts[2:4], dim=1)
        for copy, share in zip(self.copies, parts[4:], strict=True):
            add = add + share[:, None] * functional.pad(small[:, :, :hops, :-copy], (copy, 0))
        real, imaginary = spectra[:, :, :hops].unbind(dim=1)
        # The turn is inside the gain: in the compressed losses no bin that is nearly shut has a slope without end.
        kept = gain[:, None] * torch.stack([real - turned * imaginary, imaginary + turned * real], dim=1)
        return kept + expand(add), logits, torch.stack(states)


class BandwiseLinear(nn.Module):
    """A linear layer of its own for each band: several numbers a bin to `width` numbers a band, or *back*.

    Shape   (batch, depth, columns, bins) -> (batch, columns, bands, width); back: the other way round
    """

    def __init__(self, groups: Sequence[tuple[int, int]], depth: int, width: int, *, back: bool = False) -> None:
        super().__init__()
        self.groups, self.depth, self.back = tuple(groups), depth, back
        sizes = [(width, depth * bins) if back else (depth * bins, width) for _, bins in groups]
        self.weights = nn.ParameterList(
            (torch.rand(count, into, out) * 2 - 1) / into**0.5
            for (count, _), (into, out) in zip(groups, sizes, strict=True)
        )
        self.biases = nn.ParameterList(
            torch.zeros(count, out) for (count, _), (_, out) in zip(groups, sizes, strict=True)
        )

    def forward(self, inside: Tensor) -> Tensor:
        return self._from_bands(inside) if self.back else self._to_bands(inside)

    def _to_bands(self, bins: Tensor) -> Tensor:
        batch, depth, columns, _ = bins.shape
        done, start = [], 0
        for (count, size), weight, bias in zip(self.groups, self.weights, self.biases, strict=True):
            part = bins[..., start : start + count * size].reshape(batch, depth, columns, count, size)
            part = part.permute(3, 0, 2, 1, 4).reshape(count, batch * columns, depth * size)
            done.append(torch.baddbmm(bias[:, None], part, weight))
            start += count * size
        return torch.cat(done).reshape(-1, batch, columns, done[0].shape[-1]).permute(1, 2, 0, 3)

    def _from_bands(self, bands: Tensor) -> Tensor:
        batch, columns, _, width = bands.shape
        lines = bands.permute(2, 0, 1, 3).reshape(-1, batch * columns, width)
        done, start = [], 0
        for (count, size), weight, bias in zip(self.groups, self.weights, self.biases, strict=True):
            part = torch.baddbmm(bias[:, None], lines[start : start + count], weight)
            part = part.reshape(count, batch, columns, self.depth, size).permute(1, 3, 2, 0, 4)
            done.append(part.reshape(batch, self.depth, columns, count * size))
            start += count
        return torch.cat(done, dim=-1)


class Block(nn.Module):
    """Time, then frequency: a recurrent layer for each band, then each number of a column is mixed across the bands.

    No normalisation: how loud a band is against what it was a moment ago is what tells noise from sound.

    Shape   (batch, hops, bands, width) and the state (batch * bands, width), both kept
    """

    def __init__(self, bands: int, width: int) -> None:
        super().__init__()
        self.time = nn.GRU(width, width, batch_first=True)
        self.after_time = nn.Linear(width, width)
        # Memories of 1 to 100 columns from the start. Source: C. Tallec, Y. Ollivier, "Can recurrent neural networks
        # warp time?", ICLR 2018
        with torch.no_grad():
            update = self.time.get_parameter("bias_hh_l0")[width : 2 * width]
            update.copy_(torch.linspace(0, math.log(100), width))
        self.across = nn.Sequential(nn.Linear(bands, 2 * bands), nn.SiLU(), nn.Linear(2 * bands, bands))

    def forward(self, bands: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        batch, hops, count, width = bands.shape
        lines = bands.transpose(1, 2).reshape(batch * count, hops, width)
        lines, last = self.time(lines, state[None])
        bands = bands + self.after_time(lines).reshape(batch, count, hops, width).transpose(1, 2)
        return bands + self.across(bands.transpose(2, 3)).transpose(2, 3), last[0]


def compress(spectra: Tensor, quietest: float = QUIETEST) -> Tensor:
    """|X| to the power of 0.3, phases kept. Shape (…, 2, hops, bins) kept.

    Below the power *quietest* it is linear: a slope without end at zero would drown all other gradients.
    """
    power = spectra.square().sum(dim=-3, keepdim=True) + quietest
    return spectra * power ** ((COMPRESSION - 1) / 2)


def magnitude(spectra: Tensor) -> Tensor:
    """Shape (batch, 2, hops, bins) -> (batch, 1, hops, bins)"""
    return spectra.square().sum(dim=1, keepdim=True).add(QUIETEST).sqrt()


def expand(spectra: Tensor) -> Tensor:
    """Undoes `compress`."""
    power = spectra.square().sum(dim=-3, keepdim=True) + QUIETEST
    return spectra * power ** ((1 / COMPRESSION - 1) / 2)
