"""Spectra that losses and discriminators look at.

Conventions: waveforms are (batch, channels, frames); spectra are complex (batch x channels, bins, hops), with a window
around frame 0, hop, 2 hop …, the ends of the waveform mirrored. Computed in float32 whatever autocast says (bfloat16
has three digits, and an FFT adds up thousands of terms); float64 stays float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.amp.autocast_mode import is_autocast_available

from wavechain.errors import ParameterError, SpecMismatchError


def check_numbers(place: str, name: str, values: Sequence[float], low: float, high: float) -> None:
    """Refuse an empty list, and values outside of a range. Raises ParameterError."""
    if not values or not all(low <= value <= high for value in values):
        said = "[" + ", ".join(f"{value:g}" for value in values) + "]"
        raise ParameterError(f"{place}: {name} = {said}: at least one, each from {low:g} to {high:g}.", hint="others.")


def check_pair(place: str, estimate: Tensor, target: Tensor) -> None:
    """Refuse waveforms that are not (batch, channels, frames) or differ in shape. Raises SpecMismatchError."""
    if estimate.ndim != 3 or estimate.shape != target.shape:
        raise SpecMismatchError(
            f"{place} compares waveforms (batch, channels, frames) of one shape; "
            f"the estimate is {tuple(estimate.shape)}, the target {tuple(target.shape)}.",
            hint="the same crop of both.",
        )


def full_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """As float32, float64 left as it is."""
    return tuple(tensor if tensor.dtype == torch.float64 else tensor.float() for tensor in tensors)


def autocast_off(tensor: Tensor) -> AbstractContextManager[Any]:
    device = tensor.device.type
    return torch.autocast(device, enabled=False) if is_autocast_available(device) else nullcontext()


def stft(waveform: Tensor, size: int, hop: int) -> Tensor:
    """Complex spectra under a periodic Hann window, as the FFT gives them.

    Shape   (batch, channels, frames) -> (batch x channels, size // 2 + 1, frames // hop + 1)
    Raises  SpecMismatchError when the waveform is too short to be mirrored at its ends
    """
    frames = waveform.shape[-1]
    if frames <= size // 2:
        raise SpecMismatchError(
            f"a window of {size} frames needs more than {size // 2} frames of waveform; there are {frames}.",
            hint="longer crops or smaller windows.",
        )
    with autocast_off(waveform):
        (flat,) = full_precision(waveform.reshape(-1, frames))
        window = torch.hann_window(size, dtype=flat.dtype, device=flat.device)
        return torch.stft(flat, size, hop, window=window, return_complex=True)


def level_stft(waveform: Tensor, size: int, hop: int) -> Tensor:
    """`stft`, scaled so that white noise of some RMS has bins of that RMS, whatever the size: divided by the root of
    the window's energy, which for a periodic Hann window is 3/8 of its size."""
    return stft(waveform, size, hop) / math.sqrt(0.375 * size)


def power(spectrum: Tensor) -> Tensor:
    """Squared magnitude. Unlike ``abs() ** 2`` its gradient at zero is zero, not a division by it."""
    return spectrum.real.square() + spectrum.imag.square()


@lru_cache(maxsize=64)
def mel_filters(sample_rate: int, size: int, mels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Triangles that overlap by half, evenly spaced in mel from 0 Hz to half the sample rate, each adding up to one.

    Shape   (mels, size // 2 + 1)
    Units   mel = 2595 log10(1 + f / 700 Hz)
    Where triangles would be narrower than a bin they are made one bin wide to each side, so that none is empty.
    """
    bin_hz = sample_rate / size
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    centre = edges_hz[1:-1, None]
    rise = np.maximum(centre - edges_hz[:-2, None], bin_hz)
    fall = np.maximum(edges_hz[2:, None] - centre, bin_hz)
    distance = np.arange(size // 2 + 1)[None, :] * bin_hz - centre
    filters = np.maximum(0, 1 - np.where(distance < 0, -distance / rise, distance / fall))
    filters /= filters.sum(axis=1, keepdims=True)
    with torch.inference_mode(False):  # kept for later calls, which may want gradients
        return torch.from_numpy(filters).to(device=device, dtype=dtype)
