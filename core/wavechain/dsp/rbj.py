"""Filter designs as second-order sections: Butterworth of any order, and the everyday equaliser bells and shelves.

Every design is an analogue filter moved to discrete time by the bilinear transform, bent so that its named
frequency is exact: the response at f is the analogue one at s = j tan(pi f / fs) / tan(pi f0 / fs). Hence nothing is
exact but the named frequency, 0 Hz and the Nyquist frequency, and bandwidths shrink towards the latter.

Conventions: frequencies and sample rates in Hz, gains in dB; float64 (n, 6) as b0 b1 b2 a0 a1 a2, a0 = 1; with
A = 10^(gain_db / 40), w0 = 2 pi f0 / fs and alpha = sin(w0) / (2 q).

Source: Robert Bristow-Johnson, Cookbook formulae for audio equalizer biquad filter coefficients; S. Butterworth,
On the theory of filter amplifiers, 1930.
"""

from __future__ import annotations

import math

import numpy as np

from wavechain.dsp.state_space import Float64
from wavechain.errors import ParameterError

BUTTERWORTH_Q = math.sqrt(0.5)
MAX_ORDER = 16


def lowpass(cutoff_hz: float, sample_rate: float, order: int = 2) -> Float64:
    """Butterworth low-pass: -3.01 dB at the cutoff, then 6 dB an octave for each order.

    Shape   -> (ceil(order / 2), 6): for an odd order the first section is of first order
    Raises  ParameterError for a cutoff outside (0, Nyquist) or an order outside 1..16
    """
    return _butterworth(cutoff_hz, sample_rate, order, high=False)


def highpass(cutoff_hz: float, sample_rate: float, order: int = 2) -> Float64:
    """Butterworth high-pass: the mirror image of ``lowpass``."""
    return _butterworth(cutoff_hz, sample_rate, order, high=True)


def low_shelf(
    frequency_hz: float,
    sample_rate: float,
    gain_db: float,
    *,
    q: float | None = None,
    slope: float | None = None,
) -> Float64:
    """Everything far below the frequency moves by ``gain_db``, the frequency itself by half of it.

    ``slope`` 1 (the default) is the steepest shelf without a bump; ``q`` is the other way to say the same.

    Shape   -> (1, 6)
    Raises  ParameterError for a value out of range, or for q and slope together
    """
    return _shelf(frequency_hz, sample_rate, gain_db, q, slope, high=False)


def high_shelf(
    frequency_hz: float,
    sample_rate: float,
    gain_db: float,
    *,
    q: float | None = None,
    slope: float | None = None,
) -> Float64:
    """Everything far above the frequency moves by ``gain_db``: the mirror image of ``low_shelf``."""
    return _shelf(frequency_hz, sample_rate, gain_db, q, slope, high=True)


def peak(frequency_hz: float, sample_rate: float, gain_db: float, q: float = 1.0) -> Float64:
    """A bell: ``gain_db`` at the frequency, nothing far away; a gain and its negative cancel exactly.

    Shape   -> (1, 6)
    Raises  ParameterError for a value out of range
    """
    cosine, alpha = _angle(frequency_hz, sample_rate, q)
    amplitude = _amplitude(gain_db)
    return _normalised(
        (1.0 + alpha * amplitude, -2.0 * cosine, 1.0 - alpha * amplitude),
        (1.0 + alpha / amplitude, -2.0 * cosine, 1.0 - alpha / amplitude),
    )


def notch(frequency_hz: float, sample_rate: float, q: float = 10.0) -> Float64:
    """Silence at the frequency; -3 dB over a width of frequency / q.

    Shape   -> (1, 6)
    Raises  ParameterError for a value out of range
    """
    cosine, alpha = _angle(frequency_hz, sample_rate, q)
    return _normalised((1.0, -2.0 * cosine, 1.0), (1.0 + alpha, -2.0 * cosine, 1.0 - alpha))


def band_pass(frequency_hz: float, sample_rate: float, q: float = 1.0) -> Float64:
    """0 dB at the frequency, -3 dB over a width of frequency / q, 6 dB an octave beyond.

    Shape   -> (1, 6)
    Raises  ParameterError for a value out of range
    """
    cosine, alpha = _angle(frequency_hz, sample_rate, q)
    return _normalised((alpha, 0.0, -alpha), (1.0 + alpha, -2.0 * cosine, 1.0 - alpha))


def all_pass(frequency_hz: float, sample_rate: float, q: float = BUTTERWORTH_Q) -> Float64:
    """0 dB everywhere; the phase turns by a full circle, half of it at the frequency.

    Shape   -> (1, 6)
    Raises  ParameterError for a value out of range
    """
    cosine, alpha = _angle(frequency_hz, sample_rate, q)
    denominator = (1.0 + alpha, -2.0 * cosine, 1.0 - alpha)
    return _normalised((denominator[2], denominator[1], denominator[0]), denominator)


