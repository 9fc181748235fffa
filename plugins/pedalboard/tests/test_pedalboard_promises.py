"""What holds for every effect here: streamed = whole, exact time and length, the sound of pedalboard itself."""

from __future__ import annotations

import importlib
import math
import pickle
from typing import Any

import numpy as np
import pedalboard
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

import wavechain_pedalboard
from wavechain import Audio, Effect, Spec
from wavechain.testing import impulse, latency_of, music, noise, silence, streamed
from wavechain_pedalboard.hosting import PedalboardEffect

# Settings with which each effect has something to do on the music below.
BUSY: dict[str, dict[str, Any]] = {
    "bitcrush": {"bit_depth": 6.5},
    "brickwall-limiter": {"ceiling_db": -12, "true_peak": True},
    "chorus": {"feedback": 0.4},
    "clipping": {"threshold_db": -12},
    "compressor": {"threshold_db": -24, "ratio": 4},
    "convolution": {"mix": 0.7},
    "delay": {"delay_seconds": 0.05, "feedback": 0.5},
    "distortion": {},
    "gain": {"gain_db": -6},
    "gsm-compressor": {},
    "high-shelf-filter": {"gain_db": 6},
    "highpass-filter": {},
    "invert": {},
    "ladder-filter": {"mode": "bandpass-24", "resonance": 0.6, "drive": 2},
    "limiter": {},
    "low-shelf-filter": {"gain_db": -6},
    "lowpass-filter": {"cutoff_hz": 2_000},
    "mp3-compressor": {},
    "noise-gate": {"threshold_db": -20},
    "peak-filter": {"gain_db": 12},
    "phaser": {"feedback": 0.4},
    "pitch-shift": {"semitones": 3},
    "resample": {"quality": "windowed-sinc-16"},
    "reverb": {},
}
CUTS = st.lists(st.one_of(st.integers(1, 3), st.integers(1, 90_000)), min_size=1, max_size=4)
LONG = music(seconds=3)
SHORT = music(seconds=0.4)


@pytest.fixture(scope="module")
def response(tmp_path_factory: pytest.TempPathFactory):
    """A short room, as a file."""
    path = tmp_path_factory.mktemp("responses") / "room.wav"
    fading = noise(seconds=0.05, channels=1).waveform[0] * np.exp(-np.arange(2_400) / 400)
    soundfile.write(path, fading, 48_000, subtype="FLOAT")
    return path


def build(name: str, response: object, **more: Any) -> Effect:
    target = next(target for known, target, *_ in wavechain_pedalboard.STAGES if known == name)
    module, _, kind = target.partition(":")
    given = {**BUSY.get(name, {}), **more}
    if name == "convolution":
        given["impulse_response_filename"] = response
    made = getattr(importlib.import_module(f"wavechain_pedalboard.{module}"), kind)(**given)
    assert isinstance(made, Effect)
    return made


def test_every_effect_of_pedalboard_is_served():
    own = {"Chain", "ExternalPlugin", "IIRFilter", "Mix", "Pedalboard", "Plugin", "PluginContainer", "VST3Plugin"}
    own.add("AudioUnitPlugin")
    native = {
        name
        for name, found in vars(pedalboard).items()
        if isinstance(found, type) and issubclass(found, pedalboard.Plugin) and not name.startswith("_")
    } - own
    served = {target.partition(":")[2].lower() for _, target, *_ in wavechain_pedalboard.STAGES}
    names = {"MP3Compressor": "mp3compressor", "GSMFullRateCompressor": "gsmcompressor"}
    assert {names.get(name, name.lower()) for name in native} == served - {"pluginhost"}
    assert set(BUSY) == {name for name, *_ in wavechain_pedalboard.STAGES} - {"plugin-host"}


@pytest.mark.parametrize("name", sorted(BUSY))
@given(sizes=CUTS)
@settings(max_examples=4)
def test_streamed_equals_whole_to_the_last_bit(name: str, sizes: list[int], response: object):
    if sum(sizes) < 400 * len(sizes):
        sizes = [*sizes, 20_000]  # blocks of 1 to 3 frames among larger ones; alone they are tested below
    stage = build(name, response)
    before = SHORT if name in ("gsm-compressor", "pitch-shift", "resample") else LONG
    whole = streamed(stage, before, [before.frames])
    np.testing.assert_array_equal(streamed(stage, before, sizes).waveform, whole.waveform)


