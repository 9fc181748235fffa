"""Band limits: telephone, radio, a low sampling rate, and the holes that a codec leaves when bits run out.

Conventions: no phase is turned, so that what is left lies where it lay.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from wavechain import param
from wavechain.recipes import Degradation, Surroundings
from wavechain.stream import Block
from wavechain_trainer.degradations.spans import Span, draw, draw_log, within

_MARGIN = 2048  # frames of zeros, so that what a filter smears over the end does not come in at the start
_FRAME, _HOP, _CELL = 1024, 512, 12  # holes: as long as an MP3 granule, about 500 Hz wide


class BandLimit(Degradation):
    """Take the highs away, above a frequency or in holes."""

    cutoff_hz: Annotated[Span, within(100, 96_000)] = param(
        (2000.0, 16_000.0), unit="Hz", help="Where the band ends, or holes begin, drawn from this range."
    )
    brick_wall: float = param(0.5, ge=0, le=1, help="How often the edge is a wall; else a Butterworth slope.")
    order: Annotated[tuple[int, int], within(1, 32)] = param(
        (2, 16), help="The order of a slope (6 dB an octave each), drawn from this range."
    )
    holes: float = param(0.25, ge=0, le=1, help="How often holes are cut instead of everything above.")

    def apply(
        self, waveform: Block, sample_rate: int, rng: np.random.Generator, surroundings: Surroundings
    ) -> tuple[Block, Block]:
        cutoff = min(draw_log(rng, self.cutoff_hz), 0.48 * sample_rate)
        if rng.random() < self.holes:
            return _with_holes(waveform, cutoff, sample_rate, rng), waveform
        frames = waveform.shape[1]
        size = scipy.fft.next_fast_len(frames + _MARGIN, real=True)
        spectrum = scipy.fft.rfft(waveform, size)
        ratio = np.fft.rfftfreq(size, 1 / sample_rate).astype(np.float32) / np.float32(cutoff)
        if rng.random() < self.brick_wall:
            # A wall with a slanted top, from 1 to 0 in 1 to 8 % of the cut-off: the range of good resamplers.
            width = np.float32(draw_log(rng, (0.01, 0.08)))
            response = np.clip((1 - ratio) / width, 0, 1)
        else:
            order = int(rng.integers(self.order[0], self.order[1] + 1))
            response = 1 / np.sqrt(1 + np.minimum(ratio, 30) ** np.float32(2 * order))
        limited = scipy.fft.irfft(spectrum * response.astype(np.float32), size)[:, :frames]
        return np.ascontiguousarray(limited, dtype=np.float32), waveform


def _with_holes(waveform: Block, cutoff: float, sample_rate: int, rng: np.random.Generator) -> Block:
    """Zero those cells of time and frequency above *cutoff* that an encoder would give no bits: the weakest, roughly.

    Frames of 1024 with a sine window before and after, half overlapping: where nothing is zeroed they add up to what
    was there. All channels lose the same cells.
    """
    channels, frames = waveform.shape
    count = -(-frames // _HOP) + 1
    padded = np.zeros((channels, (count + 1) * _HOP), dtype=np.float32)
    padded[:, _HOP : _HOP + frames] = waveform
    window = np.sin(np.pi * (np.arange(_FRAME) + 0.5) / _FRAME).astype(np.float32)
    halves = padded.reshape(channels, count + 1, _HOP)
    cut = np.concatenate([halves[:, :-1], halves[:, 1:]], axis=-1)
    spectrum = scipy.fft.rfft(cut * window)
    spectrum *= _kept(spectrum, int(cutoff / sample_rate * _FRAME), rng)
    back = scipy.fft.irfft(spectrum, _FRAME) * window
    halves = np.zeros_like(halves)
    halves[:, :-1] += back[..., :_HOP]
    halves[:, 1:] += back[..., _HOP:]
    return np.ascontiguousarray(halves.reshape(channels, -1)[:, _HOP : _HOP + frames])


def _kept(spectrum: NDArray[np.complex64], first: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """1 for bins that stay, 0 for those in holes. (frames, bins)"""
    bins = spectrum.shape[-1]
    edges = np.arange(min(first, bins - 1), bins, _CELL)
    power = np.add.reduceat((spectrum.real**2 + spectrum.imag**2).sum(axis=0), edges, axis=-1)
    # Chance stands for everything about an encoder that loudness does not say; height, for its preference for lows.
    worth = 10 * np.log10(power + 1e-20) + rng.normal(0, 6, power.shape) - np.linspace(0, 12, edges.size)
    stays = worth > np.quantile(worth, draw(rng, (0.2, 0.9)))
    widths = np.diff(np.append(edges, bins))
    kept = np.ones((spectrum.shape[-2], bins), dtype=np.float32)
    kept[:, edges[0] :] = np.repeat(stays, widths, axis=-1)
    return kept
