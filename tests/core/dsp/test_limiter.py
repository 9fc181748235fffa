"""A limiter that is never heard where nothing is too loud, and never late where something is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx
from scipy import signal

from wavechain.dsp.limiter import Limiter
from wavechain.dsp.peak_envelope import peak_envelope
from wavechain.errors import ParameterError

RATE = 48_000
CORE = 16_384


def limited(waveform, limiter, core=CORE):
    """Limit a whole signal in windows, silence around it."""
    left, right = limiter.context
    channels, frames = waveform.shape
    padded = np.zeros((channels, left + -(-frames // core) * core + right), np.float32)
    padded[:, left : left + frames] = waveform
    starts = range(0, frames, core)
    cores = [limiter.process_window(padded[:, start : start + left + core + right]) for start in starts]
    return np.concatenate(cores, axis=1)[:, :frames]


def tone(frequency_hz, seconds=1.0, amplitude=1.0, phase=0.0, sample_rate=RATE):
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * frequency_hz * t + phase))[None].astype(np.float32)


def noise(channels=2, seconds=1.0, amplitude=0.5, seed=0):
    return (amplitude * np.random.default_rng(seed).standard_normal((channels, round(seconds * RATE)))).astype("f4")


def music_like():
    """Two channels of pink-ish noise that swells twice a second, up to 14 dB over full scale."""
    t = np.arange(2 * RATE) / RATE
    sos = signal.butter(1, 2_000, fs=RATE, output="sos")
    return (signal.sosfilt(sos, noise(2, 2, 2.0)) * (1 + np.sin(4 * np.pi * t))).astype("f4")


def true_peak_db(waveform, oversampling=8):
    """As another interpolator sees it."""
    fine = signal.resample_poly(waveform.astype(np.float64), oversampling, 1, axis=1)
    return 20 * np.log10(np.abs(fine).max())


def sample_peak_db(waveform):
    return 20 * np.log10(np.abs(waveform.astype(np.float64)).max())


LOUD = {
    "a square wave": np.sign(tone(997)) * 1.2,
    "a square wave of eight frames": np.sign(tone(6_000, phase=0.1)),
    "a quarter of the sample rate between its peaks": tone(12_000, amplitude=1.3, phase=np.pi / 4),
    "bursts of it": tone(12_000, amplitude=1.4, phase=np.pi / 4) * (tone(3) > 0.9),
    "18 kHz": tone(18_000, amplitude=1.5),
    "a bass note": tone(100, amplitude=2),
    "music, 16 dB too loud": music_like(),
    "music that was clipped": np.clip(music_like(), -1, 1),
    "clicks": noise(1, 1, 3) * (np.random.default_rng(3).random((1, RATE)) < 0.001),
    "noise up to 21 kHz": signal.sosfilt(signal.ellip(8, 0.1, 90, 21_000, fs=RATE, output="sos"), noise()).astype("f4"),
}


@pytest.mark.parametrize("waveform", LOUD.values(), ids=LOUD)
@pytest.mark.parametrize("lookahead_seconds", [0.001, 0.005])
def test_peaks_stay_under_the_ceiling_also_between_the_samples(waveform, lookahead_seconds):
    after = limited(waveform, Limiter(-1, RATE, lookahead_seconds=lookahead_seconds))
    assert true_peak_db(waveform) > -0.5, "there was something to do"
    assert sample_peak_db(after) <= -1
    assert true_peak_db(after, 4) < -1 + 0.05
    assert true_peak_db(after) < -1 + 0.05


def test_white_noise_up_to_nyquist_stays_within_what_interpolators_agree_on():
    after = limited(noise(), Limiter(-1, RATE))
    assert sample_peak_db(after) <= -1
    assert true_peak_db(after) < -1 + 0.15


@pytest.mark.parametrize("sample_rate", [8_000, 22_050, 44_100, 96_000, 192_000])
def test_every_sample_rate_holds_the_ceiling(sample_rate):
    before = tone(sample_rate / 5, amplitude=1.5, sample_rate=sample_rate) * tone(2, sample_rate=sample_rate)
    after = limited(before, Limiter(-3, sample_rate))
    assert true_peak_db(after) == approx(-3.05, abs=0.05)


@pytest.mark.parametrize("ceiling_db", [-40, -20, 0, 3])
def test_the_loudest_peak_ends_just_below_the_ceiling_no_lower(ceiling_db):
    before = music_like() * np.float32(2)
    assert true_peak_db(limited(before, Limiter(ceiling_db, RATE))) == approx(ceiling_db - 0.05, abs=0.05)


def test_what_is_below_the_ceiling_comes_out_bit_for_bit():
    quiet = noise(amplitude=0.02)
    np.testing.assert_array_equal(limited(quiet, Limiter(-1, RATE)), quiet)
    close = tone(440, amplitude=0.89)
    np.testing.assert_array_equal(limited(close, Limiter(-1, RATE)), close)


def test_limiting_twice_is_limiting_once():
    once = limited(music_like(), Limiter(-1, RATE))
    np.testing.assert_array_equal(limited(once, Limiter(-1, RATE)), once)


def test_far_from_a_peak_every_sample_is_untouched():
    before = noise(1, 1, 0.05)
    before[0, 24_000] = 3
    limiter = Limiter(-1, RATE, lookahead_seconds=0.005, release_seconds=0.1)
    after = limited(before, limiter)
    changed = np.flatnonzero(after[0] != before[0])
    assert 24_000 - 0.0052 * RATE < changed[0] < 24_000 - 0.0035 * RATE
    assert 24_000 + 0.09 * RATE < changed[-1] < 24_000 + 0.1055 * RATE


def test_gain_falls_without_a_jump_and_arrives_in_time():
    before = np.full((1, RATE), 0.2, np.float32)
    before[0, 24_000:24_010] = 1
    gain = limited(before, Limiter(-12, RATE))[0] / before[0]
    assert 0.22 < gain[24_000] < 10 ** (-12 / 20), "a pulse overshoots by 9 % between its samples"
    assert np.abs(np.diff(gain)).max() < 0.01, "5 ms to fall by 12 dB"
    falling, rising = gain[23_700:24_001], gain[24_010 + 1_300 :]
    assert (np.diff(falling) <= 1e-6).all()
    assert (np.diff(rising) >= -1e-6).all()


@pytest.mark.parametrize("frequency_hz", [25, 50, 100, 1_000])
def test_a_steady_loud_tone_stays_a_pure_tone(frequency_hz):
    after = limited(tone(frequency_hz, 2, amplitude=2), Limiter(-1, RATE))[0, RATE // 2 : 3 * RATE // 2]
    spectrum = np.abs(np.fft.rfft(after.astype(np.float64) * np.blackman(RATE))) ** 2
    fundamental = spectrum[frequency_hz - 4 : frequency_hz + 5].sum()
    assert 10 * np.log10((spectrum.sum() - fundamental) / fundamental) < -120, "THD+N; measured -132 dB"


def test_channels_share_one_gain_so_that_the_stereo_image_stands_still():
    left = music_like()[0]
    before = np.stack([left, 0.25 * left, np.zeros_like(left)])
    after = limited(before, Limiter(-1, RATE))
    np.testing.assert_allclose(after[1], 0.25 * after[0], rtol=1e-6)
    assert not after[2].any()


def test_windows_of_another_length_give_the_same_sound():
    before = music_like()
    limiter = Limiter(-1, RATE)
    np.testing.assert_allclose(limited(before, limiter, 65_536), limited(before, limiter, 4_096), rtol=1e-5, atol=1e-7)


@settings(max_examples=15)
@given(cuts=st.lists(st.one_of(st.integers(1, 3), st.integers(1, 9_000)), max_size=12))
def test_any_cut_of_the_stream_gives_the_same_bits(cuts):
    before = music_like()[:, : sum(cuts)]
    limiter = Limiter(-6, RATE)
    left, right = limiter.context
    core = 2_048
    held = np.zeros((2, left), np.float32)
    pieces = [np.zeros((2, 0), np.float32)]
    for block in [*np.split(before, np.cumsum(cuts), axis=1), np.zeros((2, right + core), np.float32)]:
        held = np.concatenate([held, block], axis=1)
        while held.shape[1] >= left + core + right:
            pieces.append(limiter.process_window(held[:, : left + core + right]))
            held = held[:, core:]
    streamed = np.concatenate(pieces, axis=1)[:, : before.shape[1]]
    if before.shape[1]:
        np.testing.assert_array_equal(streamed, limited(before, Limiter(-6, RATE), core))


def test_the_window_is_left_as_it_was():
    limiter = Limiter(-6, RATE)
    window = noise(2, 1, 1.0)[:, : sum(limiter.context) + 4_096]
    kept = window.copy()
    core = limiter.process_window(window)
    assert core.shape == (2, 4_096)
    assert core.dtype == np.float32
    assert core.flags.c_contiguous
    np.testing.assert_array_equal(window, kept)


def test_the_envelope_finds_the_top_between_two_frames():
    envelope = peak_envelope(tone(12_000, amplitude=0.5, phase=np.pi / 4))
    assert envelope.shape == (RATE,)
    assert envelope[1_000:-1_000].max() == approx(0.5, rel=0.001)
    assert tone(12_000, amplitude=0.5, phase=np.pi / 4).max() == approx(0.354, abs=0.001)


@pytest.mark.parametrize("frequency_hz", [100, 1_000, 7_777, 12_000, 15_000, 19_000])
@pytest.mark.parametrize("oversampling", [4, 8])
def test_the_envelope_of_a_sine_reaches_its_amplitude_at_every_wave(frequency_hz, oversampling):
    envelope = peak_envelope(tone(frequency_hz, phase=0.3), oversampling=oversampling)[1_000:-1_000]
    half_wave = int(np.ceil(RATE / frequency_hz / 2)) + 1
    waves = np.lib.stride_tricks.sliding_window_view(envelope, half_wave).max(axis=1)
    assert 20 * np.log10(waves.min()) > -0.05
    assert 20 * np.log10(waves.max()) < 0.05


def test_an_envelope_above_a_level_is_the_same_where_it_matters():
    waveform = music_like()
    full, above = peak_envelope(waveform), peak_envelope(waveform, above=0.9)
    assert (above <= full).all()
    np.testing.assert_array_equal(above[full > 0.9], full[full > 0.9])
    assert (above[full <= 0.9] <= 0.9).all()


@pytest.mark.parametrize("frames", [1, 2, 511, 512, 513])
def test_an_envelope_is_as_long_as_its_signal_and_never_below_it(frames):
    waveform = noise(3)[:, :frames]
    envelope = peak_envelope(waveform)
    assert envelope.shape == (frames,)
    assert (envelope >= np.abs(waveform).max(axis=0)).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ceiling_db": float("nan")}, "ceiling_db = nan is not between -120 and 60"),
        ({"lookahead_seconds": 0}, "lookahead_seconds = 0 is not above 0"),
        ({"release_seconds": 11}, "release_seconds = 11 is not above 0 and at most 10"),
    ],
)
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(ParameterError, match=message):
        Limiter(**{"ceiling_db": -1, "sample_rate": RATE} | wrong)


def test_a_core_that_would_shift_the_grid_of_blocks_is_refused():
    limiter = Limiter(-1, RATE)
    with pytest.raises(ValueError, match="a core of 1001 frames is not a multiple of 8"):
        limiter.process_window(np.zeros((1, sum(limiter.context) + 1_001), np.float32))
