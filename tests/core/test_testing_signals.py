"""The signals are what they say, and those that come from a seed come again."""

from __future__ import annotations

import numpy as np
import pytest

from wavechain.testing import chirp, impulse, music, noise, silence, speech, tone

SIGNALS = {
    "silence": silence,
    "impulse": impulse,
    "tone": lambda **how: tone(440, **how),
    "chirp": chirp,
    "noise": noise,
    "music": music,
    "speech": speech,
}


def levels(waveform, sample_rate, seconds=0.01):
    size = round(seconds * sample_rate)
    whole = waveform[0, : waveform.shape[1] // size * size].reshape(-1, size)
    return np.sqrt((whole.astype(np.float64) ** 2).mean(axis=1))


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
@pytest.mark.parametrize(("sample_rate", "seconds", "channels"), [(8_000, 0.3, 1), (44_100, 1.7, 2), (96_000, 0.01, 3)])
def test_a_signal_is_as_long_and_as_wide_as_it_was_asked_for(signal, sample_rate, seconds, channels):
    sound = signal(sample_rate=sample_rate, seconds=seconds, channels=channels)
    assert (sound.sample_rate, sound.channels, sound.frames) == (sample_rate, channels, round(sample_rate * seconds))
    assert sound.waveform.dtype == np.float32
    assert sound.waveform.flags.c_contiguous
    assert np.isfinite(sound.waveform).all()
    again = signal(sample_rate=sample_rate, seconds=seconds, channels=channels)
    np.testing.assert_array_equal(sound.waveform, again.waveform)


@pytest.mark.parametrize("signal", [noise, music, speech])
def test_another_seed_is_another_sound(signal):
    assert not np.array_equal(signal(seed=1, seconds=1).waveform, signal(seed=2, seconds=1).waveform)


def test_no_signal_of_no_length_fails():
    assert speech(seconds=0).frames == music(seconds=0).frames == 0


def test_speech_and_music_peak_three_decibels_below_full_scale():
    for signal in (speech, music):
        assert np.abs(signal().waveform).max() == pytest.approx(0.7, abs=1e-6)


def test_speech_pauses_between_words_and_music_does_not():
    talking = levels(speech(seconds=6).waveform, 48_000)
    quiet = np.split(talking == 0, np.flatnonzero(np.diff(talking == 0)) + 1)
    pauses = [len(run) * 0.01 for run in quiet if run[0] and len(run) > 5]
    assert len(pauses) >= 4
    assert all(0.1 <= pause <= 0.45 for pause in pauses)
    assert levels(music(seconds=6).waveform, 48_000).min() > 1e-4


def test_a_word_begins_with_a_hiss_and_goes_on_with_a_voice():
    word = speech(seed=4).waveform[0]

    def share_above_2_khz(start, end):
        spectrum = np.abs(np.fft.rfft(word[round(start * 48_000) : round(end * 48_000)])) ** 2
        return spectrum[round(2_000 * (end - start)) :].sum() / spectrum.sum()

    assert share_above_2_khz(0.0, 0.04) > 0.7
    assert share_above_2_khz(0.1, 0.16) < 0.3


@pytest.mark.parametrize("seed", range(5))
def test_a_voice_is_strongest_where_first_formants_are(seed):
    talking = speech(seed=seed, seconds=2).waveform[0]
    power = np.abs(np.fft.rfft(talking)) ** 2  # half a hertz apart
    assert power[400:1_800].sum() > power[:400].sum()


def test_speech_says_the_same_at_any_sample_rate():
    low, high = (levels(speech(sample_rate=rate).waveform, rate, 0.02) for rate in (16_000, 48_000))
    count = min(low.size, high.size)
    assert np.corrcoef(low[:count], high[:count])[0, 1] > 0.9


def test_music_has_an_onset_every_half_second():
    beat = levels(music(seconds=3, seed=1).waveform, 48_000)
    rises = np.flatnonzero(beat[1:] > 2 * beat[:-1]) + 1
    assert set(np.round(rises * 0.01 / 0.5, 1)) >= {1.0, 2.0, 3.0, 4.0, 5.0}
