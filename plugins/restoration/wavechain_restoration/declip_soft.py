"""declip-soft: puts back peaks that were pressed flat rather than cut off.

A stage that is driven too hard (a preamplifier, a tape, a limiter of the simplest kind) bends what lies above a knee
towards a limit that it never passes. Each frame becomes another by a curve that has no memory, so the curve, once it is
known, can be undone. It is found by what bending does to spectra: products of the distortion fill the valleys between
what sounds. Of all curves, the one is sought whose undoing leaves the valleys deepest: the mean of the spectra in dB,
which by Kolmogorov's theorem is what no linear model can predict. Undoing a curve that was never there fills them, so
clean sound is left as it is.

Source       restoring what a curve without memory did, by what makes the result simplest: A. Taleb, J. Solé-Casals,
             C. Jutten, "Quasi-nonparametric blind inversion of Wiener systems", IEEE Trans. Signal Processing 49, 2001.

Conventions: one curve for all channels and both signs; length unchanged; output exceeds the limit, so also [-1, 1]
where that was full scale; all frames below the knee pass through bit for bit. What lies so near the limit that little
is left of it comes out at one level, for `declip-consistent`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from wavechain import Block, Effect, Processor, Spec, Window, param
from wavechain_restoration.peaks import told

Columns = npt.NDArray[np.float64]

_SECONDS = 3.0  # of the core, and of each side
_COLUMN_SECONDS = 0.023
_COLUMNS = 64
_HZ = (200.0, 16_000.0)
_LOUD = 0.5  # of the highest frame, that the highest of a column is at least
_FLAT, _FEW_FLAT = 0.9995, 8  # so near the highest frame so few of a column may lie: where all is flat, nothing is left
_QUIETEST = 10 ** (-50 / 20)
_SURE = 3.8  # times its standard error, that the mean of the columns must stand out by
# Shares of the limit that the knee is at, and of the highest frame that the limit lies above it: to begin the search
# with, its bounds, and those that tell at a glance whether there is anything to be searched for.
_SEARCHED = (0.25, 0.35, 0.5, 0.65, 0.8, 0.9), (1e-6, 1e-3, 0.01, 0.03, 0.1, 0.3)
_KNEES, _BEYOND = (0.25, 0.97), (1e-7, 0.5)
_GLANCE = (0.4, 0.6, 0.8), (1e-6, 0.02, 0.2)
_GLANCED_COLUMNS = 24
_STEPS = np.geomspace(1, 0.02, 7)
_STEP = 0.1, 1.2  # of the knee, and of the logarithm of how far the limit lies above the highest frame
_MOST_DB = 2.0  # that a column may count against a curve
_HALF_STEP = 2.0**-16  # of 16 bits
_LOST = 0.1  # share of what is put back, from which on half a step may stand for no more
_FADE_SECONDS = 0.02


class DeclipSoft(Effect):
    """Put back peaks that were pressed flat."""

    cost: ClassVar[float] = 60.0

    least_db: float = param(
        0.3,
        unit="dB",
        ge=0.05,
        le=6,
        help="By how much the valleys of loud spectra must deepen, for it to be clipping.",
    )

    def open(self, spec: Spec) -> Processor:
        return _Declip(spec, self)


class _Curve(NamedTuple):
    """What bent the sound: all above *knee* towards *limit*, in the way of *kind*."""

    knee: float
    limit: float
    kind: str

    def undone(self, signal: npt.NDArray[Any]) -> npt.NDArray[Any]:
        room = self.limit - self.knee
        highest, inverse = _highest(self.kind, room), _KINDS[self.kind]
        magnitude = np.abs(signal)
        bent = magnitude > self.knee
        raised = self.knee + room * inverse(np.clip((magnitude[bent] - self.knee) / room, 0, highest))
        done = signal.copy()
        # In quiet sound half a step may be so much that what lies high would come out below where it is.
        done[bent] = np.copysign(np.maximum(raised, magnitude[bent]), signal[bent])
        return done


# Inverses of u = f(v), which rise as v at first and never reach 1.
_KINDS: dict[str, Callable[[Columns], Columns]] = {
    "tanh": np.arctanh,
    "exponential": lambda u: -np.log1p(-u),
    "root": lambda u: u / np.sqrt(1 - u * u),
    "arctan": lambda u: 2 / np.pi * np.tan(np.pi / 2 * u),
}


class _Declip(Window):
    def __init__(self, spec: Spec, stage: DeclipSoft) -> None:
        rate = spec.sample_rate
        core = round(_SECONDS * rate)
        super().__init__(spec, core, core, core=core)
        self._least = stage.least_db
        self._size = 1 << max(6, round(math.log2(_COLUMN_SECONDS * rate)))
        self._hann = np.hanning(self._size + 1)[:-1]
        low, high = (round(hz / rate * self._size) for hz in _HZ)
        self._bins = slice(low, min(high, self._size // 2))  # none, where the rate is too low
        self._fade = np.linspace(0, 1, max(1, round(_FADE_SECONDS * rate)))
        self._curve: _Curve | None = None
        self._last: _Curve | None = None
        self._frames = 0
        self._highest = 0.0

    def compute(self, window: Block) -> Block:
        before, self._curve = self._curve, self._found(window)
        core = window[:, self.left : self.left + self.core]
        if before is None and self._curve is None:
            return core
        signal = core.astype(np.float64)
        undone = signal if self._curve is None else self._curve.undone(signal)
        if before != self._curve:
            fade = self._fade[: core.shape[1]]
            start = signal[:, : fade.size]
            start = start if before is None else before.undone(start)
            undone = undone.copy()
            undone[:, : fade.size] = start + fade * (undone[:, : fade.size] - start)
        changed = undone != signal
        if not changed.any():
            return core
        self._frames += int(np.count_nonzero(changed))
        self._highest = max(self._highest, float(np.abs(undone[changed]).max()))
        self._last = self._curve or before
        return np.where(changed, undone.astype(np.float32), core)

    def _found(self, window: Block) -> _Curve | None:
        """The curve that bent the *window*; that found before, where it holds on or nothing is heard of any.

        It cannot hold on where a frame passes its limit.
        """
        highest = float(np.abs(window).max())
        before = self._curve
        if before is not None and highest > before.limit * (2 - _FLAT):
            before = None
        if highest < _QUIETEST or self._bins.start >= self._bins.stop:
            return before
        columns = self._columns(window, highest)
        if len(columns) < 2:
            return before
        heard = _Heard(columns, self._hann, self._bins, highest)
        held = 0.0 if before is None else float(heard.change(before).mean())
        few = _Heard(columns[:: -(-len(columns) // _GLANCED_COLUMNS)], self._hann, self._bins, highest)
        glance = min(float(few.change(curve).mean()) for curve in _curves(highest, *_GLANCE))
        if before is not None and held <= glance:
            return before
        if glance > -self._least / 4:
            return None
        curve = heard.best()
        change = heard.change(curve)
        mean, error = float(change.mean()), float(change.std()) / math.sqrt(len(change))
        # What is bent nearly all over was shaped so by whoever made it.
        shaped = curve.knee <= 1.1 * _KNEES[0] * curve.limit
        sure = mean <= -max(self._least, _SURE * error) and not shaped
        return curve if sure and (before is None or mean <= held - self._least / 4) else before

    def _columns(self, window: Block, highest: float) -> Columns:
        """Of all channels, what is loud but not all flat: up to `_COLUMNS`, the loudest and the rest alike."""
        half = self._size // 2
        each = [np.abs(channel[: channel.size // half * half]).reshape(-1, half) for channel in window]
        peaks = np.stack([hops.max(axis=1) for hops in each])
        flat = np.stack([(hops > _FLAT * highest).sum(axis=1) for hops in each])
        peaks = np.maximum(peaks[:, :-1], peaks[:, 1:])
        flat = flat[:, :-1] + flat[:, 1:]
        channels, places = np.nonzero((peaks > _LOUD * highest) & (flat <= _FEW_FLAT))
        order = np.argsort(-peaks[channels, places], kind="stable")
        chosen = order[np.linspace(0, order.size - 1, min(order.size, _COLUMNS)).astype(int)]
        views = sliding_window_view(window, self._size, axis=1)[:, ::half]
        columns: Columns = views[channels[chosen], places[chosen]].astype(np.float64)
        return columns

    @property
    def report(self) -> dict[str, Any]:
        if self._last is None:
            return {"left_alone": "no peaks that were pressed flat were found"}
        limit_db, knee_db = (round(20 * math.log10(level), 2) for level in (self._last.limit, self._last.knee))
        return {
            "raised_frames": self._frames,
            "limit_db": limit_db,
            "knee_db": knee_db,
            **told(self._highest, "raised"),
        }


class _Heard:
    """Loud columns of one stretch. Shape (columns, frames)"""

    def __init__(self, columns: Columns, hann: Columns, bins: slice, highest: float) -> None:
        self._columns, self._window, self._bins, self._highest = columns, hann / highest, bins, highest
        self._level = self._mean_db(columns)

    def change(self, curve: _Curve) -> Columns:
        """How the mean of each spectrum in dB changes where the curve is undone: it falls, if that is what bent it.

        Shape   -> (columns,), dB
        """
        return np.minimum(self._mean_db(curve.undone(self._columns)) - self._level, _MOST_DB)

    def best(self) -> _Curve:
        found = min(_curves(self._highest, *_SEARCHED), key=self._mean)
        return min((self._nearest(found._replace(kind=kind)) for kind in _KINDS), key=self._mean)

    def _nearest(self, curve: _Curve) -> _Curve:
        """The best around the *curve*, in smaller and smaller steps."""
        least = self._mean(curve)
        for step in _STEPS:
            moved = True
            while moved:
                moved = False
                for knees, beyonds in ((step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step)):
                    near = self._moved(curve, knees * _STEP[0], beyonds * _STEP[1])
                    if (mean := self._mean(near)) < least:
                        curve, least, moved = near, mean, True
        return curve

    def _moved(self, curve: _Curve, knee: float, beyond: float) -> _Curve:
        share = float(np.clip(curve.knee / curve.limit + knee, *_KNEES))
        above = max(curve.limit / self._highest - 1, _BEYOND[0]) * math.exp(beyond)
        limit = self._highest * (1 + float(np.clip(above, *_BEYOND)))
        return _Curve(share * limit, limit, curve.kind)

    def _mean(self, curve: _Curve) -> float:
        return float(self.change(curve).mean())

    def _mean_db(self, columns: Columns) -> Columns:
        spectra = np.fft.rfft(columns * self._window)[:, self._bins]
        means: Columns = 10 * np.log10(np.square(spectra.real) + np.square(spectra.imag) + 1e-9).mean(axis=1)
        return means


def _curves(highest: float, knees: tuple[float, ...], beyond: tuple[float, ...]) -> Iterator[_Curve]:
    for above in beyond:
        for knee in knees:
            limit = highest * (1 + above)
            yield _Curve(knee * limit, limit, "tanh")


@cache
def _worth(kind: str) -> tuple[Columns, Columns]:
    """How far a curve is pressed, rising to 1, and there: how much half a step is of what is put back, of room 1."""
    pressed = 1 - np.geomspace(1, 1e-7, 1000)
    raised = _KINDS[kind](pressed)
    return pressed[1:], np.gradient(raised, pressed)[1:] / np.maximum(raised[1:], 0.1)


def _highest(kind: str, room: float) -> float:
    """How far a curve can be pressed for what was there to be told from half a step of 16 bits."""
    pressed, worth = _worth(kind)
    return float(pressed[min(int(np.searchsorted(worth, _LOST * room / _HALF_STEP)), pressed.size - 1)])