@pytest.mark.parametrize("name", sorted(BUSY))
@pytest.mark.parametrize("channels", [1, 2])
def test_streamed_equals_whole_in_blocks_of_1_to_3_frames(name: str, channels: int, response: object):
    before = Audio(np.ascontiguousarray(SHORT.waveform[:channels, :5_000]), SHORT.sample_rate)
    stage = build(name, response)
    whole = streamed(stage, before, [before.frames])
    np.testing.assert_array_equal(streamed(stage, before, [1, 2, 3, 1, 3]).waveform, whole.waveform)


@pytest.mark.parametrize("name", sorted(set(BUSY) - {"convolution", "gsm-compressor", "pitch-shift"}))
def test_the_sound_is_that_of_pedalboard_in_one_call(name: str):
    stage = build(name, None)
    assert isinstance(stage, PedalboardEffect)
    after = stage(LONG)
    padded = np.pad(LONG.waveform, ((0, 0), (0, after.frames - LONG.frames)))
    by_hand = type(stage).pedal(**stage.settings(LONG.spec))(padded, 48_000.0)
    np.testing.assert_array_equal(after.waveform, by_hand)


# Settings that let an impulse through, and keep its first arrival the loudest.
CLEAR: dict[str, dict[str, Any]] = {
    "bitcrush": {},
    "brickwall-limiter": {"lookahead_ms": 37, "true_peak": True},
    "chorus": {"mix": 0.3},
    "clipping": {},
    "compressor": {},
    "convolution": {"mix": 0.3},
    "delay": {"mix": 0.3},
    "distortion": {},
    "gain": {},
    "high-shelf-filter": {},
    "highpass-filter": {},
    "invert": {},
    "ladder-filter": {"mode": "highpass-12", "cutoff_hz": 20},
    "limiter": {},
    "low-shelf-filter": {},
    "lowpass-filter": {"cutoff_hz": 20_000},
    "mp3-compressor": {"vbr_quality": 0},
    "noise-gate": {},
    "peak-filter": {},
    "phaser": {"mix": 0.3},
    "pitch-shift": {"semitones": 0},
    "resample": {"target_sample_rate": 24_000, "quality": "windowed-sinc-64"},
    "reverb": {},
}


@pytest.mark.parametrize("name", sorted(CLEAR))
@pytest.mark.parametrize("sample_rate", [44_100, 48_000])
def test_an_impulse_stays_where_it_was(name: str, sample_rate: int, response: object):
    at = 30_012  # even: half the rate keeps every second frame
    before = impulse(at=at, sample_rate=sample_rate, channels=2, level=0.5)
    settings = {**CLEAR[name], **({"target_sample_rate": sample_rate / 2} if name == "resample" else {})}
    after = streamed(type(build(name, response))(**_named(name, settings, response)), before, [7_001])
    assert np.abs(after.waveform).argmax(axis=1).tolist() == [at, at]


def _named(name: str, settings: dict[str, Any], response: object) -> dict[str, Any]:
    return {**settings, "impulse_response_filename": response} if name == "convolution" else settings


def dull_noise(sample_rate: int) -> Audio:
    """Noise below a few hundred hertz, which every carrier can carry."""
    rough = noise(sample_rate=sample_rate, seconds=1.5, rms_dbfs=-12).waveform[0]
    width = sample_rate // 500
    smooth = np.convolve(rough, np.hanning(width) / width, "same")
    return Audio.of((0.5 * smooth / np.abs(smooth).max()).astype(np.float32), sample_rate)


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("quality", ["zero-order-hold", "linear", "lagrange", "windowed-sinc-8", "windowed-sinc-256"])
def test_a_lower_rate_moves_nothing_in_time(sample_rate: int, quality: str, response: object):
    before = dull_noise(sample_rate)
    after = build("resample", response, quality=quality)(before)
    # A hold may be late by half a frame more or less: its period need not be an even number of frames.
    assert abs(latency_of(before, after)) <= (quality == "zero-order-hold")


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 22_050, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("quality", ["zero-order-hold", "windowed-sinc-8"])
def test_a_telephone_moves_nothing_in_time(sample_rate: int, quality: str, response: object):
    before = dull_noise(sample_rate)
    after = build("gsm-compressor", response, quality=quality)(before)
    assert abs(latency_of(before, after)) <= sample_rate / 48_000


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
def test_mp3_moves_nothing_in_time(sample_rate: int, response: object):
    before = dull_noise(sample_rate)
    assert latency_of(before, build("mp3-compressor", response)(before)) == 0