def check_frequency(frequency_hz: float, sample_rate: float, name: str = "frequency_hz") -> None:
    """Refuse a frequency that is not inside (0, Nyquist)."""
    nyquist = sample_rate / 2.0
    if not 0.0 < frequency_hz < nyquist:
        raise ParameterError(
            f"{name} = {frequency_hz:g} Hz is not between 0 Hz and the Nyquist frequency, {nyquist:g} Hz "
            f"at a sample rate of {sample_rate:g} Hz.",
            hint=f"a {name} below {nyquist:g} Hz, or a higher sample rate before this stage.",
        )


def _butterworth(cutoff_hz: float, sample_rate: float, order: int, *, high: bool) -> Float64:
    """Poles evenly on a half circle: pairs with q = 1 / (2 cos angle), gentle ones first, so that no section
    between overshoots; an odd order has one real pole more."""
    if not 1 <= order <= MAX_ORDER:
        raise ParameterError(f"order = {order} is not between 1 and {MAX_ORDER}.", hint=f"order = {MAX_ORDER} or less.")
    check_frequency(cutoff_hz, sample_rate, "cutoff_hz")
    half_angle = math.pi * cutoff_hz / sample_rate
    # (1 - cos w0) / 2 and (1 + cos w0) / 2, in a form that keeps its digits at low frequencies.
    edge = math.cos(half_angle) ** 2 if high else math.sin(half_angle) ** 2
    sign = -1.0 if high else 1.0
    sections = []
    if order % 2:
        tangent = math.tan(half_angle)
        gain = 1.0 if high else tangent
        sections.append(_normalised((gain, sign * gain, 0.0), (tangent + 1.0, tangent - 1.0, 0.0)))
    for pair in range(order // 2):
        from_real_axis = math.pi * (2 * pair + 1 + order % 2) / (2 * order)
        cosine, alpha = _angle(cutoff_hz, sample_rate, 0.5 / math.cos(from_real_axis))
        sections.append(_normalised((edge, sign * 2.0 * edge, edge), (1.0 + alpha, -2.0 * cosine, 1.0 - alpha)))
    return np.vstack(sections)


def _shelf(
    frequency_hz: float,
    sample_rate: float,
    gain_db: float,
    q: float | None,
    slope: float | None,
    *,
    high: bool,
) -> Float64:
    if q is not None and slope is not None:
        raise ParameterError(
            f"A shelf takes q or slope, not both: q = {q:g}, slope = {slope:g}.",
            hint="leave one of them out.",
        )
    amplitude = _amplitude(gain_db)
    if q is None:
        q = _q_of_slope(amplitude, gain_db, 1.0 if slope is None else slope)
    cosine, alpha = _angle(frequency_hz, sample_rate, q)
    # The high shelf is the low shelf with the frequency axis turned round: cos -> -cos, and b1, a1 change sign.
    turn = -1.0 if high else 1.0
    cosine *= turn
    more, less = amplitude + 1.0, amplitude - 1.0
    root = 2.0 * math.sqrt(amplitude) * alpha
    return _normalised(
        (
            amplitude * (more - less * cosine + root),
            turn * 2.0 * amplitude * (less - more * cosine),
            amplitude * (more - less * cosine - root),
        ),
        (
            more + less * cosine + root,
            turn * -2.0 * (less + more * cosine),
            more + less * cosine - root,
        ),
    )


def _q_of_slope(amplitude: float, gain_db: float, slope: float) -> float:
    squared = (amplitude + 1.0 / amplitude) * (1.0 / slope - 1.0) + 2.0 if slope > 0.0 else 0.0
    if not squared > 0.0:
        raise ParameterError(
            f"slope = {slope:g} is not possible for a shelf of {gain_db:g} dB.",
            hint="a slope above 0, up to 1.",
        )
    return 1.0 / math.sqrt(squared)


def _angle(frequency_hz: float, sample_rate: float, q: float) -> tuple[float, float]:
    """cos w0 and alpha."""
    check_frequency(frequency_hz, sample_rate)
    if not (q > 0.0 and math.isfinite(q)):
        raise ParameterError(f"q = {q:g} is not above 0.", hint="q between 0.1 (wide) and 30 (narrow).")
    angle = 2.0 * math.pi * frequency_hz / sample_rate
    return math.cos(angle), math.sin(angle) / (2.0 * q)


def _amplitude(gain_db: float) -> float:
    if not abs(gain_db) <= 200.0:
        raise ParameterError(f"gain_db = {gain_db:g} is not between -200 and 200.", hint="a smaller gain_db.")
    return float(10.0 ** (gain_db / 40.0))


def _normalised(b: tuple[float, float, float], a: tuple[float, float, float]) -> Float64:
    """One section, divided by a0."""
    return np.array([[*b, *a]], np.float64) / a[0]
