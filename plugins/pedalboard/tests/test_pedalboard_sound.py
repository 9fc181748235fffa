"""What each effect does to the sound, on signals one can hum, and how long it rings on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import soundfile
from pytest import approx

from wavechain import Audio, Effect, Spec
from wavechain.testing import impulse, noise, tone
from wavechain_pedalboard.codecs import GsmCompressor, Mp3Compressor, Resample
from wavechain_pedalboard.convolution import Convolution
from wavechain_pedalboard.distortion import Bitcrush, Clipping, Distortion
from wavechain_pedalboard.dynamics import BrickwallLimiter, Compressor, Limiter, NoiseGate
from wavechain_pedalboard.filters import (
    HighpassFilter,
    HighShelfFilter,
    LadderFilter,
    LowpassFilter,
    LowShelfFilter,
    PeakFilter,
)
from wavechain_pedalboard.levels import Gain, Invert
from wavechain_pedalboard.modulation import Chorus, Phaser
from wavechain_pedalboard.pitch import PitchShift
from wavechain_pedalboard.space import Delay, Reverb

RATES = [8_000, 44_100, 192_000]


def peak_dbfs(audio: Audio) -> float:
    """The loudest sample of the second half, where filters have settled."""
    return float(20 * np.log10(np.abs(audio.waveform[:, audio.frames // 2 :]).max() + 1e-12))


def change_db(effect: Effect, frequency_hz: float, sample_rate: int, level_dbfs: float = -20) -> float:
    before = tone(frequency_hz, sample_rate=sample_rate, seconds=0.5, level_dbfs=level_dbfs)
    after = Audio(np.ascontiguousarray(effect(before).waveform[:, : before.frames]), sample_rate)
    return peak_dbfs(after) - peak_dbfs(before)


def test_gain_moves_the_level_by_exactly_its_name():
    assert change_db(Gain(gain_db=-6), 440, 48_000) == approx(-6, abs=0.01)


def test_inverted_and_plain_cancel():
    before = noise(channels=2)
    np.testing.assert_array_equal(Invert()(before).waveform, -before.waveform)


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize(
    ("effect", "change"),
    [
        (HighpassFilter(cutoff_hz=500), -3.01),
        (LowpassFilter(cutoff_hz=500), -3.01),
        (PeakFilter(cutoff_hz=500, gain_db=6), 6.0),
        (PeakFilter(cutoff_hz=500, gain_db=-12, q=5), -12.0),
        (LowShelfFilter(cutoff_hz=500, gain_db=6), 3.0),
        (HighShelfFilter(cutoff_hz=500, gain_db=-6), -3.0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Effect) else None,
)
def test_filters_sit_where_they_are_told_at_every_rate(effect: Effect, change: float, sample_rate: int):
    assert change_db(effect, 500, sample_rate) == approx(change, abs=0.15)


@pytest.mark.parametrize("sample_rate", RATES)
def test_a_ladder_takes_away_above_its_corner_and_leaves_what_is_below(sample_rate: int):
    ladder = LadderFilter(mode="lowpass-24", cutoff_hz=500)
    assert change_db(ladder, 100, sample_rate) == approx(0, abs=1)
    assert change_db(ladder, 2_000, sample_rate) < -30


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100, 192_000])
def test_a_phaser_has_its_middle_notch_at_its_centre_at_every_rate(sample_rate: int):
    still = Phaser(rate_hz=0, depth=0, centre_hz=1_000, mix=0.5)
    assert change_db(still, 1_000, sample_rate) < -80


def test_a_chorus_lags_by_its_centre_delay():
    after = Chorus(rate_hz=0, depth=0, centre_delay_ms=20, mix=1)(impulse(at=1_000, seconds=0.2))
    assert np.abs(after.waveform).argmax() == 1_000 + 960


def test_a_compressor_keeps_a_quarter_of_what_is_over():
    compressor = Compressor(threshold_db=-30, ratio=4, attack_ms=0, release_ms=500)
    assert change_db(compressor, 1_000, 48_000, level_dbfs=-10) == approx(-15, abs=0.5)
    assert change_db(compressor, 1_000, 48_000, level_dbfs=-40) == approx(0, abs=0.01)


def test_a_gate_closes_on_what_is_quiet_and_lets_pass_what_is_loud():
    gate = NoiseGate(threshold_db=-30, ratio=10)
    assert change_db(gate, 1_000, 48_000, level_dbfs=-10) == approx(0, abs=0.01)
    assert change_db(gate, 1_000, 48_000, level_dbfs=-45) < -60


@pytest.mark.parametrize("true_peak", [False, True])
def test_no_sample_passes_a_brick_wall(true_peak: bool):
    before = noise(channels=2, rms_dbfs=-3)
    after = BrickwallLimiter(ceiling_db=-6, true_peak=true_peak)(before)
    assert np.abs(after.waveform).max() <= 10 ** (-6 / 20) * 1.000_001


def test_a_limiter_makes_quiet_things_loud_and_stops_at_full_scale():
    assert change_db(Limiter(threshold_db=-20), 1_000, 48_000, level_dbfs=-30) > 3
    assert np.abs(Limiter(threshold_db=-20)(noise(rms_dbfs=0)).waveform).max() <= 1


def test_clipping_cuts_at_its_threshold():
    after = Clipping(threshold_db=-12)(tone(440, level_dbfs=0))
    assert np.abs(after.waveform).max() == approx(10 ** (-12 / 20), rel=1e-5)


def test_distortion_is_the_hyperbolic_tangent():
    before = tone(440, level_dbfs=-6)
    after = Distortion(drive_db=20)(before)
    np.testing.assert_allclose(after.waveform, np.tanh(10 * before.waveform), atol=1e-3)


def test_three_bits_leave_seventeen_levels():
    after = Bitcrush(bit_depth=3)(tone(440, level_dbfs=0))
    assert np.unique(after.waveform).tolist() == [step / 8 for step in range(-8, 9)]


@pytest.mark.parametrize(("quality", "folded_db"), [("windowed-sinc-32", -40), ("linear", -1)])
def test_a_lower_rate_has_no_highs_and_folds_them_back_when_it_is_poor(quality: str, folded_db: float):
    resample = Resample(target_sample_rate=8_000, quality=quality)
    assert change_db(resample, 500, 48_000) == approx(0, abs=0.5)
    after = resample(tone(7_000, seconds=1, level_dbfs=0)).waveform[0]
    spectrum_db = 20 * np.log10(np.abs(np.fft.rfft(after * np.hanning(48_000))) / 12_000 + 1e-12)
    assert spectrum_db[7_000] < spectrum_db[1_000] == approx(folded_db, abs=3)


def test_mp3_and_telephone_keep_a_tone_recognisable():
    before = tone(440, seconds=1)
    for codec, least in ((Mp3Compressor(), 0.999), (GsmCompressor(), 0.95)):
        after = codec(before)
        middle = slice(10_000, 40_000)
        assert np.corrcoef(before.waveform[0, middle], after.waveform[0, middle])[0, 1] > least


def test_a_shift_of_seven_semitones_is_a_fifth():
    after = PitchShift(semitones=7)(tone(440, seconds=1)).waveform[0, 10_000:40_000]
    spectrum = np.abs(np.fft.rfft(after * np.hanning(after.size)))
    assert np.argmax(spectrum) * 48_000 / after.size == approx(440 * 2 ** (7 / 12), rel=0.01)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_convolution_is_convolution(channels: int, tmp_path):
    response = noise(seconds=0.03, seed=3).waveform[0] * np.exp(-np.arange(1_440) / 300)
    soundfile.write(tmp_path / "room.wav", response, 48_000, subtype="FLOAT")
    before = noise(channels=channels, seconds=0.5)
    after = Convolution(impulse_response_filename=tmp_path / "room.wav")(before)
    assert after.frames == before.frames + response.size - 1
    expected = scipy.signal.fftconvolve(before.waveform, response[np.newaxis], axes=-1)
    # pedalboard scales every response to the same energy.
    expected *= 0.125 / np.sqrt((response**2).sum())
    np.testing.assert_allclose(after.waveform, expected, atol=1e-6 * np.abs(expected).max() + 1e-7)


def test_a_stereo_response_serves_left_and_right(tmp_path):
    left, right = np.eye(1, 300, 10)[0], np.eye(1, 300, 200)[0]
    soundfile.write(tmp_path / "far.wav", np.stack([left, right], axis=1), 48_000, subtype="FLOAT")
    after = Convolution(impulse_response_filename=tmp_path / "far.wav")(impulse(at=1_000, channels=2))
    assert np.abs(after.waveform).argmax(axis=1).tolist() == [1_010, 1_200]


def test_a_response_of_another_rate_keeps_its_seconds(tmp_path):
    soundfile.write(tmp_path / "late.wav", np.eye(1, 441, 440)[0], 44_100, subtype="FLOAT")
    after = Convolution(impulse_response_filename=tmp_path / "late.wav")(impulse(at=1_000))
    assert np.abs(after.waveform).argmax() == approx(1_000 + 440 / 44_100 * 48_000, abs=1)


def test_every_echo_of_a_delay_rings_out():
    before = impulse(at=47_999)
    after = Delay(delay_seconds=0.25, feedback=0.5, mix=0.5)(before)
    # -6 dB, and 6 dB less each time: the ninth, at -54.2 dB, is the last above -60 dB.
    echoes = [47_999 + 12_000 * count for count in range(10)]
    assert np.flatnonzero(np.abs(after.waveform[0]) > 1e-6).tolist() == echoes
    assert after.waveform[0, echoes[-1]] == approx(0.5**9)
    assert after.frames == 48_000 + 9 * 12_000


def test_a_delay_that_never_dies_rings_for_a_minute_and_one_echo_always_arrives():
    assert Delay(delay_seconds=0.5, feedback=1).tail_seconds(Spec.audio(48_000, 1)) == 60
    assert Delay(delay_seconds=30).tail_seconds(Spec.audio(48_000, 1)) == 30
    assert Delay(delay_seconds=0.5, mix=0).tail_seconds(Spec.audio(48_000, 1)) == 0


def test_a_large_room_rings_longer_than_a_small_one():
    before = noise(seconds=0.5, channels=2, rms_dbfs=-12)
    small = Reverb(room_size=0.1)(before)
    large = Reverb(room_size=0.9)(before)
    assert before.frames + 10_000 < small.frames < large.frames
    assert np.abs(large.waveform[:, -1]).max() >= 1e-3
    assert Reverb(wet_level=0)(before).frames == before.frames


@pytest.mark.parametrize("sample_rate", [8_000, 44_100])
@pytest.mark.parametrize(
    "effect",
    [
        Chorus(feedback=0.8, mix=1),
        Chorus(feedback=-0.5, depth=1, centre_delay_ms=60),
        Chorus(mix=1, centre_delay_ms=100),
        Phaser(feedback=0.9, mix=1),
        Phaser(feedback=-0.9, centre_hz=60, depth=0),
        Phaser(centre_hz=3_900, depth=0, mix=1),
        Phaser(depth=1),
    ],
    ids=str,
)
def test_moving_effects_ring_out_to_minus_60_db(effect: Chorus | Phaser, sample_rate: int):
    before = noise(sample_rate=sample_rate, seconds=0.5, rms_dbfs=-15)
    after = effect(before)
    longer = np.pad(before.waveform, ((0, 0), (0, 11 * sample_rate)))
    plugin = type(effect).pedal(**effect.settings(before.spec))
    cut_off = plugin(longer, float(sample_rate))[:, after.frames :]
    assert np.abs(cut_off).max() < 1e-3 * np.abs(before.waveform).max()
    assert after.frames <= before.frames + 10 * sample_rate


def test_effects_without_memory_do_not_lengthen():
    for effect in (Chorus(mix=0, feedback=0.9), Phaser(mix=0, feedback=0.9), Delay(delay_seconds=0)):
        processor = effect.open(Spec.audio(48_000, 2))
        assert processor.tail == 0
        assert not math.isinf(processor.latency)
