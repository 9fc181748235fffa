"""Every legal value makes finite sound; every illegal one is refused in one line."""

from __future__ import annotations

import importlib
import math
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import wavechain_pedalboard
from wavechain import Audio, Spec
from wavechain.errors import ParameterError, SpecMismatchError, TooLargeError, WavechainError
from wavechain.params import parameters
from wavechain.stages import StreamStage
from wavechain.testing import impulse, noise
from wavechain_pedalboard.codecs import GsmCompressor, Mp3Compressor, Resample
from wavechain_pedalboard.convolution import Convolution
from wavechain_pedalboard.dynamics import BrickwallLimiter, Compressor
from wavechain_pedalboard.filters import LadderFilter, LowpassFilter
from wavechain_pedalboard.hosting import COUNTED_FRAMES
from wavechain_pedalboard.modulation import Phaser
from wavechain_pedalboard.pitch import PitchShift
from wavechain_pedalboard.space import Reverb

SIGNALS = {
    "noise": noise(seconds=0.25, channels=2, rms_dbfs=0).waveform,
    "impulse": impulse(at=5, seconds=0.25, channels=2).waveform,
    "square": np.tile(np.sign(np.sin(np.arange(12_000) * 0.05) + 0.001), (2, 1)).astype(np.float32),
    "faint": noise(seconds=0.25, channels=2, rms_dbfs=-300).waveform,
    "silence": np.zeros((2, 12_000), np.float32),
}


def effects() -> dict[str, type[StreamStage]]:
    found = {}
    for name, target, *_ in wavechain_pedalboard.STAGES:
        module, _, kind = target.partition(":")
        found[name] = getattr(importlib.import_module(f"wavechain_pedalboard.{module}"), kind)
    return found


EFFECTS = effects()


def values(cls: type[StreamStage], name: str, sample_rate: int) -> st.SearchStrategy[Any]:
    """Legal values of one parameter: its ends more often than what lies between."""
    field = cls.model_fields[name]
    if field.annotation is bool:
        return st.booleans()
    if get_origin(field.annotation) is Literal:
        return st.sampled_from(get_args(field.annotation))
    low = next(item.ge for item in field.metadata if hasattr(item, "ge"))
    high = next(item.le for item in field.metadata if hasattr(item, "le"))
    if name in getattr(cls, "frequencies", ()):
        high = min(high, 0.499 * sample_rate)
    return st.one_of(st.sampled_from([low, high]), st.floats(low, high))


@pytest.mark.parametrize("name", sorted(set(EFFECTS) - {"convolution", "pitch-shift", "plugin-host"}))
@given(data=st.data())
@settings(max_examples=15)
def test_every_legal_value_makes_finite_sound(name: str, data: st.DataObject):
    cls = EFFECTS[name]
    slow = name in ("gsm-compressor", "resample")
    rates = [8_000, 44_100, 48_000] if name == "mp3-compressor" or slow else [8_000, 44_100, 192_000]
    sample_rate = data.draw(st.sampled_from(rates))
    stage = cls(**{field: data.draw(values(cls, field, sample_rate), label=field) for field in cls.model_fields})
    waveform = SIGNALS[data.draw(st.sampled_from(sorted(SIGNALS)))][:, : 4_000 if slow else None]
    processor = stage.open(Spec.audio(sample_rate, 2, waveform.shape[1]))
    after = np.concatenate([processor.process(np.ascontiguousarray(waveform)), processor.flush()], axis=-1)
    assert np.isfinite(after).all()
    assert after.shape == waveform.shape


@pytest.mark.parametrize("semitones", [-72, -0.01, 30, 72])
def test_every_shift_makes_finite_sound(semitones: float):
    for waveform in (SIGNALS["noise"], SIGNALS["impulse"]):
        before = Audio(np.ascontiguousarray(waveform[:, :3_000]), 8_000)
        assert PitchShift(semitones=semitones)(before).frames == before.frames


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("feedback", [-0.95, 0.95])
def test_a_phaser_never_explodes(sample_rate: int, feedback: float):
    before = noise(sample_rate=sample_rate, seconds=5, rms_dbfs=-10)
    for centre in (20, 1_300, 0.49 * sample_rate):
        effect = Phaser(rate_hz=20, depth=1, feedback=feedback, mix=1, centre_hz=min(20_000, centre))
        assert np.abs(effect(before).waveform).max() < 100


def test_every_parameter_says_what_it_does_and_how_far_it_goes():
    for name, cls in EFFECTS.items():
        for parameter in parameters(cls):
            assert parameter.help.endswith((".", ")")), f"{name}: {parameter.name}"
            if parameter.type == "number":
                assert parameter.range, f"{name}: {parameter.name} has no range"


def open_message(stage: StreamStage, spec: Spec, kind: type[WavechainError]) -> str:
    with pytest.raises(kind) as caught:
        stage.open(spec)
    return str(caught.value)


