"""ar-fill: fills dropouts with what the sound on both sides of them leads to.

A dropout is a stretch that falls to nothing at once and comes back at once: on both sides the level within a
millisecond of the edge is near that of the 20 ms beyond. A fade of one or two milliseconds at the edge is part of the
gap. Pauses, slower fades and decays have no such edges, and stay.
Autoregressive models of high order, one of the sound before and one of the sound after (Burg's method), run on into
the gap from both ends, and a raised cosine leads from one to the other: I. Kauppinen, K. Roth, "Audio signal
extrapolation: theory and applications", DAFx 2002. A model that could not tell its own last frames, or that grows
louder than the sound it was made of, is turned down.

Conventions: any channel count, each by itself; length unchanged; frames outside gaps pass through bit for bit.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from wavechain import Effect, Processor, Spec, param
from wavechain_restoration.ar import Mask, Signal, burg
from wavechain_restoration.in_order import InOrder
from wavechain_restoration.runs import runs

_CONTEXT_SECONDS = 0.08
_LEVEL_SECONDS = 0.02
_EDGE_SECONDS = 0.0015
_FADE_SECONDS = 0.002
_FADED = 0.4  # of the level, below which the first half millisecond beside a gap belongs to a fade
_FADED_STEPS = 0.9  # the same of the differences from frame to frame
_FULL = 0.3  # of the level, that there is after it
_EDGE_DB = 14.0
_TRIAL = 3  # the part of the context that tells how far it can be trusted
_PARTS = 4
_QUIETEST = 10 ** (-60 / 20)


class ArFill(Effect):
    """Fill short dropouts."""

    cost: ClassVar[float] = 60.0

    shortest_ms: float = param(2.0, unit="ms", ge=0.5, le=50, help="Gaps shorter than this are left alone.")
    longest_ms: float = param(100.0, unit="ms", ge=1, le=200, help="Gaps longer than this are left alone.")
    depth_db: float = param(
        40.0, unit="dB", ge=20, le=120, help="How far below the sound around it a gap lies, in all of its frames."
    )

    def open(self, spec: Spec) -> Processor:
        return _Fill(spec, self)


class _Fill(InOrder):
    def __init__(self, spec: Spec, stage: ArFill) -> None:
        rate = spec.sample_rate
        self._context = round(_CONTEXT_SECONDS * rate)
        self._level = round(_LEVEL_SECONDS * rate)
        self._edge = max(4, round(_EDGE_SECONDS * rate))
        self._fade = round(_FADE_SECONDS * rate)
        self._shortest = max(2, round(stage.shortest_ms * rate / 1000))
        self._longest = round(stage.longest_ms * rate / 1000)
        self._depth = 10 ** (-stage.depth_db / 20)
        self._order = min(1000, self._context // 4)
        super().__init__(
            spec, self._context + self._fade, round(0.25 * rate), self._longest + self._context + self._fade + 1
        )
        self._gaps = 0
        self._seconds = 0.0

    def mend(self, window: Signal, channel: int, frames: int) -> Mask | None:
        filled = np.zeros(window.size, bool)
        # Hops of half a millisecond find the place, frames its edges.
        hop = max(2, self._shortest // 4)
        peaks = np.abs(window[: window.size // hop * hop]).reshape(-1, hop).max(axis=1)
        loudest = float(peaks.max())
        if loudest < _QUIETEST:
            return None
        for first, last in runs(peaks <= self._depth * loudest):
            gap = self._edges(window, first * hop, last * hop)
            if gap is None:
                continue
            start, end = gap
            if self.left <= start < self.left + frames and not filled[start:end].any():
                window[start:end] = self._bridge(
                    window[start - self._context : start], window[end:][: self._context], end - start
                )
                filled[start:end] = True
                self._gaps += 1
                self._seconds += (end - start) / self.spec.sample_rate
        return filled

    def _edges(self, window: Signal, start: int, end: int) -> tuple[int, int] | None:
        """The frames of the gap around the hops from *start* to *end*, or None when it is none."""
        before, after = (
            window[max(0, start - self._level - self._edge) : start],
            window[end : end + self._level + self._edge],
        )
        if before.size < self._level or after.size < self._level:
            return None
        around = min(_rms(before), _rms(after))
        floor = self._depth * around
        # The hops at both ends may hold the last of a fade.
        quiet = runs(np.abs(window[start:end]) <= floor)
        if around < _QUIETEST or not quiet:
            return None
        first, last = max(quiet, key=lambda run: run[1] - run[0])
        start, end = start + first, start + last
        while start > 0 and abs(window[start - 1]) <= floor:
            start -= 1
        while end < window.size and abs(window[end]) <= floor:
            end += 1
        if (
            not self._shortest <= end - start <= self._longest
            or start < self._context + self._fade
            or end + self._context + self._fade > window.size
        ):
            return None
        fades = self._fade_of(window[:start][::-1]), self._fade_of(window[end:])
        return None if fades[0] is None or fades[1] is None else (start - fades[0], end + fades[1])

    def _fade_of(self, beside: Signal) -> int | None:
        """How many frames *beside* a gap, counted from it, belong to its fade; None where there is no edge."""
        level, at_once = _rms(beside[: self._level]), _rms(beside[: self._edge])
        after_fade = _rms(beside[self._fade : self._fade + self._edge])
        if at_once < 10 ** (-_EDGE_DB / 20) * level and after_fade < _FULL * level:
            return None
        # Where the sound itself crosses zero, its steps are large; in a fade they are not.
        steps, first = np.diff(beside[: self._level]), self._edge // 3
        faded = _rms(beside[:first]) < _FADED * level and _rms(steps[:first]) < _FADED_STEPS * _rms(steps)
        return self._fade if faded else 0

    def _bridge(self, before: Signal, after: Signal, count: int) -> Signal:
        onward = self._trusted(before, count)
        back = self._trusted(after[::-1], count)[::-1]
        fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)
        bridge: Signal = onward + fade * (back - onward)
        return bridge

    def _trusted(self, signal: Signal, count: int) -> Signal:
        """What *signal* leads to, as far as its own last frames could be told from those before them.

        Where they could not, less error comes of less sound: in each part of the trial the share of the prediction
        that agrees with what came is kept, and never more than in the part before.
        """
        trial = min(count, signal.size // _TRIAL)
        told = _continued(signal[:-trial], (signal.size - trial) // 4, trial)
        came = signal[-trial:]
        share = np.empty(_PARTS)
        for part, (mine, true) in enumerate(
            zip(np.array_split(told, _PARTS), np.array_split(came, _PARTS), strict=True)
        ):
            share[part] = max(0.0, float(mine @ true)) / (float(mine @ mine) + 1e-12)
        share = np.minimum.accumulate(np.minimum(share, 1.0))
        trusted: Signal = _continued(signal, self._order, count) * _along(share, trial, count)
        return trusted * _bounding(trusted, signal[-self._level :])

    @property
    def report(self) -> dict[str, Any]:
        if not self._gaps:
            return {"left_alone": "no dropouts were found"}
        return {"filled_gaps": self._gaps, "filled_seconds": round(self._seconds, 3)}


def _rms(signal: Signal) -> float:
    return math.sqrt(float(signal @ signal) / signal.size)


def _bounding(signal: Signal, beside: Signal) -> Signal:
    """Gains that turn *signal* down where it grows louder than any stretch of *beside* as long, and from there on.

    Shape   (frames,), (any,) -> (frames,)
    """
    parts = np.array_split(signal, min(_PARTS, signal.size))
    known = np.array_split(beside, max(1, beside.size // parts[0].size))
    levels, loudest = np.array([_rms(part) for part in parts]), max(_rms(part) for part in known)
    gains = np.minimum.accumulate(np.minimum(loudest / np.maximum(levels, 1e-12), 1.0)) ** 4
    return _along(gains, signal.size, signal.size)


def _along(gains: Signal, frames: int, count: int) -> Signal:
    """From 1 at the edge, where the sound is known, through the *gains* of equal parts of *frames*, and on at the last.

    Shape   (parts,) -> (count,)
    """
    knots = (np.arange(gains.size) + 0.5) * (frames / gains.size)
    along: Signal = np.interp(np.arange(count), np.concatenate([[0.0], knots]), np.concatenate([[1.0], gains]))
    return along


def _continued(signal: Signal, order: int, count: int) -> Signal:
    """The next *count* frames, as the model of *signal* predicts them without excitation."""
    model = burg(signal, order)
    predictor = -model[:0:-1]
    run = np.concatenate([signal[-order:], np.zeros(count)])
    for n in range(order, order + count):
        run[n] = predictor @ run[n - order : n]
    return run[order:]
