"""The tail of a room, foretold from what was heard before it.

Each bin of a column is foretold from the same bin of earlier columns. What lies a little back is skipped, so that a
voice's own sound, which lasts for some hundredths of a second, is not foretold with it: what can be is the room's.

    columns    y(t), of which y(t - DELAY) ... y(t - DELAY - TAPS + 1) foretell the tail, by a filter for each bin and
               channel
    weights    that of a column's error is 1 / |y - tail|, by the filter before. So as few columns as possible are left
               with much in them, as is so of a voice. All channels have the same
    filter     the weighted least squares of the last seconds in a room, and of the stretches that came after this one

A note that is held can be foretold as well, and a dry voice a little: who asks must know that it is a voice in a room.

Sources        T. Nakatani et al., "Speech Dereverberation Based on Variance-Normalized Delayed Linear Prediction",
               IEEE Trans. Audio, Speech, Lang. Process. 18(7), 2010; the weights: A. Jukic et al., "Multi-Channel
               Linear Prediction-Based Speech Dereverberation With Sparse Priors", IEEE/ACM Trans. 23(9), 2015
Conventions    stretches of equal length; nothing is learnt before a tail is asked for
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from wavechain.stream import Block

DELAY, TAPS = 3, 20  # columns of some 12 ms
FORGET = np.float32(0.85)  # a stretch
RIDGE = np.float32(0.01)  # of the mean power of the taps
SOFTEST = np.float32(1e-3)  # of the mean power that a bin had lately: what is softer weighs no more than that
LOUDEST = np.float32(2)  # than it was, that anything becomes: after a sound that is cut off comes no tail
TINY = np.float32(1e-12)
AT_ONCE = 32  # bins

Columns = NDArray[np.complex64]  # (channels, bins, columns)


class LatePrediction:
    """Of one stream of stretches of spectra. Shape (channels, 2, hops, bins), of the lowest *bins* of it."""

    def __init__(self, channels: int, bins: int) -> None:
        self._bins = bins
        self._covariance = np.zeros((channels, bins, TAPS, TAPS), np.complex64)
        self._correlation, self._filter = (np.zeros((channels, bins, TAPS, 1), np.complex64) for _ in range(2))
        self._loudest = np.zeros((bins, 1), np.float32)  # mean power of the loudest stretch, forgotten with time
        self._stretches: deque[Block] = deque()  # the one before the next, the next, and those after it
        self._learnt = 0  # how many, from the next on, were learnt from
        self._missed = 0  # how many were not, since then

    def push(self, stretch: Block) -> None:
        if not self._stretches:
            self._stretches.append(np.zeros_like(stretch))
        self._stretches.append(stretch)

    def pop(self, part: float) -> tuple[Block, Block]:
        """The next stretch: as it came, and with this *part* of its tail taken away."""
        stretch = lowered = self._stretches[1]
        if part > 0:
            lowered = stretch.copy()
            self._lower(lowered, np.float32(part))
        self._stretches.popleft()
        self._missed += self._learnt == 0
        self._learnt = max(0, self._learnt - 1)
        return stretch, lowered

    def _lower(self, stretch: Block, part: np.float32) -> None:
        for kept in (self._covariance, self._correlation, self._loudest):
            kept *= FORGET**self._missed
        new = range(1 + self._learnt, len(self._stretches))
        self._missed, self._learnt = 0, len(self._stretches) - 1
        for first in range(0, self._bins, AT_ONCE):
            bins = slice(first, min(first + AT_ONCE, self._bins))
            for number in new:
                self._learn(number, bins)
            here = self._columns(1, bins)
            left = here - part * self._foretold(bins)
            left *= np.minimum(1, LOUDEST * np.abs(here) / np.maximum(np.abs(left), TINY))
            stretch[:, 0, :, bins], stretch[:, 1, :, bins] = (each.swapaxes(1, 2) for each in (left.real, left.imag))

    def _foretold(self, bins: slice) -> Columns:
        covariance = self._covariance[:, bins]
        ridge = RIDGE / TAPS * np.trace(covariance, axis1=2, axis2=3).real[..., np.newaxis, np.newaxis] + TINY
        kept = np.linalg.solve(covariance + ridge * np.eye(TAPS, dtype=np.float32), self._correlation[:, bins])
        self._filter[:, bins] = kept
        tail: Columns = (self._taps(1, bins) @ kept)[..., 0]
        return tail

    def _learn(self, number: int, bins: slice) -> None:
        columns, taps = self._columns(number, bins), self._taps(number, bins)
        power = np.square(np.abs(columns - (taps @ self._filter[:, bins])[..., 0])).mean(axis=0)
        beside = np.pad(power, ((0, 0), (1, 1)), mode="edge")
        power = (beside[:, :-2] + power + beside[:, 2:]) / np.float32(3)
        loudest = np.maximum(FORGET * self._loudest[bins], power.mean(axis=1, keepdims=True))
        self._loudest[bins] = loudest
        weights = 1 / np.sqrt(np.maximum(power, SOFTEST * loudest) + TINY)
        weighted = (taps * weights[..., np.newaxis]).conj().swapaxes(2, 3)
        for kept, this in ((self._covariance, taps), (self._correlation, columns[..., np.newaxis])):
            kept[:, bins] *= FORGET
            kept[:, bins] += weighted @ this

    def _taps(self, number: int, bins: slice) -> Columns:
        """What each column of a stretch is foretold from. -> (channels, bins, columns, TAPS), the oldest first"""
        here, past = self._columns(number, bins), self._columns(number - 1, bins)
        both = np.concatenate([past[..., 1 - DELAY - TAPS :], here], axis=2)
        taps: Columns = both[..., np.arange(here.shape[2])[:, np.newaxis] + np.arange(TAPS)]
        return taps

    def _columns(self, number: int, bins: slice) -> Columns:
        part = self._stretches[number][..., bins]
        return (part[:, 0] + np.complex64(1j) * part[:, 1]).swapaxes(1, 2)
