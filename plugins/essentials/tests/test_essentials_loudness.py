"""Loudness: on target, under the ceiling; by our meters and by ffmpeg's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from pytest import approx

from wavechain import Audio, Chain
from wavechain.dsp.loudness import LoudnessMeter
from wavechain.dsp.true_peak import TruePeakMeter
from wavechain.engine import Opening, prepare
from wavechain.errors import ParameterError
from wavechain.origins import AudioOrigin
from wavechain.testing import noise, silence, streamed, tone
from wavechain_essentials.filters import Highpass
from wavechain_essentials.loudness import Loudness

# How loud the drums are in the song below, and from its loudness to its true peak, in dB.
SONGS = {"strings": 0.0, "ballad": 0.04, "rock": 0.12, "percussion": 0.25}


def song(drums: float, *, sample_rate: int = 44_100, seconds: float = 8.0) -> Audio:
    """Slowly breathing strings, and four drum strokes a second."""
    frames = round(sample_rate * seconds)
    generator = np.random.default_rng(7)
    time = np.arange(frames) / sample_rate
    chord = sum(np.sin(2 * np.pi * hz * time + hz) / hz for hz in (110.0, 220.5, 331.0, 554.0, 1661.0))
    strings = 20 * chord * (0.6 + 0.4 * np.sin(2 * np.pi * 0.2 * time))
    stroke = np.arange(round(0.12 * sample_rate)) / sample_rate
    beats = np.zeros(frames)
    for beat in range(round(seconds * 4) - 1):
        start = beat * sample_rate // 4
        beats[start : start + stroke.size] += generator.standard_normal(stroke.size) * np.exp(-stroke / 0.008)
        beats[start : start + stroke.size] += 2 * np.sin(2 * np.pi * 60 * stroke) * np.exp(-stroke / 0.04)
    both = 0.2 * strings + drums * np.stack([beats, 0.8 * beats]) + 0.001 * generator.standard_normal((2, frames))
    return Audio.of(0.5 * both / np.abs(both).max(), sample_rate)


def lufs(audio: Audio) -> float:
    meter = LoudnessMeter(audio.sample_rate, audio.channels)
    meter.feed(audio.waveform)
    return meter.integrated_lufs()


def true_peak_dbtp(audio: Audio) -> float:
    meter = TruePeakMeter(audio.sample_rate, audio.channels)
    meter.feed(audio.waveform)
    meter.finish()
    return meter.true_peak_dbtp


def ffmpeg_says(audio: Audio, folder: Path) -> tuple[float, float]:
    """Integrated loudness and true peak."""
    path = folder / "song.wav"
    soundfile.write(path, audio.waveform.T, audio.sample_rate, subtype="FLOAT")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostats", "-i", path, "-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    summary = said[said.rindex("Summary:") :]
    integrated, peak = re.search(r"I:\s+(\S+) LUFS", summary), re.search(r"Peak:\s+(\S+) dBFS", summary)
    assert integrated
    assert peak
    return float(integrated[1]), float(peak[1])


def report_of(stage: Loudness, audio: Audio) -> dict[str, Any]:
    prepared = prepare([stage], AudioOrigin(audio), Opening())
    list(prepared.blocks)
    (leaf,) = prepared.series.leaves()
    return leaf.processor.report


def test_the_songs_cover_the_crest_factors_of_music():
    crests = [true_peak_dbtp(song(drums)) - lufs(song(drums)) for drums in SONGS.values()]
    assert crests == sorted(crests)
    assert crests[0] < 12
    assert crests[-1] > 20


@pytest.mark.parametrize("target_lufs", [-23.0, -18.0, -16.0, -14.0])
@pytest.mark.parametrize("title", SONGS)
def test_every_song_lands_on_target_and_under_the_ceiling(title: str, target_lufs: float, tmp_path: Path):
    after = Loudness(target_lufs=target_lufs, true_peak_ceiling_db=-1)(song(SONGS[title]))
    assert lufs(after) == approx(target_lufs, abs=0.04)
    assert true_peak_dbtp(after) < -1
    integrated, peak = ffmpeg_says(after, tmp_path)
    assert integrated == approx(target_lufs, abs=0.1)
    assert peak <= -1.0  # one decimal


@pytest.mark.parametrize("sample_rate", [16_000, 48_000, 96_000])
def test_it_lands_at_any_sample_rate(sample_rate: int):
    after = Loudness(target_lufs=-14)(song(SONGS["ballad"], sample_rate=sample_rate, seconds=4))
    assert lufs(after) == approx(-14, abs=0.04)
    assert true_peak_dbtp(after) < -1


def test_where_the_ceiling_is_far_it_is_one_plain_gain():
    before = song(SONGS["rock"])
    after = Loudness(target_lufs=-30)(before)
    factor = after.waveform[0, 1_000] / before.waveform[0, 1_000]
    assert np.abs(after.waveform - before.waveform * factor).max() < 1e-6


def test_reduce_stops_at_the_ceiling_and_changes_no_dynamics():
    before = song(SONGS["percussion"])
    after = Loudness(target_lufs=-9, ceiling_mode="reduce")(before)
    assert -1.3 < true_peak_dbtp(after) < -1
    assert true_peak_dbtp(after) - lufs(after) == approx(true_peak_dbtp(before) - lufs(before), abs=0.01)


def test_the_report_says_what_was_measured_and_done():
    before = song(SONGS["rock"])
    report = report_of(Loudness(target_lufs=-14), before)
    assert report["measured_lufs"] == approx(lufs(before), abs=0.01)
    assert report["measured_true_peak_dbtp"] == approx(true_peak_dbtp(before), abs=0.01)
    assert report["expected_lufs"] == approx(-14, abs=0.04)
    assert report["gain_db"] > -14 - lufs(before)  # more than the plain gain: what the limiter took is given back
    assert report["ceiling"] == "limited"
    assert report_of(Loudness(target_lufs=-9, ceiling_mode="reduce"), before)["ceiling"] == "gain reduced"
    assert "ceiling" not in report_of(Loudness(target_lufs=-40), before)


def test_a_target_out_of_reach_is_reported_not_hidden():
    before = song(SONGS["percussion"])
    report = report_of(Loudness(target_lufs=-6), before)
    assert "-6 LUFS is out of reach under -1 dBTP" in report["warning"]
    after = Loudness(target_lufs=-6)(before)
    assert lufs(after) == approx(report["expected_lufs"], abs=0.01)
    assert true_peak_dbtp(after) < -1


@pytest.mark.parametrize("before", [silence(channels=2, seconds=2), tone(440, seconds=0.3), noise(rms_dbfs=-90)])
def test_what_has_no_loudness_is_left_alone_and_the_report_says_so(before: Audio):
    np.testing.assert_array_equal(Loudness()(before).waveform, before.waveform)
    assert report_of(Loudness(), before) == {"left_alone": "silent, or too short for a loudness"}


def test_it_measures_what_the_stages_before_it_made():
    chain = Chain([Highpass(cutoff_hz=300, order=4), Loudness(target_lufs=-18)])
    assert lufs(chain(song(SONGS["ballad"]))) == approx(-18, abs=0.04)


def test_limited_songs_stream_to_the_last_bit():
    before, stage = song(SONGS["rock"], seconds=4), Loudness(target_lufs=-12)
    np.testing.assert_array_equal(streamed(stage, before, [1, 2, 3, 40_001]).waveform, stage(before).waveform)


def test_a_rate_too_low_for_the_standard_is_refused():
    with pytest.raises(ParameterError, match=r"stage 1 \(loudness\): Loudness needs a sample rate of at least 4000 Hz"):
        Loudness()(tone(100, sample_rate=2_000))