@pytest.mark.parametrize("semitones", [-12, -3, 0.5, 7, 12])
@pytest.mark.parametrize("sample_rate", [16_000, 44_100, 96_000])
def test_a_shifted_burst_keeps_its_middle(semitones: float, sample_rate: int, response: object):
    time = np.arange(sample_rate) / sample_rate
    bursts = sum(
        np.exp(-(((time - middle) / 0.02) ** 2)) * np.sin(2 * np.pi * pitch * time)
        for middle, pitch in ((0.3, 330), (0.5, 700), (0.7, 1_100))
    )
    before = Audio.of((0.4 * bursts).astype(np.float32), sample_rate)
    after = build("pitch-shift", response, semitones=semitones)(before)
    for middle in (0.3, 0.5, 0.7):
        near = slice(round((middle - 0.1) * sample_rate), round((middle + 0.1) * sample_rate))
        energy = after.waveform[0, near].astype(float) ** 2
        assert (energy * time[near]).sum() / energy.sum() == approx(middle, abs=0.008)


def test_a_call_longer_than_a_section_has_no_seam(response: object):
    before = music(sample_rate=8_000, seconds=20, channels=1)
    stage = build("gsm-compressor", response)
    whole = streamed(stage, before, [before.frames])
    np.testing.assert_array_equal(streamed(stage, before, [1, 777, 50_001]).waveform, whole.waveform)
    by_hand = pedalboard.GSMFullRateCompressor()(before.waveform, 8_000.0)
    step = np.abs(np.diff(whole.waveform)).max()
    assert step <= 1.2 * np.abs(np.diff(by_hand)).max()


LINKED = {"brickwall-limiter", "mp3-compressor", "pitch-shift"}


@pytest.mark.parametrize("name", sorted(set(BUSY) - LINKED - {"reverb"}))
@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_channels_do_not_hear_each_other(name: str, channels: int, response: object):
    left, right = SHORT.waveform[0, :9_000], SHORT.waveform[1, 5_000:14_000]
    together = Audio(np.stack([left if index % 2 == 0 else right for index in range(channels)]), 48_000)
    after = build(name, response)(together).waveform
    alone = [build(name, response)(Audio.of(side, 48_000)).waveform[0] for side in (left, right)]
    for index in range(channels):
        np.testing.assert_allclose(after[index], alone[index % 2], atol=1e-6)


@pytest.mark.parametrize("name", sorted(LINKED))
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_effects_that_link_channels_take_any_number(name: str, channels: int, response: object):
    before = noise(seconds=0.2, channels=channels)
    after = build(name, response)(before)
    assert after.waveform.shape == before.waveform.shape
    assert (np.abs(after.waveform).max(axis=1) > 0.01).all()


@pytest.mark.parametrize("name", sorted(BUSY))
def test_length_is_as_announced(name: str, response: object):
    stage = build(name, response)
    processor = stage.open(SHORT.spec)
    after = stage(SHORT)
    if processor.tail == math.inf:
        assert SHORT.frames < after.frames <= SHORT.frames + 480_000
    else:
        assert after.frames == SHORT.frames + processor.tail


@pytest.mark.parametrize("name", sorted(BUSY))
@pytest.mark.parametrize("frames", [1, 2, 999])
def test_a_few_frames_are_enough(name: str, frames: int, response: object):
    before = Audio(np.ascontiguousarray(SHORT.waveform[:, :frames]), 48_000)
    assert build(name, response)(before).frames >= frames


@pytest.mark.parametrize("name", sorted(set(BUSY) - {"mp3-compressor", "gsm-compressor"}))
def test_silence_stays_silence(name: str, response: object):
    assert not build(name, response)(silence(channels=2, seconds=0.5)).waveform.any()


@pytest.mark.parametrize("name", sorted(BUSY))
def test_no_stream_hears_the_one_before(name: str, response: object):
    stage = build(name, response)
    np.testing.assert_array_equal(stage(SHORT).waveform, stage(SHORT).waveform)


@pytest.mark.parametrize("name", sorted(BUSY))
def test_settings_can_be_sent_to_another_process(name: str, response: object):
    stage = build(name, response)
    assert pickle.loads(pickle.dumps(stage)) == stage


def test_a_stream_of_unknown_length_is_fine(response: object):
    for name in sorted(BUSY):
        processor = build(name, response).open(Spec.audio(48_000, 2))
        parts = [processor.process(SHORT.waveform), processor.flush()]
        assert np.concatenate(parts, axis=-1).shape[-1] == SHORT.frames
