"""Spectra of noise, tones and coded music, beside SciPy's and a codec whose cut-off is known."""

from __future__ import annotations

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx
from scipy import signal as scipy_signal

from wavechain.dsp.spectrum import (
    FRAME,
    HOP,
    AverageSpectrum,
    PowerFrames,
    SpectralDistance,
    SpectrogramSketch,
    power_db,
)


def tone(hertz, amplitude=1.0, *, seconds=2.0, sample_rate=44_100):
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[None]


def noise(amplitude=0.1, *, seconds=2.0, sample_rate=44_100, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return (amplitude * rng.standard_normal((channels, round(seconds * sample_rate)))).astype(np.float32)


def band_music(tilt_db_per_octave, *, seconds=6.0, sample_rate=44_100):
    """Stereo noise that falls towards the treble as music does, in bursts."""
    spectrum = np.fft.rfft(noise(1.0, seconds=seconds, channels=2))
    hertz = np.maximum(np.fft.rfftfreq(round(seconds * sample_rate), 1 / sample_rate), 60)
    falling = np.fft.irfft(spectrum * hertz ** (-tilt_db_per_octave / 6.02), axis=1)
    beats = falling * (0.3 + 0.7 * np.exp(-(np.arange(falling.shape[1]) / sample_rate % 0.5) / 0.12))
    return (0.15 * beats / beats.std()).astype(np.float32)


def spectra(signal, cuts=()):
    frames = PowerFrames(len(signal))
    found = []
    for part in np.split(signal, np.clip(np.cumsum(cuts, dtype=int), 0, signal.shape[1]), axis=1):
        found.extend(frames.push(part))
    found.extend(frames.rest())
    return np.concatenate(found) if found else np.zeros((0, FRAME // 2 + 1), np.float32)


def average(signal, sample_rate=44_100):
    spectrum = AverageSpectrum(sample_rate)
    spectrum.add(spectra(signal))
    return spectrum


def distance(one, other, cuts=()):
    meter = SpectralDistance(len(one))
    places = np.clip(np.cumsum(cuts, dtype=int), 0, one.shape[1])
    for a, b in zip(np.split(one, places, axis=1), np.split(other, places, axis=1), strict=True):
        meter.feed(a, b)
    meter.finish()
    return meter.distance_db


def test_a_full_scale_sine_stands_at_0_db_in_its_bin():
    bin_index = 100
    level = power_db(average(tone(bin_index * 44_100 / FRAME)).power)
    assert level[bin_index] == approx(0.0, abs=0.01)
    assert level[bin_index + 20 :].max() < -75


@pytest.mark.parametrize("channels", [1, 2, 17])
def test_the_average_is_the_one_of_welch(channels):
    signal = noise(channels=channels)
    frames = (signal.shape[1] - FRAME) // HOP + 1
    used = signal[:, : (frames - 1) * HOP + FRAME]
    _, expected = scipy_signal.welch(
        used, window="hann", nperseg=FRAME, noverlap=HOP, scaling="spectrum", detrend=False
    )
    # Welch doubles every bin but the first and the last, and calls a full-scale sine 0.5.
    ours = average(signal).power
    assert ours[1:-1] == approx(2 * expected.mean(axis=0)[1:-1], rel=1e-4)
    assert len(spectra(signal)) == frames


@given(cuts=st.lists(st.integers(1, 40_000), max_size=6))
def test_no_way_of_cutting_the_signal_changes_a_bit(cuts):
    one, other = noise(channels=2), noise(channels=2, seed=1)
    assert np.array_equal(spectra(one, cuts), spectra(one))
    assert distance(one, other, cuts) == distance(one, other)


def test_short_signals_give_one_spectrum_and_none_give_none():
    assert len(spectra(noise(seconds=0.01))) == 1
    assert len(spectra(np.zeros((1, FRAME), np.float32))) == 1
    assert len(spectra(np.zeros((1, 0), np.float32))) == 0


def test_white_noise_reaches_up_to_half_the_sample_rate():
    assert average(noise()).bandwidth_hz() == 22_050
    assert average(noise(1e-3), 8_000).bandwidth_hz() == 4_000


def test_silence_and_the_noise_of_16_bits_hold_no_programme():
    assert average(np.zeros((1, 50_000), np.float32)).bandwidth_hz() == 0
    rng = np.random.default_rng(0)
    dither = (rng.random((1, 100_000)) - rng.random((1, 100_000))) / 32768
    assert average(np.rint(dither * 32768).astype(np.float32) / 32768).bandwidth_hz() == 0


@pytest.mark.parametrize("tilt", [0, 3, 6, 9])
@pytest.mark.parametrize("cutoff_hz", [4_000, 11_000, 16_000])
def test_a_steep_lowpass_is_found_whatever_noise_was_added_after_it(tilt, cutoff_hz):
    lowpass = scipy_signal.firwin(1501, cutoff_hz, fs=44_100, window=("kaiser", 10))
    limited = scipy_signal.fftconvolve(band_music(tilt), lowpass[None], "same", axes=1).astype(np.float32)
    assert average(band_music(tilt)).bandwidth_hz() == 22_050
    for hiss in (0.0, 1e-5):
        found = average(limited + noise(hiss, seconds=6, channels=2)).bandwidth_hz()
        assert found == approx(cutoff_hz, abs=300), hiss


@pytest.mark.parametrize("tilt", [3, 6])
def test_the_shelf_of_an_mp3_at_128_kilobits_is_found(tmp_path, tilt):
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    raw = ["-f", "f32le", "-ar", "44100", "-ac", "2"]
    coded = str(tmp_path / "coded.mp3")
    subprocess.run(
        [*ffmpeg, *raw, "-i", "-", "-c:a", "libmp3lame", "-b:a", "128k", "-cutoff", "16000", coded],
        input=band_music(tilt).T.tobytes(),
        check=True,
    )
    decoded = subprocess.run([*ffmpeg, "-i", coded, *raw, "-"], capture_output=True, check=True).stdout
    back = np.frombuffer(decoded, np.float32).reshape(-1, 2).T.copy()
    assert average(back).bandwidth_hz() == approx(16_000, abs=400)


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_a_sketch_never_has_more_columns_than_it_was_given(pool):
    sketch = SpectrogramSketch(44_100, 32, pool=pool)
    chirp = scipy_signal.chirp(np.arange(40 * 44_100) / 44_100, 0, 40, 20_000)[None].astype(np.float32)
    powers = spectra(chirp)
    for part in np.array_split(powers, 90):
        sketch.add(part)
    assert 16 < sketch.power.shape[1] <= 32
    # The ridge of the chirp runs along the diagonal: 500 Hz a second.
    ridge_hz = sketch.power.argmax(axis=0) * 44_100 / FRAME
    middle = (np.arange(ridge_hz.size - 1) + 0.5) * sketch.seconds_per_column
    assert ridge_hz[:-1] == approx(500 * middle, abs=500 * sketch.seconds_per_column)


def test_a_sketch_of_means_keeps_the_level_and_one_of_maxima_the_click():
    signal = tone(1000, 0.5, seconds=30)
    signal[0, 700_000] += 0.9
    mean, peak = SpectrogramSketch(44_100, 8), SpectrogramSketch(44_100, 8, pool="max")
    for sketch in (mean, peak):
        sketch.add(spectra(signal))
    one_khz, nine_khz = round(1000 * FRAME / 44_100), round(9000 * FRAME / 44_100)
    assert np.ptp(power_db(mean.power[one_khz])) < 0.1
    assert power_db(peak.power[nine_khz].max()) == approx(power_db(mean.power[nine_khz].max()) + 19, abs=3)
    assert mean.seconds_per_column * mean.power.shape[1] == approx(30, abs=mean.seconds_per_column)


def test_an_empty_sketch_has_no_columns():
    assert SpectrogramSketch(44_100, 8).power.shape == (FRAME // 2 + 1, 0)


@pytest.mark.parametrize("columns", [0, 1, 7])
def test_a_sketch_needs_pairs_of_columns(columns):
    with pytest.raises(ValueError, match="even"):
        SpectrogramSketch(44_100, columns)


def test_the_distance_of_a_signal_to_itself_is_0_and_to_half_of_it_6_db():
    signal = noise(channels=2)
    assert distance(signal, signal) == 0.0
    assert distance(signal, 0.5 * signal) == approx(6.02, abs=0.01)
    assert distance(0.5 * signal, signal) == approx(6.02, abs=0.01)


def test_the_distance_agrees_with_a_spectrogram_of_scipy():
    one, other = noise(seconds=1), 0.3 * noise(seconds=1, seed=1) + 0.05 * noise(seconds=1)
    options = {"window": "hann", "nperseg": FRAME, "noverlap": HOP, "detrend": False, "scaling": "spectrum"}
    levels = [10 * np.log10(scipy_signal.spectrogram(signal[0].astype(float), **options)[2]) for signal in (one, other)]
    expected = np.sqrt(np.mean((levels[0] - levels[1]) ** 2, axis=0)).mean()
    assert distance(one, other) == approx(expected, rel=1e-3)


def test_what_nobody_can_hear_in_either_is_no_distance():
    assert distance(noise(1e-9), np.zeros_like(noise())) == 0.0


def test_two_signals_of_different_shape_are_a_mistake():
    with pytest.raises(ValueError, match="one shape"):
        SpectralDistance(1).feed(noise(seconds=1), noise(seconds=2))
