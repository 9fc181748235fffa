"""Time and pitch, each without the other; and the whole contract, held to by wavechain's kit."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import pytest
from wavechain_rubberband.stretching import FitDuration, TimeStretch
from wavechain_rubberband.transposing import Harmony, Transpose

from wavechain import Audio, Chain, Mix, WavechainError
from wavechain.testing import EffectContract, PluginContract, impulse, music, silence, tone

SPREADS = {"latency-by-impulse": "The stretcher spreads an impulse over some 20 ms; a tone burst shows the latency."}


class TestTimeStretch(EffectContract):
    stages = (TimeStretch(factor=1.37), TimeStretch(factor=0.5))
    exceptions: ClassVar = {
        "latency-by-impulse": "What happens at an instant happens at another: that is what it is for."
    }
    examples = 4


class TestFitDuration(EffectContract):
    stage = FitDuration(seconds=0.9)
    exceptions = TestTimeStretch.exceptions
    examples = 4


class TestTranspose(EffectContract):
    stages = (Transpose(semitones=3), Transpose(semitones=-7, formants="stay"))
    exceptions = SPREADS
    examples = 4


class TestHarmony(EffectContract):
    stage = Harmony(semitones=4, delay_seconds=0.05)
    examples = 4


class TestPlugin(PluginContract):
    module = "wavechain_rubberband"


def frequency(audio: Audio) -> float:
    """Of the loudest partial, in Hz, away from both ends."""
    middle = audio.waveform[0, audio.frames // 4 : -audio.frames // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    return float(np.argmax(spectrum)) * audio.sample_rate / middle.size


def burst(at: int, frames: int = 48_000) -> Audio:
    """50 ms of 1 kHz that swell and fade, with their middle at frame *at*."""
    waveform = np.zeros((1, frames), np.float32)
    waveform[0, at - 1200 : at + 1200] = tone(1000, seconds=0.05).waveform[0] * np.hanning(2400)
    return Audio.of(waveform, 48_000)


def centre(audio: Audio) -> float:
    power = audio.waveform[0].astype(float) ** 2
    return float(power @ np.arange(power.size) / power.sum())


def brightness(audio: Audio) -> float:
    """The centre of the spectrum, in Hz."""
    spectrum = np.abs(np.fft.rfft(audio.waveform[0])) ** 2
    return float(spectrum @ np.fft.rfftfreq(audio.frames, 1 / audio.sample_rate) / spectrum.sum())


@pytest.mark.parametrize("factor", [0.5, 0.77, 1.0, 1.25, 3.0])
def test_a_stretched_tone_keeps_its_pitch_and_its_level(factor):
    before = tone(440, seconds=1)
    after = TimeStretch(factor=factor)(before)
    assert after.frames == math.floor(48_000 * factor + 0.5)
    assert frequency(after) == pytest.approx(440, rel=0.01)
    middle = slice(after.frames // 4, -after.frames // 4)
    assert after.waveform[0, middle].std() == pytest.approx(before.waveform.std(), rel=0.03)


@pytest.mark.parametrize("factor", [0.5, 1.25, 2.0])
def test_what_happens_at_an_instant_happens_at_its_stretched_instant(factor):
    assert centre(TimeStretch(factor=factor)(burst(30_000))) == pytest.approx(30_000 * factor, abs=150)


@pytest.mark.parametrize(("semitones", "ratio"), [(12, 2.0), (-12, 0.5), (7, 2 ** (7 / 12))])
def test_a_transposed_tone_is_as_long_and_as_loud(semitones, ratio):
    before = tone(440, seconds=1)
    after = Transpose(semitones=semitones)(before)
    assert after.frames == before.frames
    assert frequency(after) == pytest.approx(440 * ratio, rel=0.01)
    middle = slice(12_000, 36_000)
    assert after.waveform[0, middle].std() == pytest.approx(before.waveform.std(), rel=0.02)


@pytest.mark.parametrize("semitones", [-5, 0, 5])
def test_the_latency_is_taken_out(semitones):
    assert centre(Transpose(semitones=semitones)(burst(30_000))) == pytest.approx(30_000, abs=150)


def test_dry_and_wet_stay_together_in_a_mix():
    before = burst(30_000)
    mixed = Mix(stages=[Transpose(semitones=0)], wet=0.5)(before)
    assert mixed.frames == before.frames
    assert np.abs(mixed.waveform - before.waveform).max() < 0.02


def vowel(seconds: float = 1.0) -> Audio:
    """A buzz of 120 Hz through a throat that resonates at 800 Hz."""
    pulses = np.zeros(int(seconds * 48_000))
    pulses[::400] = 1
    time = np.arange(2400) / 48_000
    throat = np.exp(-400 * time) * np.sin(2 * np.pi * 800 * time)
    return Audio.of(0.3 * np.convolve(pulses, throat)[: pulses.size], 48_000)


def test_a_voice_keeps_its_size_when_formants_stay():
    follow, stay = (brightness(Transpose(semitones=12, formants=each)(vowel())) for each in ("follow", "stay"))
    assert follow == pytest.approx(2 * brightness(vowel()), rel=0.1)
    assert stay == pytest.approx(brightness(vowel()), rel=0.25)


def test_a_harmony_is_the_sound_itself_and_a_copy_after_its_delay():
    before = burst(10_000)
    after = Harmony(semitones=7, delay_seconds=0.5, level=0.5)(before)
    assert after.frames == before.frames + 24_000
    first, second = after.waveform[:, :22_000], after.waveform[:, 22_000:]
    assert centre(Audio.of(first, 48_000)) == pytest.approx(10_000, abs=5)
    assert centre(Audio.of(second, 48_000)) + 22_000 == pytest.approx(34_000, abs=150)
    assert frequency(Audio.of(second[:, 10_000:14_000], 48_000)) == pytest.approx(1498, rel=0.05)
    assert np.abs(second).max() == pytest.approx(0.5 * np.abs(first).max(), rel=0.1)


@pytest.mark.parametrize("seconds", [0.4, 1.0, 1.2345])
def test_a_duration_is_met_to_the_frame(seconds):
    assert FitDuration(seconds=seconds)(music(seconds=1)).frames == round(seconds * 48_000)


def test_it_listens_first_where_the_length_is_known_only_at_the_end():
    sound = music(seconds=1)
    padded = Audio.of(np.pad(sound.waveform, ((0, 0), (20_000, 30_000))), 48_000)
    fitted = Chain.of("trim-silence")(padded)
    after = (Chain.of("trim-silence") | FitDuration(seconds=1.5))(padded)
    assert after.frames == 72_000
    assert np.array_equal(after.waveform, FitDuration(seconds=1.5)(fitted).waveform)


def test_a_duration_too_far_away_is_refused():
    with pytest.raises(WavechainError, match=r"1 s to 20 s is a factor of 20; it goes from 0.125 to 8"):
        FitDuration(seconds=20)(music(seconds=1))


def test_nothing_stays_nothing():
    assert TimeStretch(factor=2)(silence(seconds=0.5)).frames == 48_000
    assert not TimeStretch(factor=2)(silence(seconds=0.5)).waveform.any()


def test_a_rate_that_the_library_does_not_know_is_refused():
    with pytest.raises(WavechainError, match=r"8000 to 192000 Hz, not 4000 Hz\. Try: resample"):
        Transpose()(impulse(sample_rate=4_000, seconds=1))
