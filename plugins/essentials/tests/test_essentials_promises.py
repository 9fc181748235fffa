"""What holds for every stage of this plugin: streamed = whole, exact time, exact length, input left alone."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wavechain_essentials
from wavechain import Audio
from wavechain.limiting import TruePeakLimiter
from wavechain.stages import StreamStage
from wavechain.testing import impulse, music, silence, streamed

# Settings with which each stage has something to do on the music below.
BUSY: dict[str, list[dict[str, object]]] = {
    "gain": [{"gain_db": -6}],
    "polarity": [{}, {"channels": [1]}],
    "dc-removal": [{}, {"mode": "highpass"}],
    "fade": [{"fade_in_seconds": 0.2, "fade_out_seconds": 0.5}, {"fade_out_seconds": 3, "curve": "exponential"}],
    "pad": [{"start_seconds": 0.01, "end_seconds": 0.3}],
    "trim": [{"start_seconds": 0.1, "end_seconds": 0.9}, {"start_seconds": 0.3, "duration_seconds": 60}],
    "trim-silence": [{"threshold_dbfs": -12, "minimum_silence_seconds": 0, "keep_seconds": 0.001}],
    "channels": [{"layout": "mono"}, {"layout": "side"}, {"map": [1, -1, 0]}],
    "resample": [{"sample_rate": 44_100}, {"sample_rate": 48_011, "quality": "very-high"}, {"sample_rate": 8_000}],
    "normalize": [{}, {"mode": "peak"}],
    "loudness": [{"target_lufs": -23}, {"target_lufs": -9}, {"target_lufs": -9, "ceiling_mode": "reduce"}],
    "expander": [{"threshold_db": -15}, {"threshold_db": -20, "hold_ms": 0, "lookahead_ms": 0, "knee_db": 0}],
    "de-esser": [{"threshold_db": -50}],
    "highpass": [{"order": 5}, {"cutoff_hz": 30, "order": 16}],
    "lowpass": [{"cutoff_hz": 3_000, "order": 1}],
    "band-pass": [{}],
    "notch": [{}],
    "peak": [{"gain_db": 12}],
    "low-shelf": [{"gain_db": -6}],
    "high-shelf": [{"gain_db": 6, "slope": 0.5}],
}
MUSIC = music(seconds=1.5)
CUTS = st.lists(st.one_of(st.integers(1, 3), st.integers(1, 30_000)), min_size=1, max_size=4)


def stage_class(name: str) -> type[StreamStage]:
    module, _, kind = wavechain_essentials.STAGES[name][0].partition(":")
    found: type[StreamStage] = getattr(importlib.import_module(f"wavechain_essentials.{module}"), kind)
    return found


def every_stage(*, but: Collection[str] = ()) -> list[pytest.param]:
    cases = [(name, stage_class(name)(**settings)) for name in wavechain_essentials.STAGES for settings in BUSY[name]]
    cases.append(("true-peak-limiter", TruePeakLimiter(ceiling_db=-9)))
    return [pytest.param(stage, id=f"{name}-{n}") for n, (name, stage) in enumerate(cases) if name not in but]


@pytest.mark.parametrize("stage", every_stage())
@given(sizes=CUTS)
@settings(max_examples=5)
def test_streamed_equals_whole_to_the_last_bit(stage: StreamStage, sizes: list[int]):
    if sum(sizes) < 20 * len(sizes):
        sizes = [*sizes, 5_000]  # blocks of 1 to 3 frames among larger ones; alone they are tested below
    whole = streamed(stage, MUSIC, [MUSIC.frames])
    np.testing.assert_array_equal(streamed(stage, MUSIC, sizes).waveform, whole.waveform)


@pytest.mark.parametrize("stage", every_stage())
def test_streamed_equals_whole_in_blocks_of_1_to_3_frames(stage: StreamStage):
    short = Audio(np.ascontiguousarray(MUSIC.waveform[:, :20_000]), MUSIC.sample_rate)
    whole = streamed(stage, short, [short.frames])
    np.testing.assert_array_equal(streamed(stage, short, [1, 2, 3, 1, 3]).waveform, whole.waveform)


@pytest.mark.parametrize(
    "name", sorted(set(BUSY) - {"pad", "trim", "trim-silence", "resample", "normalize", "loudness"})
)
def test_an_impulse_stays_where_it_was(name: str):
    settings = {**BUSY[name][0], **({"order": 2} if name == "highpass" else {})}
    if name in ("expander", "de-esser"):
        settings["threshold_db"] = 0
    if name == "band-pass":
        settings = {"frequency_hz": 12_000, "q": 0.5}
    if name == "fade":
        settings = {"fade_in_seconds": 0.1, "fade_out_seconds": 0.1}
    if name == "channels":
        settings = {"layout": "mono"}
    if name == "lowpass":
        settings = {"cutoff_hz": 20_000, "order": 1}
    before = impulse(at=30_011, channels=2, level=0.5)
    after = stage_class(name)(**settings)(before)
    assert after.frames == before.frames
    assert np.abs(after.waveform).argmax(axis=1).tolist() == [30_011] * after.channels


@pytest.mark.parametrize("stage", every_stage())
def test_length_is_as_announced(stage: StreamStage):
    announced = stage.out_spec(MUSIC.spec)
    after = stage(MUSIC)
    assert after.spec.shape == announced.shape
    assert after.spec.rate == announced.rate
    assert announced.length in (None, after.frames)


@pytest.mark.parametrize("stage", every_stage(but=("trim", "trim-silence")))
@pytest.mark.parametrize("frames", [1, 2, 999])
def test_a_few_frames_are_enough(stage: StreamStage, frames: int):
    before = Audio(np.ascontiguousarray(MUSIC.waveform[:, 30_000 : 30_000 + frames]), MUSIC.sample_rate)
    expected = stage.out_spec(before.spec).length
    assert stage(before).frames == expected


@pytest.mark.parametrize("stage", every_stage())
def test_silence_stays_silence(stage: StreamStage):
    assert not stage(silence(channels=2, seconds=1)).waveform.any()


@pytest.mark.parametrize("stage", every_stage(but=("channels", "polarity")))
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_any_channel_count_is_served(stage: StreamStage, channels: int):
    after = stage(music(seconds=0.8, channels=channels))
    assert after.channels == channels
    assert np.isfinite(after.waveform).all()


@pytest.mark.parametrize("stage", every_stage())
def test_settings_survive_pickle(stage: StreamStage):
    assert pickle.loads(pickle.dumps(stage)) == stage


@pytest.mark.parametrize("name", list(BUSY))
def test_the_class_is_called_as_it_is_registered(name: str):
    assert stage_class(name).stage_name() == name


def test_every_stage_is_in_this_test():
    assert list(BUSY) == list(wavechain_essentials.STAGES)


def test_no_stage_leaves_a_trace_for_the_next_stream():
    stage = stage_class("expander")(threshold_db=-15)
    first = stage(MUSIC).waveform
    stage(music(seed=4, seconds=0.5))
    np.testing.assert_array_equal(stage(MUSIC).waveform, first)


def test_registering_imports_no_numpy():
    program = (
        "import sys, wavechain_essentials\n"
        "heavy = {'numpy', 'soxr', 'pydantic', 'scipy', 'soundfile', 'pedalboard'} & set(sys.modules)\n"
        "sys.exit(','.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_names_every_stage_and_preset():
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    names = [*wavechain_essentials.STAGES, *wavechain_essentials.PRESETS, "true-peak-limiter"]
    assert [name for name in names if f"`{name}`" not in readme] == []
