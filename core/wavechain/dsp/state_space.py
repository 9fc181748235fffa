"""Linear systems with state: a recursive filter seen as matrices, and many of its steps taken as one.

A filter with d states is

    s[t+1] = A s[t] + B x[t]          y[t] = C s[t] + D x[t].

Taking K steps at once gives a system of the same form, on rows of K inputs and K outputs:

    s[t+K] = A^K s[t] + [A^(K-1) B ... B] x_row
    y_row  = [C; C A; ...; C A^(K-1)] s[t] + T x_row,    T block lower triangular: the impulse response.

Conventions: float64; second-order sections as b0 b1 b2 a0 a1 a2 with a0 = 1; columns are vectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

# States and matrix entries below this become zero. A float32 input (1e-45 at least) then meets at most four factors of
# 1e-60 on its way through four levels, so no product can be a denormal number, which would cost a hundred times more.
TINY = 1e-60


@dataclass(frozen=True)
class LinearSystem:
    """s' = a s + b x, y = c s + d x."""

    a: Float64
    b: Float64
    c: Float64
    d: Float64

    def then(self, after: LinearSystem) -> LinearSystem:
        """This system's output fed into *after*."""
        corner = np.zeros((len(self.a), len(after.a)))
        return LinearSystem(
            np.block([[self.a, corner], [after.b @ self.c, after.a]]),
            np.vstack([self.b, after.b @ self.d]),
            np.hstack([after.d @ self.c, after.c]),
            after.d @ self.d,
        )

    def lifted(self, steps: int) -> LinearSystem:
        """The same system taking *steps* steps at once."""
        outputs, inputs = self.d.shape
        a = np.eye(len(self.a))
        seen, driven, response = [], [], [self.d]
        for _ in range(steps):
            seen.append(self.c @ a)
            driven.append(a @ self.b)
            response.append(self.c @ driven[-1])
            a = self.a @ a
        toeplitz = np.zeros((steps, outputs, steps, inputs))
        for row in range(steps):
            for column in range(row + 1):
                toeplitz[row, :, column, :] = response[row - column]
        return LinearSystem(
            without_tiny(a),
            without_tiny(np.hstack(driven[::-1])),
            without_tiny(np.vstack(seen)),
            without_tiny(toeplitz.reshape(steps * outputs, steps * inputs)),
        )

    def states_only(self) -> LinearSystem:
        """The system whose input is added to the state and whose output is the state before each step."""
        unit = np.eye(len(self.a))
        return LinearSystem(self.a, unit, unit, np.zeros_like(unit))


def without_tiny(values: Float64) -> Float64:
    """*values* with everything below ``TINY`` set to zero."""
    return np.where(np.abs(values) < TINY, 0.0, values)


def cascade(sos: Float64) -> LinearSystem:
    """The sections one after another, as one system with two states a section.

    Shape   (n, 6) -> d = 2 n states, one input, one output
    """
    return reduce(LinearSystem.then, (_section(b0, b1, b2, a1, a2) for b0, b1, b2, _, a1, a2 in _balanced(sos)))


def _section(b0: float, b1: float, b2: float, a1: float, a2: float) -> LinearSystem:
    """One section in coordinates in which its powers stay accurate.

    In direct-form states [[-a1, 1], [-a2, 0]] the two modes of a low frequency are nearly parallel, and rounding
    A^K to float64 costs up to six digits. With p = -a1/2 (the middle of the two poles), D = p^2 - a2 and the
    states z1 = s1, z2 = (s2 + p s1) / w the same section is

        A = [[p, w], [D / w, p]]        B = [b1 - a1 b0, (b2 - a2 b0 + p (b1 - a1 b0)) / w]        C = [1, 0].

    With w = sqrt|D| that is a scaled rotation (complex poles) or a symmetric matrix (real poles): both perfectly
    conditioned. Coinciding poles have D = 0, so w is at least their distance from the unit circle. The differences
    cancel, hence the fractions. Measured on noise (peak of q 50 at 30 Hz and 192 kHz, against 80-bit arithmetic):
    error -136 dB in direct form, -254 dB here, -217 dB for float64 biquads one frame at a time.
    """
    e0, e1, e2, f1, f2 = (Fraction(float(value)) for value in (b0, b1, b2, a1, a2))
    middle = -f1 / 2
    spread = middle * middle - f2
    width = Fraction(max(math.sqrt(abs(spread)), 1.0 - abs(float(middle))))
    first = e1 - f1 * e0
    second = (e2 - f2 * e0 + middle * first) / width
    return LinearSystem(
        np.array([[float(middle), float(width)], [float(spread / width), float(middle)]]),
        np.array([[float(first)], [float(second)]]),
        np.array([[1.0, 0.0]]),
        np.array([[float(b0)]]),
    )


def _balanced(sos: Float64) -> Float64:
    """The same cascade with its gain spread evenly over the sections.

    Designs put all gain into the first section (1e-35 for a 16th-order band-pass): the signal between sections would
    be near ``TINY``. Only powers of two move, so no coefficient is rounded.
    """
    largest = np.abs(sos[:, :3]).max(axis=1)
    exponents = np.round(np.log2(np.where(largest > 0.0, largest, 1.0)))
    shares = np.diff(np.round(np.linspace(0.0, exponents.sum(), len(sos) + 1)))
    balanced = sos.copy()
    balanced[:, :3] *= np.exp2(shares - exponents)[:, None]
    return balanced
