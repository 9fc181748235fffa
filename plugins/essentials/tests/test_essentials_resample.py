"""Resample: the same sound at the same time, for another clock."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx
from scipy import signal

from wavechain import Audio
from wavechain.errors import ParameterError
from wavechain.testing import impulse, noise, tone
from wavechain_essentials.resample import Resample, resampled_length

QUALITIES = {"quick": "QQ", "low": "LQ", "medium": "MQ", "high": "HQ", "very-high": "VHQ"}


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize(
    "rates", [(44_100, 48_000), (48_000, 44_100), (96_000, 44_100), (44_100, 8_000), (8_000, 48_000)]
)
def test_streamed_resampling_is_soxr_on_the_whole_file(quality: str, rates: tuple[int, int]):
    before = noise(sample_rate=rates[0], channels=2, seconds=0.7)
    after = Resample(sample_rate=rates[1], quality=quality)(before).waveform
    whole = soxr.resample(np.ascontiguousarray(before.waveform.T), *rates, quality=QUALITIES[quality]).T
    common = min(after.shape[1], whole.shape[1])
    assert abs(after.shape[1] - whole.shape[1]) <= 1
    np.testing.assert_array_equal(after[:, :common], whole[:, :common])


@given(frames=st.integers(1, 3_000), old=st.integers(1_000, 192_000), new=st.integers(1_000, 192_000))
def test_the_length_is_exact_for_any_rates(frames: int, old: int, new: int):
    before = Audio.of(np.zeros(frames), old)
    after = Resample(sample_rate=new, quality="quick")(before)
    assert after.frames == resampled_length(frames, old, new)
    assert abs(after.frames / new - frames / old) <= 0.5 / new + 1e-12


@pytest.mark.parametrize("new_rate", [8_000, 16_000, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("quality", ["low", "high", "very-high"])
def test_a_tone_comes_out_as_if_recorded_at_the_new_rate(new_rate: int, quality: str):
    before = tone(997, sample_rate=32_000, seconds=1)
    expected = tone(997, sample_rate=new_rate, seconds=1)
    after = Resample(sample_rate=new_rate, quality=quality)(before)
    middle = slice(new_rate // 4, -new_rate // 4)
    tolerance = {"low": 3e-5, "high": 1e-6, "very-high": 3e-7}[quality]
    assert np.abs(after.waveform - expected.waveform)[:, middle].max() < tolerance


@pytest.mark.parametrize("new_rate", [22_050, 88_200, 132_300])
def test_an_impulse_is_0_frames_off(new_rate: int):
    before = impulse(at=20_000, sample_rate=44_100)
    after = Resample(sample_rate=new_rate)(before)
    assert np.abs(after.waveform[0]).argmax() == 20_000 * new_rate // 44_100


def test_the_response_is_as_flat_and_steep_as_a_long_scipy_filter():
    before = noise(sample_rate=44_100, seconds=2)
    after = Resample(sample_rate=22_050)(before).waveform[0]
    # A linear-phase filter of 2 x 8000 taps, then every second frame: what an ideal resampler does.
    taps = signal.firwin(16_001, 0.5 * (10_064 + 11_500), fs=44_100, window=("kaiser", 14))
    ideal = signal.fftconvolve(before.waveform[0].astype(np.float64), taps, mode="same")[::2]
    low = signal.butter(16, 8_000, fs=22_050, output="sos")
    middle = slice(5_000, -5_000)
    difference = signal.sosfiltfilt(low, after - ideal)[middle]
    assert 20 * np.log10(np.std(difference) / np.std(ideal)) < -90


def test_the_same_rate_changes_no_bit():
    before = noise()
    assert Resample(sample_rate=48_000)(before).waveform is not None
    np.testing.assert_array_equal(Resample(sample_rate=48_000)(before).waveform, before.waveform)


def test_there_and_back_is_nearly_as_if_never():
    before = tone(440, sample_rate=44_100)
    there_and_back = Resample(sample_rate=48_000, quality="very-high") | Resample(
        sample_rate=44_100, quality="very-high"
    )
    after = there_and_back(before)
    assert after.frames == before.frames
    assert after.waveform[:, 5_000:-5_000] == approx(before.waveform[:, 5_000:-5_000], abs=1e-6)


def test_a_rate_must_be_said_and_sensible():
    with pytest.raises(ParameterError, match=r"resample needs sample_rate"):
        Resample()
    with pytest.raises(ParameterError, match=r"sample_rate = 44 is out of range\. Try: 1000 to 768000 Hz"):
        Resample(sample_rate=44)
