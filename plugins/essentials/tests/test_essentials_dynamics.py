"""Expander and de-esser: what they lower, by how much, when, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from pytest import approx

from wavechain import Audio
from wavechain.testing import noise, tone
from wavechain_essentials.de_esser import DeEsser
from wavechain_essentials.expander import Expander

RATE = 48_000


def level_db(waveform: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(waveform.astype(np.float64) ** 2))))


def joined(*parts: Audio) -> Audio:
    return Audio(np.concatenate([part.waveform for part in parts], axis=1), parts[0].sample_rate)


@pytest.mark.parametrize(("below_db", "ratio", "lowered_db"), [(10, 2, 10), (10, 3, 20), (4, 2, 4), (20, 4, 30)])
def test_a_tone_below_the_threshold_falls_by_the_ratio(below_db: float, ratio: float, lowered_db: float):
    before = tone(1_000, level_dbfs=-30 - below_db, channels=2)
    after = Expander(threshold_db=-30, ratio=ratio, range_db=30)(before)
    steady = slice(RATE // 2, None)
    assert level_db(after.waveform[:, steady]) - level_db(before.waveform[:, steady]) == approx(-lowered_db, abs=0.1)


@pytest.mark.parametrize("frequency_hz", [30, 100, 1_000, 10_000])
def test_above_the_threshold_every_bit_stays_once_it_is_open(frequency_hz: float):
    before = tone(frequency_hz, level_dbfs=-20)
    after = Expander(threshold_db=-30)(before)
    np.testing.assert_array_equal(after.waveform[:, 2_400:], before.waveform[:, 2_400:])


def test_the_range_is_never_exceeded():
    before = tone(1_000, level_dbfs=-90)
    after = Expander(threshold_db=-20, ratio=20, range_db=12)(before)
    assert level_db(after.waveform) - level_db(before.waveform) == approx(-12, abs=0.01)


def test_look_ahead_opens_before_the_word_begins():
    before = joined(tone(1_000, level_dbfs=-70, seconds=0.5), tone(1_000, level_dbfs=-10, seconds=0.5))
    onset = slice(RATE // 2, RATE // 2 + 96)
    ahead = Expander(attack_ms=1, lookahead_ms=10)(before).waveform[:, onset]
    late = Expander(attack_ms=1, lookahead_ms=0)(before).waveform[:, onset]
    assert level_db(ahead) - level_db(before.waveform[:, onset]) == approx(0, abs=0.01)
    assert level_db(late) - level_db(before.waveform[:, onset]) < -3


def test_it_stays_open_for_the_hold_time_and_then_closes():
    before = joined(tone(1_000, level_dbfs=-10, seconds=0.5), tone(1_000, level_dbfs=-70, seconds=0.5))
    after = Expander(hold_ms=100, release_ms=20, range_db=24)(before).waveform[0]
    gain = np.abs(after[RATE // 2 :]).reshape(-1, 480).max(1) / np.abs(before.waveform[0, RATE // 2 :]).reshape(
        -1, 480
    ).max(1)
    assert gain[:9] == approx(1, abs=1e-5)  # 90 ms
    assert gain[35:] == approx(10 ** (-24 / 20), rel=0.01)


def test_the_stereo_image_stands_still():
    voice, spill = tone(300, level_dbfs=-10), tone(300, level_dbfs=-70)
    after = Expander()(Audio(np.concatenate([voice.waveform, spill.waveform]), RATE))
    np.testing.assert_array_equal(after.waveform[1], spill.waveform[0])


def test_a_hiss_is_lowered_and_the_vowel_under_it_is_not():
    vowel, hiss = tone(300, level_dbfs=-12), tone(6_500, level_dbfs=-12)
    both = Audio(vowel.waveform + hiss.waveform, RATE)
    after = DeEsser(threshold_db=-30, ratio=4, range_db=10)(both).waveform[0, RATE // 4 :]
    spectrum = 20 * np.log10(np.abs(np.fft.rfft(after * np.hanning(len(after)))) / len(after) * 4)
    bins = len(after) / RATE
    assert spectrum[round(300 * bins)] == approx(-12, abs=0.1)
    assert spectrum[round(6_500 * bins)] == approx(-22, abs=0.1)


def test_what_is_above_the_threshold_shrinks_by_the_ratio():
    after = DeEsser(threshold_db=-30, ratio=2, range_db=40)(tone(6_500, level_dbfs=-10)).waveform[:, RATE // 2 :]
    assert level_db(after) == approx(-20 - 3.01, abs=0.2)


def test_a_voice_without_hiss_passes_untouched():
    before = tone(300, level_dbfs=-6, channels=2)
    faded = Audio((before.waveform * np.hanning(RATE)).astype(np.float32), RATE)
    np.testing.assert_array_equal(DeEsser()(faded).waveform, faded.waveform)


def test_the_other_consonants_keep_their_highs():
    before = noise(rms_dbfs=-60)
    np.testing.assert_array_equal(DeEsser()(before).waveform, before.waveform)
