"""Peaks that were cut off come back; what was not cut off stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wavechain import Audio, Chain
from wavechain.testing import EffectContract, noise, streamed, tone
from wavechain_restoration.declip_consistent import DeclipConsistent

RECORDINGS = Path(__file__).parents[3] / "tests" / "data"


class TestDeclipConsistentContract(EffectContract):
    stage = DeclipConsistent()


def recording(name: str) -> Audio:
    whole = Audio.read(RECORDINGS / name)
    return Audio.of(whole.waveform[:1, : 2 * whole.sample_rate], whole.sample_rate)


def cut(audio: Audio, by_db: float) -> Audio:
    level = np.abs(audio.waveform).max() * 10 ** (-by_db / 20)
    return Audio.of(np.clip(audio.waveform, -level, level), audio.sample_rate)


def error_db(clean: Audio, found: Audio) -> float:
    return float(10 * np.log10(((found.waveform - clean.waveform) ** 2).sum() / (clean.waveform**2).sum()))


@pytest.mark.parametrize(("by_db", "gain_db"), [(3, 20), (6, 18), (12, 14)])
def test_a_guitar_gets_its_peaks_back(by_db, gain_db):
    clean = recording("guit_em9.flac")
    assert error_db(clean, DeclipConsistent()(cut(clean, by_db))) < error_db(clean, cut(clean, by_db)) - gain_db


def test_rebuilt_frames_lie_beyond_the_level_and_all_others_are_untouched():
    before = cut(recording("guit_em9.flac"), 6).waveform
    after = DeclipConsistent()(Audio.of(before, 44_100)).waveform
    changed = after != before
    assert changed.any()
    assert (np.abs(before[changed]) > np.abs(before).max() - 1e-4).all()
    assert (np.abs(after) >= np.abs(before)).all()


@pytest.mark.parametrize(
    "clean",
    [recording("guit_em9.flac"), recording("loop_compus.flac"), tone(50), tone(997), noise(rms_dbfs=-10)],
    ids=["guitar", "drums", "50 Hz", "997 Hz", "noise"],
)
def test_sound_that_was_never_cut_is_untouched(clean):
    assert np.array_equal(DeclipConsistent()(clean).waveform, clean.waveform)


def test_a_square_wave_is_flat_by_nature():
    square = Audio.of(0.5 * np.sign(tone(110).waveform), 48_000)
    assert np.array_equal(DeclipConsistent()(square).waveform, square.waveform)


def test_blocks_cannot_be_heard():
    before = cut(recording("guit_em9.flac"), 6)
    whole = DeclipConsistent()(before).waveform
    assert np.array_equal(streamed(Chain([DeclipConsistent()]), before, [1, 777, 30_000]).waveform, whole)


def test_the_report_warns_of_peaks_beyond_full_scale():
    clean = recording("guit_em9.flac")
    loud = Audio.of(clean.waveform / np.abs(clean.waveform).max() * 1.9, 44_100)
    loud = Audio.of(np.clip(loud.waveform, -1, 1), 44_100)
    worker = DeclipConsistent().open(loud.spec)
    worker.process(loud.waveform)
    worker.flush()
    assert worker.report["rebuilt_frames"] > 100
    assert "dBFS" in worker.report["warning"]
