"""Hum goes, bass stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wavechain import Audio, Chain
from wavechain.errors import ParameterError
from wavechain.testing import EffectContract, music, noise, streamed, tone
from wavechain_restoration.comb_dehum import CombDehum

RECORDINGS = Path(__file__).parents[3] / "tests" / "data"
RATE = 44_100


class TestCombDehumContract(EffectContract):
    stage = CombDehum()


def humming(audio: Audio, fundamental_hz: float, snr_db: float, *, drift_hz: float = 0.02) -> Audio:
    """Twelve harmonics of a mains frequency that wanders a little."""
    time = np.arange(audio.frames) / audio.sample_rate
    phase = 2 * np.pi * np.cumsum(fundamental_hz + drift_hz * np.sin(2 * np.pi * time / 20)) / audio.sample_rate
    hum = sum(np.cos(k * phase + k * k) / k for k in range(1, 13))
    hum *= audio.waveform.std() / np.std(hum) * 10 ** (-snr_db / 20)
    return Audio.of((audio.waveform + hum).astype(np.float32), audio.sample_rate)


def error_db(clean: Audio, found: Audio) -> float:
    return float(10 * np.log10(((found.waveform - clean.waveform) ** 2).sum() / (clean.waveform**2).sum()))


@pytest.mark.parametrize("fundamental_hz", [49.93, 60.05])
@pytest.mark.parametrize(("snr_db", "gain_db"), [(0, 15), (10, 8)])
def test_a_drum_loop_loses_its_hum(fundamental_hz, snr_db, gain_db):
    loop = Audio.read(RECORDINGS / "loop_compus.flac")
    clean = Audio.of(loop.waveform[:1], loop.sample_rate)
    damaged = humming(clean, fundamental_hz, snr_db)
    assert error_db(clean, CombDehum()(damaged)) < error_db(clean, damaged) - gain_db


def test_a_recording_without_hum_is_untouched():
    clean = Audio.read(RECORDINGS / "loop_compus.flac")
    assert np.array_equal(CombDehum()(clean).waveform, clean.waveform)


@pytest.mark.parametrize("root_hz", [49.0, 61.74, 87.31, 349.23])
def test_a_sustained_synthetic_note_is_no_hum(root_hz):
    """Steadier than any hum: the notes nearest the mains, and one whose seventh part lies within its range."""
    time = np.arange(8 * RATE) / RATE
    note = sum(np.sin(2 * np.pi * root_hz * k * time + k) / k for k in range(1, 12))
    clean = Audio.of((0.2 * note)[np.newaxis].astype(np.float32), RATE)
    assert np.array_equal(CombDehum()(clean).waveform, clean.waveform)


@pytest.mark.parametrize("sample_rate", [1, 50, 100, 1_000])
def test_what_has_no_room_for_hum_is_untouched(sample_rate):
    clean = noise(sample_rate=sample_rate, seconds=20)
    for mains_hz in (0, 500):
        assert np.array_equal(CombDehum(mains_hz=mains_hz)(clean).waveform, clean.waveform)


def test_the_hum_of_a_railway_goes():
    loop = Audio.read(RECORDINGS / "loop_compus.flac")
    clean = Audio.of(loop.waveform[:1], loop.sample_rate)
    damaged = humming(clean, 16.7, 10)
    assert error_db(clean, CombDehum(mains_hz=16.7)(damaged)) < error_db(clean, damaged) - 8


@pytest.mark.parametrize("mains_hz", [0.001, 5, 14.9])
def test_lines_too_close_to_be_told_apart_are_refused(mains_hz):
    """With 0.001 Hz, thirty lines were found in a constant, and each was subtracted."""
    with pytest.raises(ParameterError, match=r"cannot be told apart\. Try: 15 Hz or more, or 0 for 50 or 60 Hz"):
        CombDehum(mains_hz=mains_hz)


@pytest.mark.parametrize("hz", [50, 60])
def test_a_test_tone_is_no_hum(hz):
    clean = tone(hz, sample_rate=RATE, seconds=6)
    assert np.array_equal(CombDehum()(clean).waveform, clean.waveform)


def test_a_single_line_far_below_the_sound_is_hum():
    clean = Audio.read(RECORDINGS / "loop_compus.flac")
    clean = Audio.of(clean.waveform[:1], clean.sample_rate)
    line = 0.3 * clean.waveform.std() * np.sin(2 * np.pi * 49.9 * np.arange(clean.frames) / clean.sample_rate)
    damaged = Audio.of((clean.waveform + line).astype(np.float32), clean.sample_rate)
    assert error_db(clean, CombDehum()(damaged)) < error_db(clean, damaged) - 10


def test_hum_at_another_frequency_is_found_when_it_is_named():
    clean = Audio.of(Audio.read(RECORDINGS / "loop_compus.flac").waveform[:1], RATE)
    damaged = humming(clean, 400.5, 5, drift_hz=0)
    assert np.array_equal(CombDehum()(damaged).waveform, damaged.waveform)
    assert error_db(clean, CombDehum(mains_hz=400)(damaged)) < error_db(clean, damaged) - 10


def test_a_bass_line_on_the_hum_keeps_its_notes():
    """Notes of 50 and 100 Hz, half a second each: the lines of the hum themselves, but not steady."""
    time = np.arange(8 * RATE) / RATE
    note = np.where((time % 2) < 0.5, np.sin(2 * np.pi * 50 * time) + np.sin(2 * np.pi * 100 * time), 0)
    clean = Audio.of((0.2 * note * np.exp(-3 * (time % 2)))[np.newaxis].astype(np.float32), RATE)
    assert error_db(clean, CombDehum()(humming(clean, 50.02, 10, drift_hz=0))) < -13


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_a_bass_line_between_rests_is_no_hum(seed):
    """Notes of one pitch, each with its overtones in step, of uneven length and loudness."""
    rng = np.random.default_rng(seed)
    time = np.arange(8 * RATE) / RATE
    loudness = np.zeros(time.size)
    at = 0
    while at < time.size:
        note = loudness[at : at + int(rng.uniform(0.15, 0.5) * RATE)]
        note[:] = rng.uniform(0.3, 1) * np.exp(-3 * time[: note.size])
        at += note.size + int(rng.uniform(0.05, 0.5) * RATE)
    notes = sum(np.sin(2 * np.pi * 49.43 * k * time + k) / k for k in (1, 2, 3, 4, 6)) * loudness
    clean = Audio.of((0.2 * notes + 0.003 * rng.standard_normal(time.size))[np.newaxis].astype(np.float32), RATE)
    assert np.array_equal(CombDehum()(clean).waveform, clean.waveform)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_loop_that_repeats_is_no_hum(seed):
    """Every multiple of its rate is a line, 50 and 60 Hz among them, but none stands out in any frame."""
    rng = np.random.default_rng(seed)
    loop = np.resize(rng.standard_normal(int(0.6 * RATE)), 8 * RATE)
    clean = Audio.of((0.1 * loop + 0.05 * rng.standard_normal(loop.size))[np.newaxis].astype(np.float32), RATE)
    assert np.array_equal(CombDehum()(clean).waveform, clean.waveform)


def bass(seed: int) -> np.ndarray:
    """A rumble without pauses, loudest where hum is, (8 s,)."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(8 * RATE))
    hz = np.fft.rfftfreq(8 * RATE, 1 / RATE)
    rumble = np.fft.irfft(spectrum / (1 + (hz / 150) ** 2))
    return 0.2 * rumble / rumble.std()


