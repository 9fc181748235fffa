"""How loud things are, by the signals that the EBU prescribes for such meters, and beside two other meters."""

from __future__ import annotations

import re
import subprocess

import imageio_ffmpeg
import numpy as np
import pyebur128
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyebur128 import MeasurementMode
from pytest import approx
from scipy import signal as scipy_signal

from wavechain.dsp.iir import frequency_response
from wavechain.dsp.loudness import LoudnessMeter, channel_weights, integrated_loudness, k_weighting
from wavechain.errors import ParameterError

SILENT = -np.inf


def tones(*steps, sample_rate=48_000, channels=2):
    """1 kHz sines one after the other, each (peak dBFS or one for each channel, seconds)."""
    parts = []
    for levels_dbfs, seconds in steps:
        index = np.arange(round(seconds * sample_rate))
        amplitude = 10 ** (np.broadcast_to(np.asarray(levels_dbfs, float), (channels,)) / 20)
        parts.append(amplitude[:, None] * np.sin(2 * np.pi * 1000 / sample_rate * index))
    return np.concatenate(parts, axis=1).astype(np.float32)


def music(seconds, *, sample_rate=48_000, channels=2):
    """Beats of coloured noise that swell and fade: every gate and percentile has something to do."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    noise = np.random.default_rng(4).standard_normal((channels, time.size))
    coloured = scipy_signal.lfilter(*scipy_signal.butter(1, 400, fs=sample_rate), noise) + 0.05 * noise
    swell = np.exp(-(time % 0.5) / 0.12) * 10 ** (-1 + np.cos(2 * np.pi * time / 23))
    return (0.8 * coloured * swell / np.abs(coloured * swell).max()).astype(np.float32)


def meter_of(signal, sample_rate=48_000):
    meter = LoudnessMeter(sample_rate, len(signal))
    meter.feed(signal)
    return meter


@pytest.mark.parametrize(
    ("case", "steps"),
    [
        (1, [(-23, 20)]),
        (3, [(-36, 10), (-23, 60), (-36, 10)]),
        (4, [(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)]),
        (5, [(-26, 20), (-20, 20.1), (-26, 20)]),
    ],
)
@pytest.mark.parametrize("sample_rate", [44_100, 48_000])
def test_ebu_tech_3341_integrated_loudness_is_23_below(case, steps, sample_rate):
    assert meter_of(tones(*steps, sample_rate=sample_rate), sample_rate).integrated_lufs() == approx(-23, abs=0.1), case


def test_ebu_tech_3341_case_2_all_three_scales_read_33_below():
    meter = meter_of(tones((-33, 20)))
    assert meter.integrated_lufs() == approx(-33, abs=0.02)
    assert meter.max_short_term_lufs() == approx(-33, abs=0.02)
    assert meter.max_momentary_lufs() == approx(-33, abs=0.02)


def test_ebu_tech_3341_case_6_five_channels():
    surround = tones(((-28, -28, -24, -30, -30), 20), channels=5)
    assert meter_of(surround).integrated_lufs() == approx(-23, abs=0.1)
    # The same in six channels, with a low-frequency channel that is loud and does not count.
    with_lfe = np.insert(surround, 3, 0.5, axis=0)
    assert meter_of(with_lfe).integrated_lufs() == meter_of(surround).integrated_lufs()


def test_ebu_tech_3341_case_9_short_term_is_steady_over_a_pattern_of_3_seconds():
    assert meter_of(tones(*[(-20, 1.34), (-30, 1.66)] * 5)).max_short_term_lufs() == approx(-23, abs=0.1)


def test_ebu_tech_3341_case_10_3_seconds_of_tone_wherever_they_begin():
    for index in range(20):
        signal = tones((SILENT, 0.15 * index), (-23, 3), (SILENT, 1))
        assert meter_of(signal).max_short_term_lufs() == approx(-23, abs=0.1), index


def test_ebu_tech_3341_case_11_short_term_while_the_tone_rises():
    meter = LoudnessMeter(48_000, 2)
    for index in range(20):
        meter.feed(tones((SILENT, 0.15 * index), (-38 + index, 3), (SILENT, 3 - 0.15 * index)))
        assert meter.max_short_term_lufs() == approx(-38 + index, abs=0.1), index


def test_ebu_tech_3341_case_12_momentary_is_steady_over_a_pattern_of_400_milliseconds():
    assert meter_of(tones(*[(-20, 0.18), (-30, 0.22)] * 25)).max_momentary_lufs() == approx(-23, abs=0.1)


def test_ebu_tech_3341_case_13_400_milliseconds_of_tone_wherever_they_begin():
    for index in range(20):
        signal = tones((SILENT, 0.02 * index), (-23, 0.4), (SILENT, 1))
        assert meter_of(signal).max_momentary_lufs() == approx(-23, abs=0.1), index


def test_ebu_tech_3341_case_14_momentary_while_the_tone_rises():
    meter = LoudnessMeter(48_000, 2)
    for index in range(20):
        meter.feed(tones((SILENT, 0.02 * index), (-38 + index, 0.4), (SILENT, 0.4 - 0.02 * index)))
        assert meter.max_momentary_lufs() == approx(-38 + index, abs=0.1), index


@pytest.mark.parametrize(
    ("case", "steps", "expected_lu"),
    [
        (1, [(-20, 20), (-30, 20)], 10),
        (2, [(-20, 20), (-15, 20)], 5),
        (3, [(-40, 20), (-20, 20)], 20),
        (4, [(-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)], 15),
    ],
)
def test_ebu_tech_3342_loudness_range(case, steps, expected_lu):
    assert meter_of(tones(*steps)).loudness_range_lu() == approx(expected_lu, abs=0.05), case


def test_the_range_spans_the_10th_to_the_95th_percentile():
    # A fade that is straight in dB spends the same time at every level: 85 % of its 20 dB.
    seconds = 200
    fade = 10 ** (np.linspace(-40, -20, seconds * 8_000) / 20)
    steady = np.sin(2 * np.pi * 1000 / 8_000 * np.arange(fade.size))
    assert meter_of((fade * steady)[None].astype(np.float32), 8_000).loudness_range_lu() == approx(17, abs=0.3)


@pytest.mark.parametrize(("quiet_db", "counts"), [(-9.2, True), (-10.8, False)])
def test_the_relative_gate_lies_10_lu_under_the_mean(quiet_db, counts):
    # One tenth of the time quieter: the mean is 0.4 dB under the loud part.
    meter = meter_of(tones((-20, 90), (-20 + quiet_db, 10)))
    mean_db = 10 * np.log10(0.9 + 0.1 * 10 ** (quiet_db / 10)) if counts else 0.0
    assert meter.integrated_lufs() == approx(-20 + mean_db, abs=0.03)


@pytest.mark.parametrize(("level", "expected"), [(-69.5, -69.5), (-70.5, -np.inf)])
def test_the_absolute_gate_lies_at_minus_70(level, expected):
    assert meter_of(tones((level, 5))).integrated_lufs() == approx(expected, abs=0.05)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("sample_rate", [22_050, 44_100, 48_000, 96_000])
def test_music_reads_what_libebur128_reads(sample_rate, channels):
    signal = music(12, sample_rate=sample_rate, channels=channels)
    other = pyebur128.R128State(channels, sample_rate, MeasurementMode.MODE_I)
    other.add_frames(signal.T.reshape(-1).copy(), signal.shape[1])
    meter = meter_of(signal, sample_rate)
    # libebur128 leaves the highpass's numerator as it is at 48 kHz: 0.05 dB more at 22.05 kHz. At 48 kHz the two
    # differ by rounding alone.
    tolerance = 1e-6 if sample_rate == 48_000 else 0.06
    assert meter.integrated_lufs() == approx(pyebur128.get_loudness_global(other), abs=tolerance)


@pytest.mark.parametrize("sample_rate", [44_100, 96_000])
def test_music_reads_what_ffmpeg_reads(sample_rate):
    signal = music(20, sample_rate=sample_rate)
    arguments = f"-hide_banner -nostats -f f32le -ar {sample_rate} -ac 2 -i - -af ebur128=framelog=quiet -f null -"
    said = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), *arguments.split()],
        input=signal.T.tobytes(),
        capture_output=True,
        check=True,
    ).stderr.decode()
    meter = meter_of(signal, sample_rate)
    assert meter.integrated_lufs() == approx(float(re.findall(r"I:\s+(-?[\d.]+) LUFS", said)[-1]), abs=0.1)
    assert meter.loudness_range_lu() == approx(float(re.findall(r"LRA:\s+([\d.]+) LU", said)[-1]), abs=0.3)


def test_at_48_khz_the_weighting_is_the_table_of_the_standard():
    shelf, highpass = k_weighting(48_000)
    assert shelf == approx(
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585], abs=1e-12
    )
    assert highpass == approx([1, -2, 1, 1, -1.99004745483398, 0.99007225036621], abs=1e-12)


@pytest.mark.parametrize("sample_rate", [22_050, 32_000, 44_100, 88_200, 96_000, 192_000])
def test_the_weighting_is_the_same_curve_at_every_sample_rate(sample_rate):
    hertz = np.geomspace(10, 3_000, 60)
    here = np.abs(frequency_response(k_weighting(sample_rate), hertz, sample_rate))
    there = np.abs(frequency_response(k_weighting(48_000), hertz, 48_000))
    assert 20 * np.log10(here / there) == approx(np.zeros(60), abs=0.06)


@pytest.mark.parametrize("sample_rate", [8_000, 22_050, 44_100, 96_000])
def test_the_weighting_is_scipys_bilinear_transform_of_the_analogue_filter(sample_rate):
    # The highpass of BS.1770 as an analogue filter: its corner and quality, found by others from the same table.
    corner, quality = 38.13547087602444, 0.5003270373238773
    warped = 2 * sample_rate * np.tan(np.pi * corner / sample_rate)
    b, a = scipy_signal.bilinear([1, 0, 0], [1, warped / quality, warped**2], sample_rate)
    mine = k_weighting(sample_rate)[1]
    assert mine[3:] == approx(a, abs=1e-9)
    assert mine[:3] / mine[0] == approx(b / b[0], abs=1e-9)


@given(cuts=st.lists(st.integers(1, 60_000), max_size=6), sample_rate=st.sampled_from([11_025, 44_100]))
def test_no_way_of_cutting_the_signal_changes_a_bit(cuts, sample_rate):
    signal = music(4, sample_rate=sample_rate)
    at_once, in_parts = meter_of(signal, sample_rate), LoudnessMeter(sample_rate, 2)
    for part in np.split(signal, np.clip(np.cumsum(cuts), 0, signal.shape[1]), axis=1):
        in_parts.feed(part)
        in_parts.integrated_lufs()
    for reading in ("integrated_lufs", "loudness_range_lu", "max_momentary_lufs", "max_short_term_lufs"):
        assert getattr(in_parts, reading)() == getattr(at_once, reading)(), reading


@pytest.mark.parametrize("sample_rate", [11_025, 44_100])
def test_hops_hold_the_energy_of_their_own_frames(sample_rate):
    signal = music(3.21, sample_rate=sample_rate, channels=1)
    filtered = scipy_signal.sosfilt(k_weighting(sample_rate), signal[0].astype(np.float64))
    hop = (sample_rate + 5) // 10
    starts = np.arange(0, filtered.size - 4 * hop + 1, hop)
    expected = [np.mean(filtered[start : start + 4 * hop] ** 2) for start in starts]
    assert meter_of(signal, sample_rate).block_powers() == approx(np.array(expected), rel=1e-9)


@pytest.mark.parametrize(
    ("channels", "weights"),
    [
        (1, [1]),
        (2, [1, 1]),
        (3, [1, 1, 1]),
        (4, [1, 1, 1.41, 1.41]),
        (5, [1, 1, 1, 1.41, 1.41]),
        (6, [1, 1, 1, 0, 1.41, 1.41]),
        (8, [1, 1, 1, 0, 1, 1, 1.41, 1.41]),
        (12, [1] * 12),
    ],
)
def test_channels_weigh_by_where_they_are_heard_from(channels, weights):
    assert list(channel_weights(channels)) == weights


def test_one_channel_is_3_db_quieter_than_two():
    assert meter_of(tones((-23, 5), channels=1)).integrated_lufs() == approx(-26.01, abs=0.05)


def test_an_album_is_gated_as_one_programme():
    loud, quiet = tones((-20, 10)), tones((-24, 10))
    together = integrated_loudness(np.concatenate([meter_of(loud).block_powers(), meter_of(quiet).block_powers()]))
    assert together == approx(10 * np.log10((10**-2.0 + 10**-2.4) / 2), abs=0.05)


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_less_than_a_block_and_silence_have_no_loudness(seconds):
    for meter in (meter_of(tones((-20, seconds))), meter_of(np.zeros((2, 200_000), np.float32))):
        assert meter.integrated_lufs() == -np.inf
        assert meter.max_momentary_lufs() == -np.inf
        assert meter.max_short_term_lufs() == -np.inf
        assert meter.loudness_range_lu() == 0.0


def test_a_sample_rate_too_low_for_the_weighting_is_refused():
    with pytest.raises(ParameterError, match="at least 4000 Hz, this is 3000 Hz"):
        LoudnessMeter(3_000, 1)
