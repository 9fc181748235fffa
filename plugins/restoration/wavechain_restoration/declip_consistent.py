"""declip-consistent: rebuilds the peaks that were cut off flat.

Where the highest (or lowest) frames of a stretch form plateaus, clipping is what made them: a plateau is two or more
frames at the same extreme, with a step on both sides far greater than the curve of any smooth crest would have.
Every frame at that level is then unknown, except that it lies at the level or beyond.

Among all sounds that agree with this, the one with the sparsest spectra is sought by two steps in turn: spectra are
shrunk, points that stand out from their own second least (a Wiener gain from the power of neighbouring columns); then
frames that are known are put back, and clipped ones held at the level or beyond. Shrinking starts strong and ends near
nothing, and each turn goes on a little the way the last one went.

Source       consistency: S. Kitić, N. Bertin, R. Gribonval, "Sparsity and cosparsity for audio declipping: a flexible
             non-convex approach", LVA/ICA 2015; shrinking by neighbourhoods: K. Siedenburg, M. Kowalski, M. Dörfler,
             "Audio declipping with social sparsity", ICASSP 2014.

Conventions: any channel count, each by itself; length unchanged; output exceeds the level of clipping, so also [-1, 1]
where that level was full scale; all frames inside the level pass through bit for bit.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from wavechain import Block, Effect, Processor, Spec, param
from wavechain_restoration.in_order import InOrder, Mask, Signal
from wavechain_restoration.peaks import told
from wavechain_restoration.runs import runs

_WINDOW_SECONDS = 0.046
_OVERLAP = 4
_FIRST_SHRINK = 0.1  # of the highest point of the spectra
_LAST_SHRINK = 1e-3  # of the first
_ONWARD = 0.8
_NEIGHBOURS = 2
_TINY = np.float32(1e-20)
# One and a half steps of 16 bits: plateaus of files that were dithered after the clipping still count.
_FLAT = 1.5 / 32768


class DeclipConsistent(Effect):
    """Rebuild peaks that were cut off."""

    cost: ClassVar[float] = 450.0

    plateaus: int = param(2, ge=1, le=100, help="How many flat tops within half a second make it clipping.")
    turns: int = param(30, ge=5, le=500, help="How often the result is improved; more is a little better, and slower.")

    def open(self, spec: Spec) -> Processor:
        return _Declip(spec, self)


class _Declip(InOrder):
    def __init__(self, spec: Spec, stage: DeclipConsistent) -> None:
        size = 1 << max(8, round(math.log2(_WINDOW_SECONDS * spec.sample_rate)))
        super().__init__(spec, size, 8 * size, size)
        self._spectra = _Spectra(size)
        self._plateaus = stage.plateaus
        self._shrink = np.geomspace(_FIRST_SHRINK, _FIRST_SHRINK * _LAST_SHRINK, stage.turns).astype(np.float32)
        self._settled = [0] * spec.channels  # frames of the stretch to come that a plateau across the border has had
        self._frames = 0
        self._highest = 0.0

    def mend(self, window: Signal, channel: int, frames: int) -> Mask | None:
        start, end = self.left + self._settled[channel], self.left + self.core
        self._settled[channel] = 0
        above, below = self._cut(window, 1.0, start), self._cut(window, -1.0, start)
        clipped = above | below
        if not clipped[self.left : end].any():
            return None
        rebuilt = self._rebuilt(window.astype(np.float32), above, below)
        while end < window.size and clipped[end]:  # a plateau across the border is rebuilt as one
            end += 1
        clipped[end:] = False
        self._settled[channel] = end - self.left - self.core
        window[clipped] = rebuilt[clipped]
        self._frames += int(np.count_nonzero(clipped))
        self._highest = max(self._highest, float(np.abs(window[clipped]).max()))
        return clipped

    def _cut(self, window: Signal, sign: float, first: int) -> Mask:
        """Which frames from the *first* on were cut off at the top (*sign* 1) or at the bottom (-1)."""
        signal = sign * window
        at_top = np.zeros(window.size, bool)
        raw = signal[first:]  # what lies to the left has been rebuilt
        level = float(raw.max())
        if level <= 64 * _FLAT:
            return at_top
        at_top[first:] = raw >= level - _FLAT
        count = 0
        for start, end in runs(at_top):
            if end - start >= 2 and end < window.size:
                step = 2 * level - signal[start - 1] - signal[end]
                # The parabola through a smooth crest of this width would fall by this much, and no more.
                count += step > 16 * _FLAT * (1 + 4 / (end - start))
        # A square wave is flat by nature: it has no crests that were cut.
        if count < self._plateaus or np.count_nonzero(at_top) > 0.3 * raw.size:
            at_top[:] = False
        return at_top

    def _rebuilt(self, window: Block, above: Mask, below: Mask) -> Block:
        least = np.where(above, window, np.where(below, -np.inf, window))
        most = np.where(below, window, np.where(above, np.inf, window))
        highest = np.abs(self._spectra.of(window)).max()
        now = here = window
        for shrink in self._shrink * highest:
            spectra = self._spectra.of(here)
            gain = np.maximum(0, 1 - shrink**2 / np.maximum(_smoothed(np.abs(spectra) ** 2), _TINY))
            before, now = now, np.clip(self._spectra.back(spectra * gain), least, most)
            here = now + np.float32(_ONWARD) * (now - before)
        return now

    @property
    def report(self) -> dict[str, Any]:
        if not self._frames:
            return {"left_alone": "nothing was cut off flat"}
        return {"rebuilt_frames": self._frames, **told(self._highest, "rebuilt")}


class _Spectra:
    """Short-time spectra of *size* frames and back, exactly where `_OVERLAP` of them cover a frame; float32."""

    def __init__(self, size: int) -> None:
        self.size, self.hop = size, size // _OVERLAP
        self._window = np.sqrt(np.hanning(size + 1)[:-1]).astype(np.float32)

    def of(self, signal: Block) -> npt.NDArray[np.complex64]:
        """Shape (frames,) -> (columns, bins); as many zeros at both ends as one window holds are added"""
        padded = np.pad(signal, self.size)
        columns = sliding_window_view(padded, self.size)[:: self.hop] * self._window
        return np.fft.rfft(columns).astype(np.complex64, copy=False)

    def back(self, spectra: npt.NDArray[np.complex64]) -> Block:
        columns = np.fft.irfft(spectra, self.size).astype(np.float32) * self._window
        parts = columns.reshape(len(columns), _OVERLAP, self.hop)
        total = np.zeros((len(columns) + _OVERLAP - 1, self.hop), np.float32)
        for part in range(_OVERLAP):
            total[part : part + len(columns)] += parts[:, part]
        return total.reshape(-1)[self.size : -self.size] * np.float32(2 / _OVERLAP)


def _smoothed(power: Block) -> Block:
    """Mean over neighbouring columns. Shape (columns, bins), unchanged"""
    total = power.copy()
    for shift in range(1, _NEIGHBOURS + 1):
        total[shift:] += power[:-shift]
        total[:-shift] += power[shift:]
    return total / np.float32(2 * _NEIGHBOURS + 1)
