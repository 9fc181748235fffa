"""Metrics against formulas written otherwise, values that can be worked out, and what they must not notice."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal

from wavechain.registry import registry
from wavechain.testing import music

RATE = 44_100
SOUND = music(sample_rate=RATE, seconds=3).waveform
RNG = np.random.default_rng(1)
NOISE = RNG.standard_normal(SOUND.shape).astype(np.float32)
NAMES = [part.name for part in registry().parts("metric")]
OFFLINE = ["si-sdr", "change-db", "lsd", "lsd-high", "mr-stft", "loudness-change", "balance-change"]


def measure(name, reference, estimate, sample_rate=RATE):
    return registry().load_part("metric", name)()(reference, estimate, sample_rate)


def with_noise(snr_db: float) -> np.ndarray:
    """SOUND with noise that has nothing in common with it, at an exact ratio."""
    noise = NOISE - np.vdot(NOISE, SOUND) / np.vdot(SOUND, SOUND) * SOUND
    gain = np.linalg.norm(SOUND) / np.linalg.norm(noise) * 10 ** (-snr_db / 20)
    return (SOUND + gain * noise).astype(np.float32)


@pytest.mark.parametrize("snr_db", [-5, 10, 40])
def test_si_sdr_is_the_ratio_that_was_mixed_whatever_the_level(snr_db):
    assert measure("si-sdr", SOUND, with_noise(snr_db)) == pytest.approx(snr_db, abs=0.01)
    assert measure("si-sdr", SOUND, np.float32(0.3) * with_noise(snr_db)) == pytest.approx(snr_db, abs=0.01)


def test_si_sdr_has_ends_and_no_answer_for_silence():
    assert measure("si-sdr", SOUND, SOUND) == 120
    assert measure("si-sdr", SOUND, np.zeros_like(SOUND)) == -120
    assert math.isnan(measure("si-sdr", np.zeros_like(SOUND), SOUND))


def test_change_is_the_share_of_the_amplitude_that_differs():
    assert measure("change-db", SOUND, np.float32(0.95) * SOUND) == pytest.approx(-26.02, abs=0.01)
    assert measure("change-db", SOUND, np.float32(1.01) * SOUND) == pytest.approx(-40, abs=0.01)
    assert measure("change-db", SOUND, SOUND) == -200


def test_log_spectral_distance_is_that_of_scipys_spectrogram():
    estimate = with_noise(10)
    gain = np.vdot(SOUND, estimate) / np.vdot(estimate, estimate)
    levels = []
    for waveform in (SOUND, estimate * gain):
        _, _, power = scipy.signal.spectrogram(
            waveform.astype(np.float64), RATE, "hann", 2048, 1536, detrend=False, scaling="spectrum"
        )
        levels.append(power)
    floor = levels[0].max() * 1e-10
    # SciPy doubles all bins but the first and the last: the ratio does not care, and the floor hardly.
    one, other = (10 * np.log10(np.maximum(level, floor)) for level in levels)
    expected = np.sqrt(np.square(one - other).mean(axis=1)).mean()
    assert measure("lsd", SOUND, estimate) == pytest.approx(expected, rel=0.01)


def test_spectral_distances_do_not_hear_a_gain():
    for name in ("lsd", "lsd-high", "mr-stft", "balance-change"):
        assert measure(name, SOUND, np.float32(0.25) * SOUND) == pytest.approx(0, abs=1e-3), name


def test_spectral_distances_hear_missing_highs_and_lsd_high_hears_only_those():
    sections = scipy.signal.butter(8, 10_000, fs=RATE, output="sos")
    dull = scipy.signal.sosfiltfilt(sections, SOUND).astype(np.float32)
    thin = scipy.signal.sosfiltfilt(scipy.signal.butter(4, 300, "high", fs=RATE, output="sos"), SOUND).astype("f4")
    assert measure("lsd-high", SOUND, dull) > measure("lsd", SOUND, dull) > 1
    assert measure("lsd-high", SOUND, thin) < measure("lsd", SOUND, thin)
    for rate in (8000, 16_000):
        assert math.isnan(measure("lsd-high", SOUND, SOUND, rate))


def test_multi_resolution_distance_to_silence_is_what_scipys_stft_gives():
    silence = np.zeros_like(SOUND)
    found = measure("mr-stft", SOUND, silence)
    floors = []
    for size in (512, 1024, 2048):
        _, _, spectrum = scipy.signal.stft(
            SOUND.astype(np.float64), RATE, "hann", size, size * 3 // 4, boundary=None, padded=False
        )
        magnitude = np.maximum(np.abs(spectrum) * size / 2, np.sqrt(1e-7))
        magnitude = magnitude.reshape(SOUND.shape[0], -1)
        convergence = np.linalg.norm(magnitude - np.sqrt(1e-7)) / np.linalg.norm(magnitude)
        floors.append(convergence + np.abs(np.log(magnitude / np.sqrt(1e-7))).mean())
    assert found == pytest.approx(np.mean(floors), rel=1e-3)


@pytest.mark.parametrize("gain_db", [-6, 3])
def test_loudness_change_is_the_gain(gain_db):
    louder = SOUND * np.float32(10 ** (gain_db / 20))
    assert measure("loudness-change", SOUND, louder) == pytest.approx(abs(gain_db), abs=0.05)


def test_balance_change_of_one_octave_that_is_louder():
    time = np.arange(RATE) / RATE
    low, high = np.sin(2 * np.pi * 250 * time), np.sin(2 * np.pi * 4000 * time)
    before, after = (np.float32(low + gain * high)[None] for gain in (1.0, 0.5))
    # 4 kHz falls from half of the power to a fifth, 250 Hz rises from half to four fifths.
    expected = (10 * math.log10(0.5 / 0.2) + 10 * math.log10(0.8 / 0.5)) / 2
    assert measure("balance-change", before, after) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_a_better_estimate_scores_better(name):
    spec = registry().part("metric", name)
    if spec.missing:
        pytest.skip(spec.install)
    cls = registry().load_part("metric", name)
    if cls.content == "speech" or name in ("loudness-change", "visqol"):
        pytest.skip("needs speech, or a fault of another kind")
    better, worse = (measure(name, SOUND, with_noise(snr_db)) for snr_db in (30, 5))
    assert (better > worse) == cls.higher_is_better


def syllables() -> np.ndarray:
    """Bursts with the rhythm of syllables: enough for models of listeners to find an utterance."""
    time = np.arange(3 * RATE) / RATE
    voice = scipy.signal.sawtooth(2 * np.pi * 140 * time) * np.maximum(0, np.sin(2 * np.pi * 4 * time))
    return (0.02 * scipy.signal.lfilter([1], [1, -0.95], voice)).astype(np.float32)[None]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "best"), [("pesq-wb", 4.644), ("estoi", 1.0), ("visqol", 4.732)])
def test_what_listeners_would_say_is_best_for_the_reference_itself_and_falls_with_noise(name, best):
    spec = registry().part("metric", name)
    if spec.missing:
        pytest.skip(spec.install)
    voice = syllables()
    noisy = voice + np.float32(0.05) * NOISE[:1, : voice.shape[-1]]
    assert measure(name, voice, voice) == pytest.approx(best, abs=0.01)
    assert measure(name, voice, noisy) < best - 0.2


@pytest.mark.slow
def test_dnsmos_is_what_its_package_says_and_looks_at_the_estimate_alone():
    spec = registry().part("metric", "dnsmos")
    if spec.missing:
        pytest.skip(spec.install)
    voice, rate = syllables(), 16_000
    estimate = np.ascontiguousarray(voice[:, : 2 * rate])
    found = measure("dnsmos", np.zeros_like(estimate), estimate, rate)
    assert found == measure("dnsmos", estimate, estimate, rate)
    pytest.importorskip("librosa")  # which the package asks for, and the metric does not
    dnsmos = pytest.importorskip("speechmos.dnsmos")
    assert found == pytest.approx(float(dnsmos.run(estimate[0], rate, return_df=False)["ovrl_mos"]), abs=1e-4)


@pytest.mark.parametrize("name", OFFLINE)
def test_metrics_take_any_channel_count_and_edit_nothing(name):
    stereo = np.concatenate([SOUND, SOUND[::-1]])[:2] if SOUND.shape[0] == 1 else SOUND
    estimate = (stereo * np.float32(0.9)).astype(np.float32)
    stereo.flags.writeable = estimate.flags.writeable = False
    assert math.isfinite(measure(name, stereo, estimate))
