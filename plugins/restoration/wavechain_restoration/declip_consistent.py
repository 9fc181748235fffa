"""declip-consistent: rebuilds the peaks that were cut off flat.

Where the highest (or lowest) frames of a stretch form plateaus, clipping is what made them: a plateau is two or more
frames at the same extreme, with a step on both sides far greater than the curve of any smooth crest would have.
Every frame at that level is then unknown, except that it lies at the level or beyond. The model of the sound is
autoregressive; the unknown frames are those of least excitation (Janssen, Veldhuis, Vries 1986), and those that come
out inside the level, where they cannot have been, are held at the level and the others found again: an active set.
The model is fitted anew to each result. Consistency in this sense: S. Kitić, N. Bertin, R. Gribonval, "Sparsity and
cosparsity for audio declipping: a flexible non-convex approach", LVA/ICA 2015.

Conventions: any channel count, each by itself; length unchanged; output exceeds the level of clipping, so also [-1, 1]
where that level was full scale; all frames inside the level pass through bit for bit.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from wavechain import Block, Effect, Processor, Spec, param
from wavechain_restoration.ar import Mask, Signal, fitted, interpolated
from wavechain_restoration.in_order import InOrder
from wavechain_restoration.runs import runs

_ORDER = 48
_ROUNDS = 3
_ACTIVE_SETS = 4
# One and a half steps of 16 bits: plateaus of files that were dithered after the clipping still count.
_FLAT = 1.5 / 32768


class DeclipConsistent(Effect):
    """Rebuild peaks that were cut off."""

    cost: ClassVar[float] = 600.0

    plateaus: int = param(2, ge=1, le=100, help="How many flat tops within 0.2 s make it clipping.")
    headroom_db: float = param(
        12.0, unit="dB", ge=1, le=40, help="How far beyond the level of clipping a rebuilt peak may reach."
    )

    def open(self, spec: Spec) -> Processor:
        return _Declip(spec, self)


class _Declip(InOrder):
    def __init__(self, spec: Spec, stage: DeclipConsistent) -> None:
        core = 1 << round(math.log2(0.046 * spec.sample_rate))
        super().__init__(spec, core, core, 2 * core)
        self._plateaus = stage.plateaus
        self._beyond = 10 ** (stage.headroom_db / 20)
        self._frames = 0
        self._highest = 0.0

    def mend(self, window: Signal, channel: int, frames: int) -> Mask | None:
        clipped = self._cut(window, 1.0) | self._cut(window, -1.0)
        clipped[: self.left] = False
        end = self.left + self.core
        if not clipped[self.left : end].any():
            return None
        while end < window.size and clipped[end]:  # a plateau across the border is rebuilt as one
            end += 1
        rebuilt = self._rebuilt(window, clipped)
        clipped[end:] = False
        window[clipped] = rebuilt[clipped]
        self._frames += int(np.count_nonzero(clipped))
        self._highest = max(self._highest, float(np.abs(window[clipped]).max()))
        return clipped

    def _cut(self, window: Signal, sign: float) -> Mask:
        """Which frames were cut off at the top (*sign* 1) or at the bottom (-1)."""
        signal = sign * window
        raw = signal[self.left :]  # what lies to the left may have been rebuilt already
        level = float(raw.max())
        none = np.zeros(window.size, bool)
        if level <= 64 * _FLAT:
            return none
        at_top = signal >= level - _FLAT
        at_top[: self.left] = False
        count = 0
        for start, end in runs(at_top):
            if end - start < 2 or start == 0 or end == window.size:
                continue
            step = 2 * level - signal[start - 1] - signal[end]
            # The parabola through a smooth crest of this width would fall by this much, and no more.
            count += step > 16 * _FLAT * (1 + 4 / (end - start))
        # A square wave is flat by nature: it has no crests that were cut.
        if count < self._plateaus or np.count_nonzero(at_top) > 0.3 * raw.size:
            return none
        return at_top

    def _rebuilt(self, window: Signal, clipped: Mask) -> Signal:
        sign = np.sign(window)
        level = np.abs(window)
        highest = level * self._beyond
        work = window
        for _ in range(_ROUNDS):
            model = fitted(work, _ORDER)
            if model is None:
                return window
            held = np.zeros(window.size, bool)
            for _ in range(_ACTIVE_SETS):
                work = interpolated(window, clipped & ~held, model)
                inside = clipped & ~held & (sign * work < level)
                if not inside.any():
                    break
                held |= inside
            work = np.where(clipped, sign * np.clip(sign * work, level, highest), window)
        return work

    @property
    def report(self) -> dict[str, Any]:
        if not self._frames:
            return {"left_alone": "nothing was cut off flat"}
        found: dict[str, Any] = {"rebuilt_frames": self._frames, "peak_db": round(20 * math.log10(self._highest), 2)}
        if self._highest > 1:
            found["warning"] = f"rebuilt peaks reach {found['peak_db']:+.1f} dBFS: lower the gain before the file is written"
        return found
