"""Peaks that were pressed flat come back; what was not pressed stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wavechain import Audio
from wavechain.testing import EffectContract, noise, tone
from wavechain_restoration.declip_consistent import DeclipConsistent
from wavechain_restoration.declip_soft import DeclipSoft, _Curve

RECORDINGS = Path(__file__).parents[3] / "tests" / "data"
RATE = 44_100

BENDS = {
    "tanh": np.tanh,
    "exponential": lambda v: 1 - np.exp(-v),
    "root": lambda v: v / np.sqrt(1 + v * v),
    "arctan": lambda v: 2 / np.pi * np.arctan(np.pi / 2 * v),
}


class TestDeclipSoftContract(EffectContract):
    stage = DeclipSoft()


def recording(name: str, seconds: int = 4) -> Audio:
    whole = Audio.read(RECORDINGS / name)
    return Audio.of(whole.waveform[:1, : seconds * whole.sample_rate], whole.sample_rate)


def pressed(audio: Audio, by_db: float = 6, knee: float = 0.6, bend: str = "tanh") -> Audio:
    """The limit lies *by_db* under the highest peak, the knee at that share of the limit."""
    limit = np.abs(audio.waveform).max() * 10 ** (-by_db / 20)
    above = np.maximum(np.abs(audio.waveform) - knee * limit, 0)
    room = (1 - knee) * limit
    bent = np.copysign(np.minimum(np.abs(audio.waveform), knee * limit) + room * BENDS[bend](above / room), 1)
    return Audio.of(np.copysign(bent, audio.waveform).astype(np.float32), audio.sample_rate)


def error_db(clean: Audio, found: Audio) -> float:
    return float(10 * np.log10(((found.waveform - clean.waveform) ** 2).sum() / (clean.waveform**2).sum()))


@pytest.mark.parametrize(("bend", "gain_db"), [("tanh", 25), ("exponential", 25), ("root", 25), ("arctan", 25)])
def test_a_guitar_gets_its_peaks_back_from_any_of_four_curves(bend, gain_db):
    clean = recording("guit_em9.flac")
    damaged = pressed(clean, bend=bend)
    assert error_db(clean, DeclipSoft()(damaged)) < error_db(clean, damaged) - gain_db


def test_raised_frames_lay_above_the_knee_and_all_others_are_untouched():
    before = pressed(recording("guit_em9.flac")).waveform
    after = DeclipSoft()(Audio.of(before, RATE)).waveform
    changed = after != before
    assert changed.any()
    assert np.abs(before[changed]).min() > 0.5 * np.abs(before).max()
    assert (np.abs(after) >= np.abs(before)).all()


@pytest.mark.parametrize(
    "clean",
    [recording("guit_em9.flac"), recording("loop_compus.flac"), tone(50), tone(997), noise(rms_dbfs=-10)],
    ids=["guitar", "drums", "50 Hz", "997 Hz", "noise"],
)
def test_sound_that_was_never_pressed_is_untouched(clean):
    stage = DeclipSoft()
    assert np.array_equal(stage(clean).waveform, clean.waveform)


def test_peaks_that_were_cut_off_are_left_to_another_stage():
    whole = recording("guit_em9.flac").waveform
    cut = np.clip(whole, -0.5 * np.abs(whole).max(), 0.5 * np.abs(whole).max())
    assert np.array_equal(DeclipSoft()(Audio.of(cut, RATE)).waveform, cut)


def test_a_tone_that_is_bent_all_over_was_made_so():
    time = np.arange(4 * RATE) / RATE
    shaped = np.tanh(3 * np.sin(2 * np.pi * 110 * time) * np.exp(-time))[np.newaxis].astype(np.float32)
    assert np.array_equal(DeclipSoft()(Audio.of(0.5 * shaped, RATE)).waveform, 0.5 * shaped)


def test_what_was_pressed_to_nothing_is_left_for_the_stage_that_rebuilds():
    clean = recording("guit_em9.flac")
    damaged = pressed(clean, by_db=14)
    raised = DeclipSoft()(damaged)
    both = DeclipConsistent()(raised)
    assert error_db(clean, both) < error_db(clean, raised) - 3 < error_db(clean, damaged) - 6
    assert error_db(clean, both) < error_db(clean, DeclipConsistent()(damaged)) - 6


def test_sixteen_bits_are_enough():
    clean = recording("guit_em9.flac")
    damaged = Audio.of(np.round(pressed(clean).waveform * 32768).astype(np.float32) / 32768, RATE)
    assert error_db(clean, DeclipSoft()(damaged)) < error_db(clean, damaged) - 20


def test_one_channel_that_was_driven_too_hard_is_enough():
    clean = recording("guit_em9.flac").waveform
    stereo = np.concatenate([pressed(Audio.of(clean, RATE)).waveform, 0.1 * clean])
    after = DeclipSoft()(Audio.of(stereo, RATE)).waveform
    assert error_db(Audio.of(clean, RATE), Audio.of(after[:1], RATE)) < -40
    assert np.array_equal(after[1], stereo[1])


def test_each_part_of_a_recording_is_freed_of_its_own_curve():
    clean = recording("guit_em9.flac").waveform
    first, second = (pressed(Audio.of(clean * gain, RATE), by_db).waveform for gain, by_db in ((1, 6), (0.25, 8)))
    silence = np.zeros((1, 12 * RATE), np.float32)
    after = DeclipSoft()(Audio.of(np.concatenate([first, silence, second], axis=1), RATE)).waveform
    assert error_db(Audio.of(clean, RATE), Audio.of(after[:, : clean.shape[1]], RATE)) < -40
    assert error_db(Audio.of(clean / 4, RATE), Audio.of(after[:, -clean.shape[1] :], RATE)) < -40


def test_what_comes_later_and_passes_the_limit_is_not_of_that_curve():
    """All of it flat: nothing is heard of any curve there, and that found before does not hold."""
    pressed_guitar = np.tile(pressed(recording("guit_em9.flac")).waveform, 3)
    louder = np.tile(np.repeat(np.float32([[1, -1]]), 50, axis=1), 12 * RATE // 100)
    before = np.concatenate([0.2 * pressed_guitar, louder], axis=1)
    after = DeclipSoft()(Audio.of(before, RATE)).waveform
    assert np.any(after != before)
    assert np.array_equal(after[:, -louder.shape[1] :], louder)


@pytest.mark.parametrize("kind", ["tanh", "exponential", "root"])
@pytest.mark.parametrize("limit", [0.004, 0.02, 1])
def test_no_curve_that_is_undone_lowers_a_frame(kind, limit):
    """Of quiet sound just above a high knee, a half step of 16 bits is nearly all that is left."""
    signal = np.linspace(-limit, limit, 1001)
    raised = _Curve(0.97 * limit, limit, kind).undone(signal)
    assert (np.abs(raised) >= np.abs(signal)).all()


@pytest.mark.parametrize("sample_rate", [1, 50, 400])
def test_what_has_no_room_for_spectra_is_untouched(sample_rate):
    clean = noise(sample_rate=sample_rate, seconds=20)
    assert np.array_equal(DeclipSoft()(clean).waveform, clean.waveform)


def test_it_tells_where_the_limit_was_and_how_high_the_peaks_are_now():
    clean = recording("guit_em9.flac")
    loud = Audio.of(clean.waveform / np.abs(clean.waveform).max() * np.float32(1.5), RATE)
    processor = DeclipSoft().open(loud.spec)
    processor.process(pressed(loud, by_db=6).waveform)
    processor.flush()
    said = processor.report
    assert said["limit_db"] == pytest.approx(20 * np.log10(0.75), abs=0.1)
    assert said["knee_db"] == pytest.approx(20 * np.log10(0.45), abs=0.5)
    assert said["peak_db"] == pytest.approx(20 * np.log10(1.5), abs=0.3)
    assert "lower the gain" in said["warning"]
