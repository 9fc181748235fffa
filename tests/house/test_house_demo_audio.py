"""The demo's audio is what its script makes, small enough to ship, and as bad as it claims to be."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pyebur128
import pytest
import soundfile
from mutagen.flac import FLAC
from pytest import approx

HOUSE = Path(__file__).parents[2]
TAKE = HOUSE / "cli" / "wavechain_cli" / "demo" / "wavechain-demo.flac"
SCRIPT = HOUSE / "docs" / "examples" / "make_demo_audio.py"


@pytest.fixture(scope="module")
def take():
    samples, sample_rate = soundfile.read(TAKE, dtype="int16")
    assert sample_rate == 44_100
    return samples


def level_dbfs(waveform):
    return 10 * np.log10(np.mean(np.square(waveform)))


def band_dbfs(waveform, low_hz, high_hz):
    """RMS between two frequencies, read off one long spectrum under a Hann window."""
    window = np.hanning(len(waveform))
    power = np.abs(np.fft.rfft(waveform * window)) ** 2
    f = np.fft.rfftfreq(len(waveform), 1 / 44_100)
    return 10 * np.log10(2 * power[(f >= low_hz) & (f < high_hz)].sum() / len(waveform) / np.sum(window**2))


def test_the_script_makes_the_committed_take_within_one_step(take):
    spec = importlib.util.spec_from_file_location("make_demo_audio", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    again = script.render()
    assert again.shape == take.shape
    assert np.abs(again.astype(np.int32) - take).max() <= 1


def test_the_take_is_small_named_and_free():
    flac = FLAC(TAKE)
    assert TAKE.stat().st_size < 2_000_000
    assert flac["artist"] == ["wavechain"]
    assert flac["license"] == ["CC0-1.0"]
    assert flac["title"]
    assert flac["comment"]
    (picture,) = flac.pictures
    assert picture.data.startswith(b"\x89PNG")


def test_the_take_is_some_eleven_units_too_quiet(take):
    state = pyebur128.R128State(2, 44_100, pyebur128.MeasurementMode.MODE_I | pyebur128.MeasurementMode.MODE_LRA)
    state.add_frames(take.ravel(), len(take))
    assert pyebur128.get_loudness_global(state) == approx(-27, abs=0.3)
    assert pyebur128.get_loudness_range(state) > 8, "uneven: a compressor has something to do"


def test_the_first_half_second_holds_the_faults_alone(take):
    lead = take[: 44_100 // 2, 0] / 2**15
    assert np.mean(take / 2**15, axis=0) == approx([0.012, -0.007], abs=0.0005), "direct current"
    assert band_dbfs(lead - lead.mean(), 10, 40) == approx(-41, abs=2), "rumble"
    assert band_dbfs(lead, 47, 53) > band_dbfs(lead, 60, 90) + 10, "hum"
    assert band_dbfs(lead, 1_000, 16_000) == approx(-70, abs=2), "hiss"


def test_the_music_sounds_like_music(take):
    music = take[44_100 * 6 : 44_100 * 10].mean(axis=1) / 2**15
    music -= music.mean()
    crest_db = 20 * np.log10(np.abs(music).max()) - level_dbfs(music)
    assert 12 < crest_db < 20, "drums stand out, nothing clips"
    octaves = [band_dbfs(music, f, 2 * f) for f in (62.5, 125, 250, 500, 1_000, 2_000, 4_000, 8_000)]
    assert np.polyfit(range(8), octaves, 1)[0] == approx(-3, abs=1.5), "a few decibels down each octave"
