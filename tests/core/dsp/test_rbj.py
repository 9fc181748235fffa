"""Filter designs against their analogue originals: what the name promises, where it promises it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx
from scipy import signal

from wavechain.dsp import rbj
from wavechain.dsp.iir import frequency_response, pole_radius
from wavechain.errors import ParameterError

RATE = 48_000
GRID = np.geomspace(5, 23_900, 300)
FREQUENCIES = st.floats(10, 23_000)
QS = st.floats(0.1, 30)
GAINS = st.floats(-24, 24)


def level_db(sos, frequency_hz, sample_rate=RATE):
    return float(20 * np.log10(np.abs(frequency_response(sos, frequency_hz, sample_rate)) + 1e-300))


def analogue(numerator, denominator, frequency_hz, f=GRID):
    """Response of an analogue filter with its frequency at 1 rad/s, on the bent axis of the bilinear transform."""
    s = 1j * np.tan(np.pi * f / RATE) / np.tan(np.pi * frequency_hz / RATE)
    return np.polyval(numerator, s) / np.polyval(denominator, s)


@pytest.mark.parametrize("order", range(1, 17))
@pytest.mark.parametrize("kind", ["lowpass", "highpass"])
@pytest.mark.parametrize("cutoff_hz", [20, 1_000, 20_000])
def test_butterworth_is_scipys(order, kind, cutoff_hz):
    ours = getattr(rbj, kind)(cutoff_hz, RATE, order)
    theirs = signal.butter(order, cutoff_hz, kind, fs=RATE, output="sos")
    assert ours.shape == ((order + 1) // 2, 6)
    near = GRID[np.abs(np.log2(GRID / cutoff_hz)) < 2]
    np.testing.assert_allclose(
        frequency_response(ours, near, RATE), frequency_response(theirs, near, RATE), rtol=1e-5, atol=1e-9
    )


@pytest.mark.parametrize("order", range(1, 17))
def test_a_cutoff_is_where_the_level_has_fallen_by_3_db(order):
    assert level_db(rbj.lowpass(440, RATE, order), 440) == approx(-3.0103, abs=1e-4)
    assert level_db(rbj.highpass(440, RATE, order), 440) == approx(-3.0103, abs=1e-4)
    assert level_db(rbj.lowpass(440, RATE, order), 0) == approx(0, abs=1e-6)
    assert level_db(rbj.highpass(440, RATE, order), RATE / 2) == approx(0, abs=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3, 8])
def test_each_order_takes_6_db_an_octave(order):
    low = rbj.lowpass(100, 192_000, order)
    fall = level_db(low, 1_600, 192_000) - level_db(low, 3_200, 192_000)
    assert fall == approx(6.02 * order, rel=0.01)


def test_a_cutoff_of_a_hundredth_of_a_hertz_keeps_its_digits():
    sos = rbj.lowpass(0.01, 192_000)
    assert level_db(sos, 0.01, 192_000) == approx(-3.0103, abs=0.01)


@given(frequency_hz=FREQUENCIES, gain_db=GAINS, q=QS)
def test_bells_and_shelves_are_their_analogue_originals(frequency_hz, gain_db, q):
    a = 10 ** (gain_db / 40)
    root = np.sqrt(a) / q
    originals = {
        rbj.peak: ([1, a / q, 1], [1, 1 / (a * q), 1]),
        rbj.low_shelf: ([a, a * root, a * a], [a, root, 1]),
        rbj.high_shelf: ([a * a, a * root, a], [1, root, a]),
    }
    for design, (numerator, denominator) in originals.items():
        ours = frequency_response(design(frequency_hz, RATE, gain_db, q=q), GRID, RATE)
        expected = analogue(numerator, denominator, frequency_hz)
        np.testing.assert_allclose(np.abs(ours), np.abs(expected), rtol=1e-6)
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-8)


@given(frequency_hz=FREQUENCIES, q=QS)
def test_notch_band_pass_and_all_pass_are_their_analogue_originals(frequency_hz, q):
    denominator = [1, 1 / q, 1]
    originals = {rbj.notch: [1, 0, 1], rbj.band_pass: [1 / q, 0], rbj.all_pass: [1, -1 / q, 1]}
    for design, numerator in originals.items():
        ours = frequency_response(design(frequency_hz, RATE, q=q), GRID, RATE)
        np.testing.assert_allclose(ours, analogue(numerator, denominator, frequency_hz), rtol=1e-5, atol=1e-7)


@given(frequency_hz=FREQUENCIES, gain_db=GAINS, q=QS)
def test_every_design_is_stable_and_normalised(frequency_hz, gain_db, q):
    designs = [rbj.peak(frequency_hz, RATE, gain_db, q), rbj.notch(frequency_hz, RATE, q)]
    designs += [rbj.low_shelf(frequency_hz, RATE, gain_db), rbj.high_shelf(frequency_hz, RATE, gain_db)]
    designs += [rbj.lowpass(frequency_hz, RATE, 16), rbj.highpass(frequency_hz, RATE, 15)]
    for sos in designs:
        assert sos.dtype == np.float64
        assert (sos[:, 3] == 1).all()
        assert pole_radius(sos) < 1


def test_a_bell_moves_its_frequency_by_its_gain_and_undoes_itself():
    boost, cut = rbj.peak(440, RATE, 9, q=2), rbj.peak(440, RATE, -9, q=2)
    assert level_db(boost, 440) == approx(9)
    assert level_db(boost, 20_000) == approx(0, abs=0.01)
    both = frequency_response(np.vstack([boost, cut]), GRID, RATE)
    np.testing.assert_allclose(both, 1, rtol=1e-9)


@pytest.mark.parametrize("gain_db", [-12, -1, 6])
def test_a_shelf_moves_one_side_by_its_gain_and_its_frequency_by_half(gain_db):
    low, high = rbj.low_shelf(1_000, RATE, gain_db), rbj.high_shelf(1_000, RATE, gain_db)
    assert [level_db(low, f) for f in (0, 1_000, 24_000)] == approx([gain_db, gain_db / 2, 0], abs=1e-6)
    assert [level_db(high, f) for f in (0, 1_000, 24_000)] == approx([0, gain_db / 2, gain_db], abs=1e-6)


def test_slope_one_is_the_steepest_shelf_without_a_bump():
    def bump_db(slope):
        levels = 20 * np.log10(np.abs(frequency_response(rbj.low_shelf(300, RATE, 12, slope=slope), GRID, RATE)))
        return max(levels.max() - 12, -levels.min())

    assert bump_db(1.0) < 1e-6
    assert bump_db(1.3) > 0.05
    np.testing.assert_array_equal(rbj.low_shelf(300, RATE, 12, slope=1.0), rbj.low_shelf(300, RATE, 12))


def test_a_notch_silences_its_frequency_and_a_band_pass_keeps_it():
    assert level_db(rbj.notch(50, RATE, q=30), 50) < -150
    assert level_db(rbj.notch(50, RATE, q=30), 60) == approx(0, abs=0.1)
    assert level_db(rbj.band_pass(1_000, RATE, q=4), 1_000) == approx(0, abs=1e-9)
    edges = 1_000 * (np.sqrt(1 + 1 / 64) + 1 / 8), 1_000 * (np.sqrt(1 + 1 / 64) - 1 / 8)
    assert [level_db(rbj.band_pass(1_000, RATE, q=4), edge) for edge in edges] == approx([-3.01, -3.01], abs=0.05)


@pytest.mark.parametrize("frequency_hz", [22_050, 30_000, 0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("lowpass", (3,)),
        ("highpass", ()),
        ("peak", (6,)),
        ("low_shelf", (6,)),
        ("high_shelf", (6,)),
        ("notch", ()),
        ("band_pass", ()),
        ("all_pass", ()),
    ],
)
def test_a_frequency_beyond_nyquist_is_refused(name, more, frequency_hz):
    with pytest.raises(ParameterError, match="Nyquist frequency, 22050 Hz at a sample rate of 44100 Hz"):
        getattr(rbj, name)(frequency_hz, 44_100, *more)


def test_the_refusal_names_the_value_and_the_next_step():
    with pytest.raises(ParameterError) as refusal:
        rbj.lowpass(30_000, 44_100)
    assert str(refusal.value) == (
        "cutoff_hz = 30000 Hz is not between 0 Hz and the Nyquist frequency, 22050 Hz at a sample rate of 44100 Hz. "
        "Try: a cutoff_hz below 22050 Hz, or a higher sample rate before this stage."
    )


@pytest.mark.parametrize(
    ("name", "arguments", "settings", "message"),
    [
        ("lowpass", (0,), {}, "order = 0 is not between 1 and 16"),
        ("highpass", (17,), {}, "order = 17 is not between 1 and 16"),
        ("peak", (6,), {"q": 0}, "q = 0 is not above 0"),
        ("peak", (float("nan"),), {}, "gain_db = nan"),
        ("low_shelf", (6,), {"q": 1, "slope": 1}, "q or slope, not both"),
        ("low_shelf", (6,), {"slope": 0}, "slope = 0 is not possible"),
        ("high_shelf", (40,), {"slope": 2}, "slope = 2 is not possible for a shelf of 40 dB"),
    ],
)
def test_impossible_settings_are_refused(name, arguments, settings, message):
    with pytest.raises(ParameterError, match=message):
        getattr(rbj, name)(100, RATE, *arguments, **settings)
