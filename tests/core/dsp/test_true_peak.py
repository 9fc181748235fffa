"""The tops between the samples, on tones whose tops are known."""

from __future__ import annotations

import re
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx
from scipy import signal as scipy_signal

from wavechain.dsp.true_peak import TruePeakMeter, interpolator


def tapered_sine(per_rate, amplitude, degrees, *, sample_rate=48_000, channels=1):
    """A second of a sine at a fraction of the sample rate, faded in and out."""
    index = np.arange(sample_rate)
    fade = np.clip(np.minimum(index, index[::-1]) / (sample_rate / 10), 0, 1)
    sine = amplitude * np.sin(2 * np.pi * per_rate * index + np.radians(degrees))
    return np.tile(sine * np.sin(np.pi / 2 * fade) ** 2, (channels, 1)).astype(np.float32)


def noisy_beats(seconds=4, *, sample_rate=44_100, channels=2):
    """Bursts of filtered noise: crest factor and spectrum of a drum loop."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    noise = np.random.default_rng(8).standard_normal((channels, time.size))
    beats = scipy_signal.lfilter([1, 0.6], [1, -0.7], noise) * np.exp(-(time % 0.5) / 0.1)
    return (0.9 * beats / np.abs(beats).max()).astype(np.float32)


def measured(signal, sample_rate=48_000, **options):
    meter = TruePeakMeter(sample_rate, len(signal), **options)
    meter.feed(signal)
    meter.finish()
    return meter


@pytest.mark.parametrize(
    ("case", "per_rate", "amplitude", "degrees", "expected_dbtp"),
    [
        (15, 1 / 4, 0.50, 0, -6.0),
        (16, 1 / 4, 0.50, 45, -6.0),
        (17, 1 / 6, 0.50, 60, -6.0),
        (18, 1 / 8, 0.50, 67.5, -6.0),
        (19, 1 / 4, 1.41, 45, 3.0),
    ],
)
def test_ebu_tech_3341_cases_15_to_19(case, per_rate, amplitude, degrees, expected_dbtp):
    meter = measured(tapered_sine(per_rate, amplitude, degrees, channels=2))
    assert meter.true_peak_dbtp == approx(expected_dbtp, abs=0.05), case


@pytest.mark.parametrize("offset", [0, 1, 2, 3])
def test_ebu_tech_3341_cases_20_to_23(offset):
    # One swell to full scale on a quieter tone, made at four times the rate and sampled at each of the offsets.
    index = np.arange(-96_000, 96_000)
    swell = 0.5 + 0.5 * np.exp(-((index / 480) ** 2))
    fade = np.clip((96_000 - np.abs(index)) / 9600, 0, 1)
    fine = swell * fade * np.cos(2 * np.pi / 24 * index)
    meter = measured(np.stack([fine[offset::4]] * 2).astype(np.float32))
    assert meter.true_peak_dbtp == approx(0.0, abs=0.02)


@pytest.mark.parametrize("sample_rate", [22_050, 44_100, 48_000, 96_000, 192_000])
def test_sines_in_every_phase_read_their_amplitude(sample_rate):
    # Tones that meet the same few points of the grid in every cycle: nothing helps but the interpolation.
    for part, whole in [(1, 3), (1, 4), (2, 5), (1, 6), (3, 7), (1, 8), (4, 9), (5, 12)]:
        if part / whole * sample_rate > 20_000:
            continue
        for phase in np.linspace(0, 360 / whole, 7):
            meter = measured(tapered_sine(part / whole, 1.0, phase, sample_rate=sample_rate), sample_rate)
            assert -0.04 < meter.true_peak_dbtp < 0.02, (part, whole, phase)


def test_the_interpolator_is_flat_in_the_audible_band_and_exact_at_the_frames():
    phases = interpolator(4)
    assert phases.sum(axis=1) == approx(np.ones(4), abs=1e-15)
    assert phases[0] == approx(np.eye(phases.shape[1])[phases.shape[1] // 2 - 1], abs=1e-15)
    delays = np.arange(phases.shape[1]) - (phases.shape[1] // 2 - 1)
    for hertz in (100, 1000, 10_000, 20_000):
        turn = 2j * np.pi * hertz / 44_100
        for phase, taps in enumerate(phases):
            gain = (taps * np.exp(turn * delays)).sum() / np.exp(turn * phase / 4)
            assert abs(gain - 1) < 0.012


@pytest.mark.parametrize("sample_rate", [44_100, 48_000, 96_000])
def test_loud_music_reads_what_a_sixteenfold_resampling_shows(sample_rate):
    music = np.clip(3 * noisy_beats(sample_rate=sample_rate), -0.98, 0.98)
    if sample_rate == 96_000:
        music = scipy_signal.sosfilt(scipy_signal.butter(8, 20_000, fs=sample_rate, output="sos"), music)
    dense = scipy_signal.resample_poly(music, 16, 1, axis=1, window=("kaiser", 9.0))
    meter = measured(music.astype(np.float32), sample_rate)
    assert 20 * np.log10(meter.true_peak / np.abs(dense).max(axis=1)) == approx(np.zeros(2), abs=0.15)
    assert (meter.true_peak > meter.sample_peak).all()


def test_music_reads_what_ffmpeg_reads():
    music = noisy_beats()
    arguments = "-hide_banner -nostats -f f32le -ar 44100 -ac 2 -i - -af ebur128=peak=true:framelog=quiet -f null -"
    said = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), *arguments.split()],
        input=music.T.tobytes(),
        capture_output=True,
        check=True,
    ).stderr.decode()
    peak = float(re.findall(r"Peak:\s+(-?[\d.]+) dBFS", said)[-1])
    assert measured(music, 44_100).true_peak_dbtp == approx(peak, abs=0.2)


@given(cuts=st.lists(st.integers(1, 20_000), max_size=6), amplitude=st.sampled_from([0.01, 1.0]))
def test_no_way_of_cutting_the_signal_changes_a_bit(cuts, amplitude):
    music = np.float32(amplitude) * noisy_beats(1)
    at_once = measured(music, 44_100)
    in_parts = TruePeakMeter(44_100, 2)
    for part in np.split(music, np.clip(np.cumsum(cuts), 0, music.shape[1]), axis=1):
        in_parts.feed(part)
    in_parts.finish()
    assert np.array_equal(in_parts.true_peak, at_once.true_peak)
    assert np.array_equal(in_parts.sample_peak, np.abs(music).max(axis=1))


@pytest.mark.parametrize("sample_rate", [44_100, 96_000])
@pytest.mark.parametrize("kind", ["beats", "clipped", "sine", "white", "rising", "impulses"])
def test_skipping_windows_changes_no_bit(kind, sample_rate):
    beats = noisy_beats(2, sample_rate=sample_rate)
    index = np.arange(beats.shape[1])
    signal = {
        "beats": beats,
        "clipped": np.clip(5 * beats, -1, 1),
        "sine": np.sin(0.3 * index + np.array([[0.0], [1.0]])),
        "white": np.random.default_rng(3).standard_normal(beats.shape),
        "rising": beats * index / index.size,
        "impulses": np.where(index % 777 == 0, 1.0 + 0.01 * np.sin(index), 0.0)[None].repeat(2, axis=0),
    }[kind].astype(np.float32)
    skipping, plain = (measured(signal, sample_rate, skip=skip) for skip in (True, False))
    assert np.array_equal(skipping.true_peak, plain.true_peak)
    assert np.array_equal(skipping.sample_peak, plain.sample_peak)


def test_channels_are_measured_one_by_one():
    one, other = tapered_sine(1 / 4, 0.5, 45)[0], tapered_sine(1 / 6, 0.25, 60)[0]
    assert measured(np.stack([one, other])).true_peak == approx([0.5, 0.25], rel=0.005)
    assert measured(np.stack([one, other])).true_peak[1] == measured(other[None]).true_peak[0]


@pytest.mark.parametrize("frames", [9, 40, 500, 8_190, 8_193, 20_000])
def test_a_signal_that_starts_or_ends_at_full_scale_overshoots_there(frames):
    # A step between silence and ones: half a frame inside, the sum of sincs over the ones is all of them (1) less
    # those over the silence, -2/pi (1/3 - 1/5 + 1/7 ...) = -2/pi (1 - pi/4).
    overshoot = 1 + 2 / np.pi * (1 - np.pi / 4)
    ramp = np.linspace(0, 1, frames, dtype=np.float32)
    starts_loud, ends_loud = ramp[None, ::-1].copy(), ramp[None].copy()
    starts_loud[:, :5], ends_loud[:, -5:] = 1, 1
    for signal in (starts_loud, ends_loud):
        assert measured(signal).true_peak[0] == approx(overshoot, abs=0.03)


def test_one_sample_is_its_own_peak():
    meter = measured(np.array([[-0.5]], np.float32))
    assert meter.true_peak[0] == approx(0.5, rel=0.01)
    assert meter.sample_peak[0] == 0.5


def test_silence_and_nothing_at_all_read_minus_infinity():
    assert measured(np.zeros((2, 5_000), np.float32)).true_peak_dbtp == -np.inf
    assert measured(np.zeros((2, 0), np.float32)).true_peak_dbtp == -np.inf
