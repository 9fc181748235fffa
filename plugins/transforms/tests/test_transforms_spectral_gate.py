"""The spectral gate: less noise, the same music."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavechain import Audio, Chain
from wavechain.combinators import Inverse
from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.testing import noise, silence, streamed, tone
from wavechain_transforms.noise_profile import NoiseProfile
from wavechain_transforms.spectral_gate import SpectralGate
from wavechain_transforms.stft import Stft, window

RATE = 44_100


def gated(audio: Audio, **parameters: float) -> Audio:
    return Chain([Stft(), SpectralGate(**parameters), Inverse()])(audio)


def melody(*, seconds: float = 8.0, seed: int = 7) -> Audio:
    """Plucked harmonic notes of different lengths, a kick drum twice a second, pauses between. No noise at all."""
    generator = np.random.default_rng(seed)
    mix = np.zeros(round(RATE * seconds))
    at = 0.3
    while at < seconds - 1:
        pitch, fade = 220 * 2 ** (generator.integers(-12, 24) / 12), generator.uniform(0.3, 1.2)
        time = np.arange(min(mix.size - int(at * RATE), int(3 * fade * RATE))) / RATE
        partials = [np.sin(2 * np.pi * k * pitch * time + k * k) / k**1.2 for k in range(1, 16) if k * pitch < 18_000]
        pluck = np.minimum(1, time / 0.003) * np.exp(-2.5 * time / fade)
        mix[int(at * RATE) :][: time.size] += generator.uniform(0.3, 1) * pluck * np.sum(partials, axis=0)
        at += generator.exponential(0.25)
    for beat in range(int(2 * seconds)):
        time = np.arange(int(0.15 * RATE)) / RATE
        mix[beat * RATE // 2 :][: time.size] += 1.2 * np.sin(2 * np.pi * 60 * time) * np.exp(-20 * time)
    return Audio.of(0.5 * mix / np.abs(mix).max(), RATE)


def hiss(audio: Audio, snr_db: float, *, colour: str, seed: int = 3) -> Audio:
    """Noise at *snr_db* below *audio*: white, or pink (3 dB less for each octave up)."""
    white = np.random.default_rng(seed).standard_normal(audio.waveform.shape)
    spectrum = np.fft.rfft(white)
    if colour == "pink":
        spectrum[..., 1:] /= np.sqrt(np.arange(1, spectrum.shape[-1]))
        spectrum[..., : int(20 * audio.seconds)] = 0
    sound = np.fft.irfft(spectrum, audio.frames)
    sound *= np.sqrt((audio.waveform**2).mean() / (sound**2).mean()) * 10 ** (-snr_db / 20)
    return Audio.of(sound, RATE)


def snr_db(clean: Audio, found: Audio) -> float:
    return float(10 * np.log10((clean.waveform**2).sum() / ((found.waveform - clean.waveform) ** 2).sum()))


def added(one: Audio, other: Audio) -> Audio:
    return Audio.of(one.waveform + other.waveform, one.sample_rate)


@pytest.mark.parametrize(
    ("colour", "before_db", "gain_db"),
    [("white", 0, 9.0), ("white", 10, 6.5), ("white", 20, 4.5), ("pink", 0, 5.5), ("pink", 10, 3.5), ("pink", 20, 2.0)],
)
def test_music_in_noise_comes_out_cleaner(colour, before_db, gain_db):
    clean = melody()
    noisy = added(clean, hiss(clean, before_db, colour=colour))
    assert snr_db(clean, noisy) == pytest.approx(before_db, abs=0.1)
    assert snr_db(clean, gated(noisy)) > before_db + gain_db


@pytest.mark.parametrize("reduction_db", [6, 12, 20])
def test_noise_alone_is_lowered_by_the_reduction(reduction_db):
    before = noise(seconds=4, rms_dbfs=-40)
    after = gated(before, reduction_db=reduction_db)
    change = 20 * np.log10(after.waveform.std() / before.waveform.std())
    assert change == pytest.approx(-reduction_db, abs=2)


def test_no_chirping_is_left_in_the_noise():
    """Of Gaussian noise, one point of the spectrum in 10,000 is 11.2 dB above the median; twice that would chirp."""
    after = gated(noise(seconds=4, rms_dbfs=-40), reduction_db=20)
    spectra = Stft().open(after.spec).process(after.waveform)
    level = 10 * np.log10((spectra**2).sum(axis=1) + 1e-20)
    chance_db = 10 * np.log10(np.log(1e4) / np.log(2))
    assert (level > np.median(level) + chance_db + 6).mean() < 5e-3


def test_a_tone_that_never_stops_is_not_noise():
    held = tone(1000, sample_rate=RATE, seconds=4, level_dbfs=-20)
    after = gated(added(held, hiss(held, 30, colour="white")))
    assert 20 * np.log10(after.waveform.std() / held.waveform.std()) == pytest.approx(0, abs=0.1)


def test_a_tone_in_the_passage_of_noise_is_noise():
    hum = tone(1000, sample_rate=RATE, seconds=4, level_dbfs=-20)
    after = gated(hum, noise_from_seconds=0.5, noise_to_seconds=3.5)
    assert 20 * np.log10(after.waveform.std() / hum.waveform.std()) == pytest.approx(-15, abs=0.5)


def test_clean_music_passes_almost_untouched():
    clean = melody()
    assert snr_db(clean, gated(clean)) > 40


def test_silence_stays_silent_and_pauses_of_it_do_not_hide_the_noise():
    nothing = silence(seconds=1)
    assert not gated(nothing).waveform.any()
    hissing = noise(seconds=2, rms_dbfs=-40)
    paused = Audio.of(np.concatenate([hissing.waveform, silence(seconds=6).waveform], axis=-1), 48_000)
    after = gated(paused)
    ratio = after.waveform[:, :96_000].std() / hissing.waveform.std()
    assert 20 * np.log10(ratio) == pytest.approx(-15, abs=1.5)


def test_the_first_note_keeps_its_attack():
    note = tone(440, sample_rate=RATE, seconds=1, level_dbfs=-6)
    after = gated(added(note, hiss(note, 40, colour="white")))
    first = slice(0, 2048)
    assert 20 * np.log10(after.waveform[0, first].std() / note.waveform[0, first].std()) == pytest.approx(0, abs=0.1)


@settings(max_examples=15)
@given(sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=4), smooth=st.sampled_from([0.0, 0.025, 0.2]))
def test_streamed_equals_whole_bit_for_bit(sizes, smooth):
    audio = added(tone(700, seconds=0.5, channels=2), noise(seconds=0.5, channels=2))
    chain = Chain([Stft(n_fft=512, hop_length=128), SpectralGate(smooth_seconds=smooth), Inverse()])
    assert np.array_equal(streamed(chain, audio, sizes).waveform, chain(audio).waveform)


@pytest.mark.parametrize("percentile", [10, 20, 50])
@pytest.mark.parametrize("rms_dbfs", [-120, -60, -10])
def test_the_profile_of_white_noise_is_its_power(percentile, rms_dbfs):
    audio = noise(seconds=6, rms_dbfs=rms_dbfs, sample_rate=RATE)
    forward = Stft().open(audio.spec)
    profile = NoiseProfile(forward.spec, percentile, None)
    profile.feed(forward.process(audio.waveform))
    expected = 10 ** (rms_dbfs / 10) * (window("hann", 2048) ** 2).sum()
    inner = profile.result()[0, 20:-20]
    assert 10 * np.log10(inner / expected) == pytest.approx(0, abs=1.0)
    assert 10 * np.log10(inner.mean() / expected) == pytest.approx(0, abs=0.15)


def test_levels_are_counted_as_numpy_sorts_them():
    audio, stage = noise(seconds=2, sample_rate=RATE), Stft(n_fft=256, hop_length=64)
    forward = stage.open(audio.spec)
    columns = np.concatenate([forward.process(audio.waveform), forward.flush()], axis=-1)
    profile = NoiseProfile(forward.spec, 50, (0, 2))
    profile.feed(columns)
    expected = np.percentile((columns**2).sum(axis=1), 50, axis=-1) / np.log(2)
    assert 10 * np.log10(profile.result() / expected) == pytest.approx(0, abs=0.2)


def test_a_passage_beyond_the_file_is_refused():
    with pytest.raises(ParameterError) as refused:
        gated(noise(seconds=1), noise_from_seconds=3, noise_to_seconds=4)
    assert str(refused.value) == (
        "spectral-gate finds no sound between 3 s and 4 s to learn the noise from. Try: a passage inside the file."
    )
    with pytest.raises(ParameterError, match=r"passage from 2 s to 1 s has no length\. Try: noise_to_seconds after"):
        SpectralGate(noise_from_seconds=2, noise_to_seconds=1)


def test_sound_that_is_no_spectrum_is_refused():
    with pytest.raises(SpecMismatchError, match=r"takes stft; it is given audio.* Try: add stft before it\."):
        Chain([SpectralGate()])(tone(440))
