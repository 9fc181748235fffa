"""Bringing what an outside program returned back to where and how loud it was, before it is measured.

Stages of a chain keep time by contract and are measured as they are; programs have delays and gains of their own,
which a listener would correct with one knob each, and which are not what the bench asks about.
"""

from __future__ import annotations

import numpy as np

from wavechain.stream import Block

MOST_SECONDS = 0.5


def delay_frames(reference: Block, estimate: Block, most: int) -> int:
    """How many frames *estimate* lags behind (negative: leads), at most *most*, where they correlate best.

    The correlation is whitened a little (square root of its magnitude), so that a hum does not decide.
    Shape   (channels, frames), (channels, other frames) -> frames
    """
    wanted, found = reference.mean(axis=0, dtype=np.float64), estimate.mean(axis=0, dtype=np.float64)
    size = 1 << (wanted.size + found.size).bit_length()
    cross = np.fft.rfft(found, size) * np.fft.rfft(wanted, size).conj()
    magnitude = np.sqrt(np.abs(cross))
    cross = np.divide(cross, magnitude, out=np.zeros_like(cross), where=magnitude > 0)
    correlation = np.abs(np.fft.irfft(cross, size))
    most = min(most, size // 2 - 1, wanted.size - 1)
    lags = np.arange(-most, most + 1)
    return int(lags[np.argmax(correlation[lags])])


def moved(estimate: Block, lag: int, frames: int) -> Block:
    """*estimate* earlier by *lag* frames, cut or padded with silence to *frames*."""
    start = max(0, lag)
    kept = estimate[:, start : start + frames + min(0, lag)]
    before = max(0, -lag)
    return np.pad(kept, ((0, 0), (before, frames - before - kept.shape[-1])))