def test_hum_is_found_beside_a_bass_in_the_middle():
    """Between the channels, where the bass is not, the hum is all there is."""
    middle, rest = bass(0), 0.003 * np.random.default_rng(1).standard_normal((2, 8 * RATE))
    clean = Audio.of((middle + rest).astype(np.float32), RATE)
    hum = humming(Audio.of(middle[np.newaxis].astype(np.float32), RATE), 50.2, 20, drift_hz=0).waveform - middle
    damaged = Audio.of((clean.waveform + np.array([[1.0], [0.4]]) * hum).astype(np.float32), RATE)
    mended = CombDehum()(damaged)
    assert error_db(clean, mended) < error_db(clean, damaged) - 3
    sides, before, after = (Audio.of(one.waveform[:1] - one.waveform[1:], RATE) for one in (clean, damaged, mended))
    assert error_db(sides, after) < error_db(sides, before) - 6


def test_a_steady_note_on_a_higher_line_does_not_hide_the_hum():
    loop = Audio.read(RECORDINGS / "loop_compus.flac")
    time = np.arange(loop.frames) / RATE
    clean = Audio.of((loop.waveform[:1] + 0.1 * np.sin(2 * np.pi * 548.9 * time)).astype(np.float32), RATE)
    line = 0.1 * loop.waveform.std() * np.sin(2 * np.pi * 49.9 * time)
    damaged = Audio.of((clean.waveform + line).astype(np.float32), RATE)
    assert error_db(clean, CombDehum()(damaged)) < error_db(clean, damaged) - 10


