"""Autoregressive models: sound as the answer of an all-pole filter to a small excitation, and gaps filled by them.

Model        e[n] = sum over k = 0..P of a[k] x[n - k], with a[0] = 1
Source       A. J. E. M. Janssen, R. N. J. Veldhuis, L. B. Vries, "Adaptive interpolation of discrete-time signals that
             can be modeled as autoregressive processes", IEEE Trans. ASSP 34, 1986 (`interpolated`);
             J. P. Burg, "Maximum entropy spectral analysis", 1967 (`burg`);
             S. J. Godsill, P. J. W. Rayner, Digital Audio Restoration, 1998.

Conventions: float64, one channel, shape (frames,).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Signal = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Noise added to the model at this level below the signal: it bounds the condition of the equations, and lies under
# the noise of 16 bits.
_FLOOR = 1e-9

# How far the loudness that the model expects bounds what is filled in; 1 would pull it towards silence.
_PRIOR = 1e-3

_CHUNK = 48  # unknown frames that are solved for at once


def autocorrelation(signal: Signal, lags: int) -> Signal:
    """Shape (frames,) -> (lags + 1,)"""
    found: Signal = np.correlate(np.concatenate([signal, np.zeros(lags)]), signal, "valid")
    return found


def toeplitz(first: Signal) -> Signal:
    """The symmetric matrix whose diagonals hold *first*. Shape (n,) -> (n, n)"""
    mirrored = np.concatenate([first[:0:-1], first])
    return sliding_window_view(mirrored, first.size)[::-1]


def fitted(signal: Signal, order: int) -> Signal | None:
    """Coefficients by the autocorrelation method, with a Hann window; None where there is no sound.

    Shape   (frames,) -> (order + 1,)
    """
    lags = autocorrelation(signal * _hann(signal.size), order)
    if lags[0] <= 1e-20 * signal.size:
        return None
    lags[0] *= 1 + _FLOOR
    return predicting(lags)


def predicting(lags: Signal) -> Signal:
    """Coefficients of least excitation for sound of that autocorrelation. Shape (order + 1,), unchanged

    Many are solved by halves: see `_solved`.
    """
    matrix, wanted = toeplitz(lags[:-1]), lags[1:]
    if wanted.size <= _CHUNK:
        return np.concatenate([[1.0], -np.linalg.solve(matrix, wanted)])
    half = wanted.size // 2
    across = matrix[half:, :half]
    both = np.linalg.solve(matrix[:half, :half], np.column_stack([across.T, wanted[:half]]))
    onward, first = both[:, :-1], both[:, -1]
    second = np.linalg.solve(matrix[half:, half:] - across @ onward, wanted[half:] - across @ first)
    return np.concatenate([[1.0], onward @ second - first, -second])


def burg(signal: Signal, order: int) -> Signal:
    """Coefficients by Burg's method: no window, always stable, best for few frames. Shape (frames,) -> (order + 1,)"""
    forward, backward = signal[1:].copy(), signal[:-1].copy()
    coefficients = np.zeros(order + 1)
    coefficients[0] = 1.0
    for step in range(1, order + 1):
        energy = forward @ forward + backward @ backward
        if energy <= 1e-20 * signal.size:
            break
        reflection = -2.0 * (forward @ backward) / energy
        coefficients[: step + 1] += reflection * coefficients[step::-1]
        forward, backward = (forward + reflection * backward)[1:], (backward + reflection * forward)[:-1]
    return coefficients


def excitation(signal: Signal, coefficients: Signal) -> Signal:
    """What the model cannot predict; zeros before the signal. Shape (frames,), unchanged"""
    found: Signal = np.convolve(signal, coefficients)[: signal.size]
    return found


def interpolated(signal: Signal, unknown: Mask, coefficients: Signal) -> Signal:
    """*signal* with its *unknown* frames as the model expects them between all others: least excitation in all.

    The frames themselves are expected to be no louder than the model is by its own excitation: this prior keeps long
    gaps in very predictable sound from growing beyond all bounds. Each group of unknown frames, more than the order
    apart from the next, is a set of equations of its own.
    """
    order = coefficients.size - 1
    lags = np.convolve(coefficients, coefficients[::-1])
    gain = float(np.mean(1.0 / (np.abs(np.fft.rfft(coefficients, 1024)) ** 2 + 1e-12)))
    filled = np.where(unknown, 0.0, signal)
    places = np.flatnonzero(unknown)
    for group in np.split(places, np.flatnonzero(np.diff(places) > order) + 1):
        if not group.size:
            continue
        start, end = group[0] - order, group[-1] + order + 1
        around = filled[max(start, 0) : end]
        if start < 0 or end > signal.size:
            around = np.pad(around, (max(-start, 0), max(end - signal.size, 0)))
        wanted = -np.convolve(around, lags, "valid")[group - group[0]]
        filled[group] = _solved(group, wanted, lags, _PRIOR / gain)
    return filled


def _solved(places: npt.NDArray[np.intp], wanted: Signal, lags: Signal, prior: float) -> Signal:
    """The unknown frames at *places*, from equations that couple those at most the order apart.

    They are put into chunks of which each concerns the next one only, and eliminated one by one: large matrices would
    cost far more, and wake all threads of the linear algebra library for nothing.
    """
    order = lags.size // 2
    chunks, first = [], 0
    for n in range(_CHUNK, places.size):
        if n - first >= _CHUNK and places[n - 1] - places[first] >= order and places.size - n >= _CHUNK // 2:
            chunks.append(slice(first, n))
            first = n
    chunks.append(slice(first, places.size))
    solved = wanted.copy()
    onward: list[Signal] = []
    for index, chunk in enumerate(chunks):
        matrix = _coupling(places[chunk], places[chunk], lags)
        matrix[np.diag_indices(len(matrix))] += prior
        if index:
            coupling = _coupling(places[chunk], places[chunks[index - 1]], lags)
            matrix -= coupling @ onward[-1]
            solved[chunk] -= coupling @ solved[chunks[index - 1]]
        if index == len(chunks) - 1:
            solved[chunk] = np.linalg.solve(matrix, solved[chunk])
        else:
            ahead = _coupling(places[chunk], places[chunks[index + 1]], lags)
            both = np.linalg.solve(matrix, np.column_stack([ahead, solved[chunk]])).astype(np.float64)
            onward.append(both[:, :-1])
            solved[chunk] = both[:, -1]
    for index in range(len(chunks) - 2, -1, -1):
        solved[chunks[index]] -= onward[index] @ solved[chunks[index + 1]]
    return solved


def _coupling(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], lags: Signal) -> Signal:
    order = lags.size // 2
    apart = np.abs(rows[:, np.newaxis] - columns)
    matrix: Signal = np.where(apart <= order, lags[order + np.minimum(apart, order)], 0.0)
    return matrix


@lru_cache(maxsize=8)
def _hann(size: int) -> Signal:
    window: Signal = np.hanning(size + 2)[1:-1]
    window.flags.writeable = False
    return window
