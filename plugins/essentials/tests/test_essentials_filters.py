"""Filters against SciPy, and what a person expects of their names."""

from __future__ import annotations

import numpy as np
import pytest
from pytest import approx
from scipy import signal

from wavechain import Audio, Effect
from wavechain.errors import ParameterError
from wavechain.testing import impulse, music, tone
from wavechain_essentials.filters import BandPass, Highpass, HighShelf, Lowpass, LowShelf, Notch, Peak

RATE = 48_000


def gain_db(stage: Effect, frequency_hz: float) -> float:
    """Level change of a tone, measured by filtering one impulse."""
    response = stage(impulse(sample_rate=RATE, seconds=3)).waveform[0].astype(np.float64)
    turned = np.exp(-2j * np.pi * frequency_hz / RATE * np.arange(len(response)))
    return float(20 * np.log10(abs(np.dot(response, turned)) + 1e-12))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 7, 16])
@pytest.mark.parametrize(("stage", "kind"), [(Highpass, "highpass"), (Lowpass, "lowpass")])
def test_high_and_lowpass_are_scipys_butterworth(stage: type[Highpass], kind: str, order: int):
    before = music()
    after = stage(cutoff_hz=700, order=order)(before).waveform
    expected = signal.sosfilt(
        signal.butter(order, 700, kind, fs=RATE, output="sos"), before.waveform.astype(np.float64)
    )
    assert np.abs(after - expected).max() < 2e-6


@pytest.mark.parametrize("q", [0.5, 1.0, 30.0])
def test_notch_is_scipys(q: float):
    before = music()
    expected = signal.lfilter(*signal.iirnotch(1_000, q, fs=RATE), before.waveform.astype(np.float64))
    # SciPy takes the -3 dB width before the frequencies are bent, the cookbook after: 0.3 % apart at 1 kHz.
    assert np.abs(Notch(frequency_hz=1_000, q=q)(before).waveform - expected).max() < 5e-3


@pytest.mark.parametrize("order", [1, 2, 6])
def test_the_cutoff_is_3_db_down_and_an_octave_on_6_db_for_each_order(order: int):
    stage = Highpass(cutoff_hz=1_000, order=order)
    assert gain_db(stage, 1_000) == approx(-3.01, abs=0.01)
    assert gain_db(stage, 125) - gain_db(stage, 250) == approx(-6.02 * order, abs=0.3)


@pytest.mark.parametrize("db", [-12.0, 6.0])
def test_peak_moves_its_middle_and_nothing_far_away(db: float):
    stage = Peak(frequency_hz=1_000, gain_db=db, q=1)
    assert gain_db(stage, 1_000) == approx(db, abs=0.01)
    assert gain_db(stage, 20) == approx(0, abs=0.05)
    assert gain_db(stage, 22_000) == approx(0, abs=0.1)


def test_a_peak_and_its_opposite_cancel():
    before = music()
    after = (Peak(gain_db=9, q=2) | Peak(gain_db=-9, q=2))(before)
    assert np.abs(after.waveform - before.waveform).max() < 1e-6


@pytest.mark.parametrize("slope", [0.5, 1.0])
def test_shelves_move_their_side_by_all_and_their_corner_by_half(slope: float):
    low = LowShelf(frequency_hz=500, gain_db=8, slope=slope)
    assert [gain_db(low, hz) for hz in (5, 500, 20_000)] == approx([8, 4, 0], abs=0.1)
    high = HighShelf(frequency_hz=2_000, gain_db=-8, slope=slope)
    assert [gain_db(high, hz) for hz in (20, 2_000, 23_000)] == approx([0, -4, -8], abs=0.1)


def test_notch_silences_its_frequency_and_band_pass_keeps_it():
    assert gain_db(Notch(frequency_hz=1_000), 1_000) < -90
    assert gain_db(Notch(frequency_hz=1_000), 2_000) == approx(0, abs=0.1)
    assert gain_db(BandPass(frequency_hz=1_000), 1_000) == approx(0, abs=0.01)
    assert gain_db(BandPass(frequency_hz=1_000, q=10), 1_051) == approx(-3, abs=0.1)


def test_a_steep_filter_at_a_low_frequency_stays_clean():
    hum = tone(1_000, sample_rate=192_000, seconds=1)
    after = Highpass(cutoff_hz=10, order=16)(hum).waveform[0]
    assert np.abs(after[96_000:]).max() == approx(10 ** (-6 / 20), abs=1e-4)


def test_a_filter_of_0_db_changes_nothing():
    before = music()
    assert np.abs(Peak()(before).waveform - before.waveform).max() < 1e-7


def test_a_frequency_above_half_the_sample_rate_is_refused():
    with pytest.raises(
        ParameterError, match=r"stage 1 \(lowpass\): cutoff_hz = 16000 Hz is not between 0 Hz and .*11025 Hz"
    ):
        Lowpass()(Audio.of(np.zeros(100), 22_050))


def test_a_misspelt_parameter_finds_the_right_name():
    with pytest.raises(ParameterError, match=r"highpass has no parameter 'cutof_hz'\. Try: cutoff_hz\."):
        Highpass(cutof_hz=80)
    with pytest.raises(ParameterError, match=r"order = 17 is out of range\. Try: 1 to 16"):
        Highpass(order=17)
