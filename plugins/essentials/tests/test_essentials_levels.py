"""Gain, polarity, DC removal, fade, normalize: levels as a meter shows them."""

from __future__ import annotations

import numpy as np
import pytest
from pytest import approx

from wavechain import Audio
from wavechain.dsp.true_peak import TruePeakMeter
from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.testing import music, noise, silence, tone
from wavechain_essentials.dc_removal import DcRemoval
from wavechain_essentials.fade import Fade, rise
from wavechain_essentials.gain import Gain
from wavechain_essentials.normalize import Normalize
from wavechain_essentials.polarity import Polarity


def rms_dbfs(audio: Audio) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(audio.waveform.astype(np.float64) ** 2))))


def true_peak_dbtp(audio: Audio) -> float:
    meter = TruePeakMeter(audio.sample_rate, audio.channels)
    meter.feed(audio.waveform)
    meter.finish()
    return meter.true_peak_dbtp


@pytest.mark.parametrize("gain_db", [-60.0, -6.0, 0.0, 3.0, 20.0])
def test_gain_moves_the_level_by_exactly_its_name(gain_db: float):
    before = tone(440)
    assert rms_dbfs(Gain(gain_db=gain_db)(before)) - rms_dbfs(before) == approx(gain_db, abs=1e-4)


def test_no_gain_changes_no_bit():
    before = music()
    np.testing.assert_array_equal(Gain()(before).waveform, before.waveform)


def test_gain_refuses_what_would_hurt():
    with pytest.raises(ParameterError, match=r"gain: gain_db = 90 is out of range\. Try: -120 to 60 dB\."):
        Gain(gain_db=90)


def test_polarity_and_the_original_cancel():
    before = music()
    assert not (Polarity()(before).waveform + before.waveform).any()


def test_polarity_of_one_channel_leaves_the_other():
    before = music()
    after = Polarity(channels=[1])(before)
    np.testing.assert_array_equal(after.waveform, before.waveform * np.float32([[1], [-1]]))


def test_polarity_names_the_channel_that_is_not_there():
    with pytest.raises(SpecMismatchError, match=r"there is no channel 2; the stream has 2, counted from 0"):
        Polarity(channels=[2])(music(seconds=0.1))


@pytest.mark.parametrize("mode", ["mean", "highpass"])
def test_an_offset_goes_and_the_tone_stays(mode: str):
    clean = tone(440, seconds=4, channels=2)
    hanging = Audio(clean.waveform + np.float32([[0.1], [-0.02]]), clean.sample_rate)
    after = DcRemoval(mode=mode)(hanging).waveform
    middle = slice(clean.sample_rate, -clean.sample_rate)
    assert np.abs(after[:, middle].mean(axis=1)).max() < 1e-4
    assert np.abs(after - clean.waveform)[:, middle].max() < (1e-6 if mode == "mean" else 0.01)


def test_fades_begin_and_end_in_silence_and_leave_the_middle():
    before = Audio.of(np.ones((2, 48_000)), 48_000)
    after = Fade(fade_in_seconds=0.25, fade_out_seconds=0.5)(before).waveform
    assert not after[:, [0, -1]].any()
    assert (after[:, 12_000:-24_000] == 1).all()
    assert (np.diff(after[0, :12_000]) >= 0).all()
    assert (np.diff(after[0, -24_000:]) <= 0).all()


def test_fades_that_meet_multiply():
    before = Audio.of(np.ones(1000), 1000)
    after = Fade(fade_in_seconds=1, fade_out_seconds=1, curve="linear")(before).waveform[0]
    climb = np.arange(1000) / 1000
    assert after == approx(climb * climb[::-1], abs=1e-6)


def test_a_fade_longer_than_the_file_ends_in_silence():
    after = Fade(fade_out_seconds=2, curve="linear")(Audio.of(np.ones(1000), 1000)).waveform[0]
    assert after[0] == approx(0.4995)
    assert after[-1] == 0


def test_equal_power_fades_cross_at_minus_3_db():
    assert rise(1000, "equal-power")[500] ** 2 == approx(0.5, abs=1e-6)


def test_an_exponential_fade_climbs_evenly_in_db():
    climb = np.diff(20 * np.log10(rise(1000, "exponential")[300:]))
    assert climb == approx(60 / 1000, rel=0.15)


def test_an_s_curve_has_no_corners():
    curve = rise(1000, "s-curve")
    assert curve[500] == approx(0.5, abs=1e-6)
    assert max(curve[1] - curve[0], 1 - curve[-1]) < 1e-5


@pytest.mark.parametrize("target_db", [-12.0, -1.0, 0.0])
def test_normalize_puts_the_highest_sample_on_the_target(target_db: float):
    after = Normalize(mode="peak", target_db=target_db)(noise(channels=2))
    assert 20 * np.log10(np.abs(after.waveform).max()) == approx(target_db, abs=1e-4)


def test_normalize_true_peak_sees_between_the_samples():
    # A quarter of the sample rate, 45 degrees off: every sample is 3 dB below the wave's top.
    phase = np.pi / 2 * np.arange(48_000) + np.pi / 4
    before = Audio.of(0.5 * np.sin(phase) * np.hanning(48_000), 48_000)
    after = Normalize(target_db=-1)(before)
    assert true_peak_dbtp(after) == approx(-1, abs=0.01)
    assert 20 * np.log10(np.abs(after.waveform).max()) == approx(-4.01, abs=0.05)


def test_normalize_keeps_the_balance():
    before = Audio(music().waveform * np.float32([[1], [0.25]]), 48_000)
    factors = Normalize()(before).waveform / np.where(before.waveform, before.waveform, 1)
    assert np.ptp(factors[before.waveform != 0]) < 1e-5


def test_normalize_leaves_silence_alone():
    assert not Normalize()(silence()).waveform.any()
