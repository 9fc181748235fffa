"""ar-declick: takes out clicks and crackle, and sets in what the sound around them leads to.

The sound is modelled as autoregressive, window by window. Two statistics find what does not belong to it: the matched
filter of a click, which is the excitation filtered by the model reversed in time, and the lesser of what the model
cannot predict forward and backward, which is large inside a click only. The loudest are found first, and the model is
fitted again to each result, so that clicks spoil it less and less, and do not hide what is beside them. Then each is
looked at with all others out of the way; what lies between two is sound, if setting right the two explains it too. A
click is taken out only if putting the expected sound in its place explains most of the excitation in and after it: the
attack of a note goes on to ring, and is left. So, as a rule, is what lasts more than an instant and is not loud, like
the corners of clipped peaks, and what comes again and again about as loud, like the edges of a synthesiser's waves.
What is set in is the sound of least excitation. Of a click with a flat top only the edges look like clicks: it is found
by towering over its surroundings.

Source       A. J. E. M. Janssen, R. N. J. Veldhuis, L. B. Vries, IEEE Trans. ASSP 34, 1986; matched filter:
             S. V. Vaseghi, P. J. W. Rayner, "Detection and suppression of impulsive noise in speech communication
             systems", IEE Proc. I 137, 1990; S. J. Godsill, P. J. W. Rayner, Digital Audio Restoration, 1998.

Conventions: any channel count, each by itself; length unchanged; frames outside clicks pass through bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from wavechain import Effect, Processor, Spec, param
from wavechain_restoration.ar import Mask, Signal, autocorrelation, excitation, fitted, interpolated, toeplitz
from wavechain_restoration.in_order import InOrder
from wavechain_restoration.runs import joined, runs

_SEARCH_ORDER = 32
_REPAIR_ORDER, _FRAMES_TO_FIT = 128, 10  # at most, and of a step so many frames for each
_ROUNDS = 3
_NEARBY = 0.5  # share of the loudest nearby that a click must reach to be found in the same round
_INSIDE = 0.5  # threshold for the frames of a click, as a share of that for finding one
_EXPLAINED = 0.8  # share of the excitation that a repair must take away
_WIDER = (0, 4, 12)  # frames by which a click is tried wider on each side, until its repair explains enough
_JOIN = 8
_GAP = 0.7  # threshold for what lies between two clicks, as a share of that for finding one
_STANDS_OUT = 2.0  # times the level around, the peak of a click is, unless it is an instant
_INSTANT = 4  # frames
_LONG = 2.4  # times as loud again, the longest must be; shorter ones in proportion
_OFTEN = 5  # suspects about as loud; from more on, a click must stand out a quarter as many times as far
_ABOUT_AS_LOUD = 0.3  # share of the peak of a click
_LOUDER = 1.5  # a repair that rises this far above all that is around it is none,
_QUIETER = 0.25  # unless it stays below this share of what it replaces
_WORTH = 30.0  # times the error to be expected of the interpolation, that a repair must put right
_WORTH_LOUD = 10.0  # the same, of a click that stands out
_AROUND_SECONDS = 0.02
_BESIDE_SECONDS = 0.005
_ISOLATED = 2.5  # times the largest excitation on either side, that of a click is
_ALIKE = 3.5  # times the excitation on one side, that on the other is at most: clicks come amid one sound
_ALIKE_ISOLATED = 0.7  # the same, as a share of how far the click is above either
_CROWDED = 0.25  # share of suspects about as loud on one side, from which on they are the sound
_TOWERS = 4.0  # times all that is beside it, as `_towering` says
_ABOVE = 1.25  # the same, of the frames of what towers
_STRETCH, _APART, _BESIDE = 32, 4, 20  # frames; stretches between the two; stretches beside, the pulses of a voice too
_FLOOR = 2.0**-17  # half a step of 16 bits: nothing below is a click


class ArDeclick(Effect):
    """Take out clicks and crackle."""

    cost: ClassVar[float] = 1800.0

    sensitivity: float = param(
        5.0, ge=0, le=10, help="More finds quieter clicks, and takes more of the music for clicks: 1 is 1 dB."
    )
    longest_ms: float = param(2.0, unit="ms", ge=0.02, le=10, help="What lasts longer is no click, and stays.")
    passes: int = param(
        1, ge=1, le=4, help="How often clicks are looked for where some were found: each hides others near it."
    )

    def open(self, spec: Spec) -> Processor:
        return _Declick(spec, self)


@dataclass(frozen=True)
class _Searched:
    """A window, what is suspect in it, and how it is without; shape (frames,) each but for *model* and *strengths*."""

    window: Signal
    found: Mask
    clean: Signal  # repairs replace what was expected at first
    model: Signal
    error: Signal  # magnitude of what the model cannot predict of the clean window
    scale: Signal  # its standard deviation
    removed: Signal  # magnitude of what was taken out
    strengths: Signal  # the largest of it in each suspect
    power: Signal  # of the clean window, summed up to each frame

    def level(self, start: int, end: int) -> float:
        start, end = max(start, 0), min(end, self.window.size)
        return math.sqrt(float(self.power[end] - self.power[start]) / (end - start)) + _FLOOR


class _Declick(InOrder):
    def __init__(self, spec: Spec, stage: ArDeclick) -> None:
        core = 1 << max(9, round(math.log2(0.046 * spec.sample_rate)))
        super().__init__(spec, core // 2, core, core // 2)
        self._order = min(_REPAIR_ORDER, core // _FRAMES_TO_FIT)
        self._passes = stage.passes
        self._longest = max(1, round(stage.longest_ms * spec.sample_rate / 1000))
        # In standard deviations of the undisturbed excitation, estimated from its median.
        self._threshold = 12.0 * 10 ** ((5.0 - stage.sensitivity) / 20)
        self._stands_out = _STANDS_OUT * 10 ** ((5.0 - stage.sensitivity) / 20)
        self._around = round(_AROUND_SECONDS * spec.sample_rate)
        self._beside = round(_BESIDE_SECONDS * spec.sample_rate)
        self._clicks = 0
        self._frames = 0

    def mend(self, window: Signal, channel: int, frames: int) -> Mask | None:
        self._frames += frames if channel == 0 else 0
        changed = np.zeros(window.size, bool)
        for _ in range(self._passes):
            mended = self._mended(window, frames)
            if not mended.any():
                break
            changed |= mended
        return changed

    def _mended(self, window: Signal, frames: int) -> Mask:
        """Where clicks were taken out of *window*, which is edited."""
        changed = np.zeros(window.size, bool)
        searched = self._searched(window)
        if searched is None:
            return changed
        for start, end in runs(searched.found):
            if self.left <= start < self.left + frames and end - start <= self._longest:
                repaired = self._settled(searched, (start, end))
                if repaired is not None:
                    start, repair = repaired
                    searched.clean[start : start + repair.size] = repair
                    changed[start : start + repair.size] = True
                    self._clicks += 1
        window[changed] = searched.clean[changed]
        return changed

    def _searched(self, window: Signal) -> _Searched | None:
        """None where there is no suspicion."""
        clean, found = window, np.zeros(window.size, bool)
        for _ in range(_ROUNDS):
            model = fitted(clean, _SEARCH_ORDER)
            if model is None:
                return None
            new = self._suspects(clean, model) & ~found
            if not new.any():
                break
            found = joined(found | new, _JOIN)
            clean = interpolated(window, found, model)
        model = fitted(clean, self._order) if found.any() else None
        if model is None:
            return None
        # The first rounds, with models that the clicks had spoilt, marked too much, and too little of long ones.
        found = self._confirmed(window, clean, found, model)
        clean = interpolated(window, found, model)
        if (towering := _towering(clean)).any():
            found |= towering
            refitted = fitted(np.where(found, 0.0, clean), self._order)
            model = model if refitted is None else refitted
            clean = interpolated(window, found, model)
        more = self._suspects(clean, model) & ~found
        if more.any():
            found = joined(found | more, _JOIN)
        long = [run for run in runs(found) if run[1] - run[0] > self._longest]
        for start, end in long:
            clean[start:end] = window[start:end]
            found[start:end] = _towering(clean)[start:end]
        if more.any() or long:
            clean = interpolated(window, found, model)
        error, removed = np.abs(excitation(clean, model)), np.abs(window - clean)
        strengths = np.array([removed[start:end].max() for start, end in runs(found)])
        power = np.concatenate([[0.0], np.cumsum(clean**2)])
        return _Searched(window, found, clean, model, error, self._scale(error), removed, strengths, power)

    def _suspects(self, signal: Signal, model: Signal) -> Mask:
        """Frames that may be clicks, the loudest of those close together first."""
        unpredicted, matched = _statistics(signal, model)
        bound = self._threshold * self._scale(matched)
        certain = matched > np.maximum(bound, _NEARBY * _loudest(matched, model.size - 1))
        if not certain.any():
            return certain
        return _marked(unpredicted > _INSIDE * self._threshold * self._scale(unpredicted), certain, matched)

    def _confirmed(self, window: Signal, clean: Signal, found: Mask, model: Signal) -> Mask:
        """What remains suspect with all else out of the way; suspects that could be one click are looked at as one."""
        usual = _statistics(clean, model)
        scale = self._scale(usual[1])
        within, bound = _INSIDE * self._threshold * self._scale(usual[0]), self._threshold * scale
        confirmed = np.zeros(window.size, bool)
        for group in _apart(_clusters(found, self._longest), model.size + _JOIN):
            signal = clean.copy()
            for start, end in group:
                signal[start:end] = window[start:end]
            unpredicted, matched = _statistics(signal, model)
            for start, end in group:
                near = slice(max(start - _JOIN, 0), end + _JOIN)
                marked = _marked(unpredicted[near] > within[near], matched[near] > bound[near], matched[near])
                confirmed[near] |= marked
                for first, last in runs(marked):
                    span = near.start + first, near.start + last
                    for gap in self._sound(signal, found, span, model, float(scale[start])):
                        confirmed[gap] = False
        return confirmed

    def _sound(self, signal: Signal, found: Mask, span: tuple[int, int], model: Signal, scale: float) -> list[slice]:
        """What lies between the suspects in *span*, and is no part of a click: by how unlikely it is as sound."""
        (start, end), order = span, model.size - 1
        gaps = [slice(first, last) for first, last in runs(~found[start:end]) if first > 0 and last < end - start]
        gaps = [gap for gap in gaps if gap.stop - gap.start > _JOIN]
        if not gaps or start < order or end > signal.size - order:
            return []
        around, unknown = signal[start - order : end + order], np.zeros(end - start + 2 * order, bool)
        unknown[order:-order] = True
        wrong = (around - interpolated(around, unknown, model))[order:-order]
        spread = np.linalg.inv(toeplitz(autocorrelation(model, end - start - 1)))
        sound = []
        for gap in gaps:
            unlikely = float(wrong[gap] @ np.linalg.solve(spread[gap, gap], wrong[gap]))
            if unlikely < ((_GAP * self._threshold) ** 2 + gap.stop - gap.start) * scale**2:
                sound.append(slice(start + gap.start, start + gap.stop))
        return sound

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

    def _settled(self, searched: _Searched, click: tuple[int, int]) -> tuple[int, Signal] | None:
        """Where the repair of a click starts, and the repair; None where it explains too little to be one."""
        window, clean, found, model = searched.window, searched.clean, searched.found, searched.model
        order, scale = model.size - 1, float(searched.scale[click[0]])
        peak = float(searched.removed[slice(*click)].max())
        often = int(np.count_nonzero(searched.strengths > _ABOUT_AS_LOUD * peak))
        loudness = peak / (self._stands_out * searched.level(click[0] - self._around, click[1] + self._around))
        if click[1] - click[0] > _INSTANT and loudness < (often / 4 if often > _OFTEN else 1.0):
            return None
        worth = _WORTH_LOUD if loudness > 1 and often <= _OFTEN else _WORTH
        longest = max(_INSTANT, min(1.0, loudness / _LONG) * self._longest)
        for wider in _WIDER:
            start, end = max(click[0] - wider, self.left), min(click[1] + wider, window.size - order)
            if not 0 < end - start <= longest:
                return None
            if not self._amid_sound(searched, start, end, peak):
                return None
            near, inner = slice(start - order, end + order), slice(order, order + end - start)
            around = np.where(found[near], clean[near], window[near])
            around[inner] = window[start:end]
            unknown = np.zeros(around.size, bool)
            unknown[inner] = True
            repaired = interpolated(around, unknown, model)
            # Where suspects are many, what was expected in their places may itself be far too loud.
            loudest = min(np.abs(around[~unknown]).max(), np.abs(window[near]).max())
            if np.abs(repaired[inner]).max() > max(_LOUDER * loudest, _QUIETER * np.abs(around[inner]).max()):
                return None
            before, after = (np.convolve(each, model, "valid") for each in (around, repaired))
            if not self._isolated(searched, start, end, float(np.abs(before).max())):
                return None
            # Long interpolations err by more than a quiet click does harm.
            spread = np.trace(np.linalg.inv(toeplitz(autocorrelation(model, end - start - 1))))
            put_right = around[inner] - repaired[inner]
            if float(put_right @ put_right) < worth * float(spread) * scale**2:
                continue
            power = float(before @ before)
            explained = power - float(after @ after)
            if explained >= max(_EXPLAINED * power, (self._threshold * scale) ** 2):
                return start, repaired[inner]
        return None

    def _amid_sound(self, searched: _Searched, start: int, end: int, peak: float) -> bool:
        """Whether there is sound on both sides of a click, and not too many others about as loud."""
        for side in (slice(max(start - self._beside, 0), start), slice(end, end + self._beside)):
            # Where sound begins or ends at once, as a stream may, there is nothing to be expected.
            if 2 * np.count_nonzero(searched.window[side]) < self._beside:
                return False
            if np.count_nonzero(searched.removed[side] > _ABOUT_AS_LOUD * peak) > _CROWDED * self._beside:
                return False
        return True

    def _isolated(self, searched: _Searched, start: int, end: int, strength: float) -> bool:
        """Whether the sound is alike on both sides of a click, and the click stands out from it."""
        beside = [searched.error[max(start - self._beside, 0) : start], searched.error[end : end + self._beside]]
        quieter, louder = sorted(math.sqrt(float(each @ each) / each.size) + _FLOOR for each in beside)
        isolated = strength / (max(float(each.max()) for each in beside) + _FLOOR)
        return isolated > _ISOLATED and louder <= max(_ALIKE, _ALIKE_ISOLATED * isolated) * quieter

    @property
    def report(self) -> dict[str, Any]:
        if not self._clicks:
            return {"left_alone": "no clicks were found"}
        minutes = self._frames / self.spec.sample_rate / 60
        return {"clicks": self._clicks, "clicks_per_minute": round(self._clicks / minutes, 1)}


def _towering(signal: Signal) -> Mask:
    """What is far louder than all beside it, on both sides, and as short as a click.

    Of a click with a flat top, which is as predictable as any sound, only the edges are found otherwise.
    """
    peaks = np.abs(signal).reshape(-1, _STRETCH).max(axis=1)
    # Beyond the window nothing is known, so nothing towers at its ends.
    beside = sliding_window_view(np.pad(peaks, _APART + _BESIDE, constant_values=np.inf), _BESIDE)
    loudest = beside.max(axis=1)
    around = np.maximum(loudest[: peaks.size], loudest[-peaks.size :])
    found = np.zeros(signal.size, bool)
    for stretch in np.flatnonzero(peaks > np.maximum(_TOWERS * around, _FLOOR)).tolist():
        start = max(stretch - _APART, 0) * _STRETCH
        near = np.abs(signal[start : (stretch + _APART + 1) * _STRETCH])
        for first, last in runs(near > _ABOVE * around[stretch]):
            if near[first:last].max() >= peaks[stretch]:
                found[start + first : start + last] = True
    return found


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


def _loudest(statistic: Signal, reach: int) -> Signal:
    """The largest value around each frame, at least half of *reach* frames to either side."""
    size = 1 << reach.bit_length() - 1
    peaks = statistic.reshape(-1, size).max(axis=1)
    held = np.maximum(peaks, np.maximum(np.append(peaks[1:], 0.0), np.append(0.0, peaks[:-1])))
    around: Signal = np.repeat(held, size)
    return around


def _marked(inside: Mask, certain: Mask, matched: Signal) -> Mask:
    """Clicks: all that is inside one which is certain anywhere; of one that is certain only, its middle."""
    found = np.zeros(inside.size, bool)
    for start, end in runs(joined(inside, _JOIN)):
        if certain[max(start - 2, 0) : end + 2].any():
            found[max(start - 1, 0) : end + 1] = True
    for start, end in runs(certain):
        if not found[max(start - 16, 0) : end + 16].any():
            middle = start + int(np.argmax(matched[start:end]))
            found[max(middle - 1, 0) : middle + 2] = True
    return found


def _clusters(found: Mask, longest: int) -> list[tuple[int, int]]:
    """Runs, those that lie within *longest* frames taken together."""
    clusters: list[tuple[int, int]] = []
    for start, end in runs(found):
        if clusters and end - clusters[-1][0] <= longest:
            clusters[-1] = (clusters[-1][0], end)
        else:
            clusters.append((start, end))
    return clusters


def _apart(clusters: list[tuple[int, int]], distance: int) -> list[list[tuple[int, int]]]:
    """Groups in which each is more than *distance* frames from the next, so that they do not reach one another."""
    groups: list[list[tuple[int, int]]] = []
    for cluster in clusters:
        group = next((each for each in groups if each[-1][1] + distance <= cluster[0]), None)
        if group is None:
            groups.append([cluster])
        else:
            group.append(cluster)
    return groups
