"""ar-declick: takes out clicks and crackle, and sets in what the sound around them leads to.

The sound is modelled as autoregressive, window by window. Two statistics find what does not belong to it: the matched
filter of a click, which is the excitation filtered by the model reversed in time, and the lesser of what the model
cannot predict forward and backward, which is large inside a click only. The model is fitted again to each result, so
that clicks spoil it less and less. A click is taken out only if putting the expected sound in its place explains most
of the excitation in and after it: the attack of a note goes on to ring, and is left. What is set in is the sound of
least excitation.

Source       A. J. E. M. Janssen, R. N. J. Veldhuis, L. B. Vries, IEEE Trans. ASSP 34, 1986; matched filter:
             S. V. Vaseghi, P. J. W. Rayner, "Detection and suppression of impulsive noise in speech communication
             systems", IEE Proc. I 137, 1990; S. J. Godsill, P. J. W. Rayner, Digital Audio Restoration, 1998.

Conventions: any channel count, each by itself; length unchanged; frames outside clicks pass through bit for bit.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from wavechain import Effect, Processor, Spec, param
from wavechain_restoration.ar import Mask, Signal, autocorrelation, excitation, fitted, interpolated, toeplitz
from wavechain_restoration.in_order import InOrder
from wavechain_restoration.runs import joined, runs

_SEARCH_ORDER = 32
_REPAIR_ORDER = 64
_ROUNDS = 2
_INSIDE = 0.5  # threshold for the frames of a click, as a share of that for finding one
_EXPLAINED = 0.8  # share of the excitation that a repair must take away
_WIDER = (0, 4, 12)  # frames by which a click is tried wider on each side, until its repair explains enough
_JOIN = 8
_LOUDER = 1.5  # a repair that rises this far above all that is around it is none
_WORTH = 30.0  # times the error to be expected of the interpolation, that a repair must put right
_BESIDE_SECONDS = 0.005
_ISOLATED = 2.5  # times the largest excitation on either side, that of a click is
_ALIKE = 3.5  # times the excitation on one side, that on the other is at most: clicks come amid one sound
_CROWDED = 0.25  # share of suspects on one side, from which on they are the sound
_FLOOR = 2.0**-17  # half a step of 16 bits: nothing below is a click


class ArDeclick(Effect):
    """Take out clicks and crackle."""

    cost: ClassVar[float] = 1800.0

    sensitivity: float = param(
        5.0, ge=0, le=10, help="More finds quieter clicks, and takes more of the music for clicks: 1 is 1 dB."
    )
    longest_ms: float = param(2.0, unit="ms", ge=0.02, le=10, help="What lasts longer is no click, and stays.")

    def open(self, spec: Spec) -> Processor:
        return _Declick(spec, self)


class _Declick(InOrder):
    def __init__(self, spec: Spec, stage: ArDeclick) -> None:
        core = 1 << max(9, round(math.log2(0.046 * spec.sample_rate)))
        super().__init__(spec, core // 2, core, core // 2)
        self._longest = max(1, round(stage.longest_ms * spec.sample_rate / 1000))
        # In standard deviations of the undisturbed excitation, estimated from its median.
        self._threshold = 12.0 * 10 ** ((5.0 - stage.sensitivity) / 20)
        self._beside = round(_BESIDE_SECONDS * spec.sample_rate)
        self._clicks = 0
        self._frames = 0

    def mend(self, window: Signal, channel: int, frames: int) -> Mask | None:
        self._frames += frames if channel == 0 else 0
        marked = self._searched(window)
        if marked is None:
            return None
        found, clean, model = marked
        error = np.abs(excitation(clean, model))
        scale = self._scale(error)
        changed = np.zeros(window.size, bool)
        for start, end in runs(found):
            if self.left <= start < self.left + frames and end - start <= self._longest:
                repaired = self._settled(window, clean, found, (start, end), model, float(scale[start]), error)
                if repaired is not None:
                    start, repair = repaired
                    clean[start : start + repair.size] = repair
                    changed[start : start + repair.size] = True
                    self._clicks += 1
        window[changed] = clean[changed]
        return changed

    def _searched(self, window: Signal) -> tuple[Mask, Signal, Signal] | None:
        """Suspected frames, the window without them, and its model; None where there is no suspicion."""
        clean, found = window, np.zeros(window.size, bool)
        for _ in range(_ROUNDS):
            model = fitted(clean, _SEARCH_ORDER)
            if model is None:
                return None
            new = self._suspects(clean, model, clean) & ~found
            if not new.any():
                break
            found = joined(found | new, _JOIN)
            clean = interpolated(window, found, model)
        model = fitted(clean, _REPAIR_ORDER) if found.any() else None
        if model is None:
            return None
        # The first rounds, with models that the clicks had spoilt, marked too much.
        found = self._suspects(window, model, clean)
        clean = interpolated(window, found, model)
        more = self._suspects(clean, model, clean) & ~found
        if more.any():
            found = joined(found | more, _JOIN)
        for start, end in runs(found):
            if end - start > self._longest:
                found[start:end] = False
        return found, interpolated(window, found, model), model

    def _suspects(self, signal: Signal, model: Signal, clean: Signal) -> Mask:
        """Frames of *signal* that may be clicks, by thresholds from what is usual in *clean*."""
        unpredicted, matched = _statistics(signal, model)
        usual = (unpredicted, matched) if clean is signal else _statistics(clean, model)
        inside = unpredicted > _INSIDE * self._threshold * self._scale(usual[0])
        certain = matched > self._threshold * self._scale(usual[1])
        found = np.zeros(signal.size, bool)
        for start, end in runs(joined(inside, _JOIN)):
            if certain[max(start - 2, 0) : end + 2].any():
                found[max(start - 1, 0) : end + 1] = True
        for start, end in runs(certain):
            if not found[max(start - 16, 0) : end + 16].any():
                middle = start + int(np.argmax(matched[start:end]))
                found[max(middle - 1, 0) : middle + 2] = True
        return found

    def _scale(self, statistic: Signal) -> Signal:
        """Standard deviation around each frame: from medians, and the largest of three neighbouring stretches.

        So a click does not raise it, and an attack lifts the threshold also just before itself.
        """
        size = self.core // 4
        # Every other frame says as much about the median.
        ordered = np.partition(np.abs(statistic[::2]).reshape(-1, size // 2), size // 4, axis=1)
        level = np.maximum(ordered[:, size // 4] / 0.6745, _FLOOR)
        held = np.maximum(level, np.maximum(np.append(level[1:], 0.0), np.append(0.0, level[:-1])))
        around: Signal = np.repeat(held, size)
        return around

    def _settled(
        self,
        window: Signal,
        clean: Signal,
        found: Mask,
        click: tuple[int, int],
        model: Signal,
        scale: float,
        error: Signal,
    ) -> tuple[int, Signal] | None:
        """Where the repair of a click starts, and the repair; None where it explains too little to be one."""
        order = model.size - 1
        for wider in _WIDER:
            start, end = max(click[0] - wider, self.left), min(click[1] + wider, window.size - order)
            if not 0 < end - start <= self._longest:
                return None
            near, inner = slice(start - order, end + order), slice(order, order + end - start)
            around = np.where(found[near], clean[near], window[near])
            around[inner] = window[start:end]
            unknown = np.zeros(around.size, bool)
            unknown[inner] = True
            repaired = interpolated(around, unknown, model)
            if np.abs(repaired[inner]).max() > _LOUDER * np.abs(around[~unknown]).max():
                return None
            before, after = (np.convolve(each, model, "valid") for each in (around, repaired))
            if not self._isolated(start, end, window, found, error, float(np.abs(before).max())):
                return None
            # Long interpolations err by more than a quiet click does harm.
            spread = np.trace(np.linalg.inv(toeplitz(autocorrelation(model, end - start - 1))))
            put_right = around[inner] - repaired[inner]
            if float(put_right @ put_right) < _WORTH * float(spread) * scale**2:
                continue
            power = float(before @ before)
            explained = power - float(after @ after)
            if explained >= max(_EXPLAINED * power, (self._threshold * scale) ** 2):
                return start, repaired[inner]
        return None

    def _isolated(self, start: int, end: int, window: Signal, found: Mask, error: Signal, strength: float) -> bool:
        """Whether the sound is alike on both sides of a click, and the click stands out from it."""
        before, after = slice(max(start - self._beside, 0), start), slice(end, end + self._beside)
        for side in (before, after):
            # Where sound begins or ends at once, as a stream may, there is nothing to be expected.
            if found[side].mean() > _CROWDED or 2 * np.count_nonzero(window[side]) < self._beside:
                return False
        quieter, louder = sorted(float(np.sqrt(np.mean(error[side] ** 2))) + _FLOOR for side in (before, after))
        if louder > _ALIKE * quieter:
            return False
        return strength > _ISOLATED * max(float(error[before].max()), float(error[after].max()))

    @property
    def report(self) -> dict[str, Any]:
        if not self._clicks:
            return {"left_alone": "no clicks were found"}
        minutes = self._frames / self.spec.sample_rate / 60
        return {"clicks": self._clicks, "clicks_per_minute": round(self._clicks / minutes, 1)}


def _statistics(signal: Signal, model: Signal) -> tuple[Signal, Signal]:
    """The lesser of the errors of prediction forward and backward, and the matched filter; magnitudes.

    Shape   (frames,), both; zeros where the model reaches beyond either end
    """
    order = model.size - 1
    forward = excitation(signal, model)
    backward = np.convolve(signal, model[::-1])[order:]
    matched = np.convolve(forward, model[::-1])[order:] / math.sqrt(float(model @ model))
    unpredicted = np.minimum(np.abs(forward), np.abs(backward))
    matched = np.abs(matched)
    for each in (unpredicted, matched):
        each[:order] = 0
        each[-order:] = 0
    return unpredicted, matched