def test_a_seventh_line_somewhat_louder_than_the_first_goes_with_the_others():
    loop = Audio.read(RECORDINGS / "loop_compus.flac")
    clean = Audio.of(loop.waveform[:1], loop.sample_rate)
    time = np.arange(clean.frames) / RATE
    hum = 0.03 * sum(height * np.cos(2 * np.pi * 50.1 * k * time + k) for k, height in ((1, 1), (3, 0.7), (7, 1.6)))
    damaged = Audio.of((clean.waveform + hum).astype(np.float32), RATE)
    assert error_db(clean, CombDehum()(damaged)) < error_db(clean, damaged) - 12


def test_a_note_on_all_even_lines_is_no_hum():
    """A rectifier would hum there, but not so loud."""
    time = np.arange(8 * RATE) / RATE
    swell = 0.8 + 0.2 * np.sin(2 * np.pi * 0.7 * time)
    note = swell * sum(np.sin(2 * np.pi * 120.09 * k * time + k) / k for k in range(1, 8))
    whole = music(sample_rate=RATE, seconds=8, channels=1).waveform
    clean = Audio.of((0.5 * whole + 0.15 * note).astype(np.float32), RATE)
    assert np.array_equal(CombDehum()(clean).waveform, clean.waveform)


def test_two_equal_channels_stay_equal():
    damaged = humming(Audio.of(Audio.read(RECORDINGS / "loop_compus.flac").waveform[:1], RATE), 50, 10)
    both = CombDehum()(Audio.of(np.concatenate([damaged.waveform] * 2), RATE)).waveform
    assert np.array_equal(both[0], both[1])
    assert not np.array_equal(both[:1], damaged.waveform)


def test_no_amount_changes_nothing():
    damaged = humming(music(seconds=8, sample_rate=RATE), 50, 10)
    assert np.array_equal(CombDehum(amount=0)(damaged).waveform, damaged.waveform)


def test_blocks_cannot_be_heard():
    damaged = humming(music(seconds=8, sample_rate=RATE), 50, 10)
    whole = CombDehum()(damaged).waveform
    assert np.array_equal(streamed(Chain([CombDehum()]), damaged, [1, 777, 30_000]).waveform, whole)


def test_the_report_names_the_frequency():
    damaged = humming(music(seconds=8, sample_rate=RATE, channels=1), 49.95, 0, drift_hz=0)
    worker = CombDehum().open(damaged.spec)
    worker.process(damaged.waveform)
    worker.flush()
    assert worker.report["fundamental_hz"] == pytest.approx(49.95, abs=0.01)