def test_a_frequency_above_half_the_rate_is_refused():
    for stage, name in (
        (LowpassFilter(cutoff_hz=12_000), "cutoff_hz"),
        (LadderFilter(cutoff_hz=12_000), "cutoff_hz"),
        (Phaser(centre_hz=12_000), "centre_hz"),
    ):
        assert open_message(stage, Spec.audio(16_000, 1), ParameterError) == (
            f"{name} = 12000 Hz is not below half the sample rate of 16000 Hz. Try: below 8000 Hz."
        )


def test_a_chain_names_the_stage_that_refuses():
    with pytest.raises(SpecMismatchError) as caught:
        Reverb()(noise(channels=6))
    assert str(caught.value) == (
        "stage 1 (reverb): takes 1 or 2 channels; it is given 6. Try: add channels:layout=stereo before it."
    )


def test_a_rate_that_mp3_does_not_have_is_refused():
    assert open_message(Mp3Compressor(), Spec.audio(96_000, 2), SpecMismatchError) == (
        "takes 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000 Hz; it is given 96000 Hz. "
        "Try: add resample:sample_rate=48000 before it."
    )
    assert "resample:sample_rate=11025" in open_message(Mp3Compressor(), Spec.audio(9_600, 1), SpecMismatchError)


def test_what_counts_frames_in_32_bits_refuses_longer_streams():
    for stage in (BrickwallLimiter(), Resample()):
        assert open_message(stage, Spec.audio(48_000, 2, COUNTED_FRAMES + 1), TooLargeError) == (
            "takes at most 12.4 hours of 48000 Hz audio; it is given 12.4. Try: split the file."
        )
        stage.open(Spec.audio(48_000, 2, COUNTED_FRAMES))
    Compressor().open(Spec.audio(48_000, 2, 10 * COUNTED_FRAMES))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Compressor(treshold_db=-3),
            "compressor has no parameter 'treshold_db'. Try: threshold_db.",
        ),
        (lambda: Compressor(ratio=0.5), "compressor: ratio = 0.5 is out of range. Try: 1 to 1000."),
        (
            lambda: LadderFilter(mode="notch"),
            (
                "ladder-filter: mode = 'notch' is not a choice. Try: one of lowpass-12, highpass-12, bandpass-12, "
                "lowpass-24, highpass-24, bandpass-24."
            ),
        ),
        (lambda: PitchShift(semitones=73), "pitch-shift: semitones = 73 is out of range. Try: -72 to 72 semitones."),
        (lambda: GsmCompressor(quality=3), None),
        (
            Convolution,
            "convolution needs impulse_response_filename. Try: convolution:impulse_response_filename=VALUE.",
        ),
    ],
)
def test_a_wrong_parameter_is_one_line_with_the_way_out(make, message):
    with pytest.raises(ParameterError) as caught:
        make()
    assert "\n" not in str(caught.value)
    if message:
        assert str(caught.value) == message


def write(path, waveform: np.ndarray, sample_rate: int = 48_000):
    soundfile.write(path, waveform.T, sample_rate, subtype="FLOAT")
    return path


def test_an_unfit_impulse_response_is_refused(tmp_path):
    junk = tmp_path / "junk.wav"
    junk.write_bytes(b"junk" * 100)
    stereo = write(tmp_path / "stereo.wav", np.ones((2, 10)))
    cases = [
        (tmp_path / "none.wav", "cannot be read: No such file or directory. Try: the path of an impulse response."),
        (junk, "is not audio that can be read. Try: a WAV file."),
        (write(tmp_path / "still.wav", np.zeros((1, 10))), "holds silence or non-finite samples. Try: another file."),
        (write(tmp_path / "three.wav", np.ones((3, 10))), "has 3 channels. Try: a mono or stereo file."),
        (
            write(tmp_path / "long.wav", np.ones((1, 61 * 8_000)), 8_000),
            "is 61 s long; the limit is 60 s. Try: an impulse response, not a piece of music.",
        ),
    ]
    for path, message in cases:
        stage = Convolution(impulse_response_filename=path)
        assert open_message(stage, Spec.audio(48_000, 2), ParameterError) == f"{path} {message}"
    assert open_message(Convolution(impulse_response_filename=stereo), Spec.audio(48_000, 1), SpecMismatchError) == (
        f"{stereo} has 2 channels; the stream has 1. Try: a mono impulse response, or channels:layout=stereo before it."
    )


def test_a_response_that_was_replaced_is_read_again(tmp_path):
    path = write(tmp_path / "room.wav", np.eye(1, 100, 10))
    stage = Convolution(impulse_response_filename=path)
    assert stage(impulse(at=1_000)).frames == 48_000 + 99
    write(path, np.eye(1, 2_000, 10))
    assert stage(impulse(at=1_000)).frames == 48_000 + 1_999


def test_input_is_never_edited():
    before = noise(seconds=0.5, channels=2)
    kept = before.waveform.copy()
    before.waveform.flags.writeable = False
    for name, cls in EFFECTS.items():
        if name not in ("convolution", "plugin-host"):
            cls()(Audio(before.waveform, 48_000))
    np.testing.assert_array_equal(before.waveform, kept)
    assert math.isfinite(float(kept.sum()))
