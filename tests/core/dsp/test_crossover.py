"""A crossover takes a signal apart; the parts sound like themselves, and together like the whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from wavechain.dsp.crossover import Crossover, split_sos
from wavechain.dsp.iir import frequency_response
from wavechain.errors import ParameterError

RATE = 48_000
F = np.geomspace(10, 23_900, 500)
SPLITS = [(1_000,), (200, 2_000), (100, 400, 1_600, 6_400), (1_000, 1_100, 1_200), (20, 20_000)]


def split(waveform, crossovers_hz, cuts=()):
    crossover = Crossover(crossovers_hz, RATE, len(waveform))
    parts = [crossover.process(block) for block in np.split(waveform, cuts, axis=1)]
    parts.append(crossover.flush())
    for bands in parts:
        assert len({band.shape for band in bands}) == 1, "all bands are always of equal length"
    return [np.concatenate(pieces, axis=1) for pieces in zip(*parts, strict=True)]


@pytest.mark.parametrize("crossovers_hz", SPLITS)
def test_the_bands_add_up_to_a_flat_magnitude(crossovers_hz):
    total = sum(frequency_response(sos, F, RATE) for sos in split_sos(crossovers_hz, RATE))
    assert np.abs(20 * np.log10(np.abs(total))).max() < 1e-6


@pytest.mark.parametrize("crossovers_hz", SPLITS)
def test_an_impulse_through_the_bands_and_added_up_has_a_flat_spectrum(crossovers_hz):
    impulse = np.zeros((1, 2**16), np.float32)
    impulse[0, 0] = 1
    total = np.sum([band[0].astype(np.float64) for band in split(impulse, crossovers_hz)], axis=0)
    assert np.abs(20 * np.log10(np.abs(np.fft.rfft(total)))).max() < 0.01


def test_bands_meet_at_minus_6_db_and_fall_by_24_db_an_octave():
    low, high = split_sos([1_000], RATE)
    at = [1_000, 125, 250, 2_000, 4_000]
    low_db, high_db = (20 * np.log10(np.abs(frequency_response(sos, at, RATE))) for sos in (low, high))
    assert [low_db[0], high_db[0]] == approx([-6.02, -6.02], abs=0.01)
    assert high_db[2] - high_db[1] == approx(24, abs=0.5)
    assert low_db[3] - low_db[4] == approx(25, abs=1.5), "a little more towards Nyquist"


def test_bands_are_in_phase_wherever_they_meet():
    low, middle, high = (frequency_response(sos, F, RATE) for sos in split_sos([200, 2_000], RATE))
    for one, other in itertools.combinations((low, middle, high), 2):
        both = (np.abs(one) > 1e-3) & (np.abs(other) > 1e-3)
        turned = np.angle(one[both] / other[both])
        assert np.abs(np.sin(turned)).max() < 0.06, "in phase, or exactly opposed far below the level of the others"
    for one, other, meeting in ((low, middle, 200), (middle, high, 2_000)):
        nearest = np.argmin(np.abs(F - meeting))
        assert np.angle(one[nearest] / other[nearest]) == approx(0, abs=0.06)


def test_a_tone_is_found_in_its_own_band():
    t = np.arange(RATE) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 440 * t)[None].astype(np.float32)
    bands = split(tone, (110, 1_760))
    levels = [20 * np.log10(np.sqrt(2 * np.mean(np.square(band[:, RATE // 2 :])))) for band in bands]
    assert levels[1] == approx(-6.02, abs=0.1)
    assert levels[0] < -48
    assert levels[2] < -48


@settings(max_examples=20)
@given(
    frames=st.integers(0, 40_000),
    cuts=st.lists(st.one_of(st.integers(0, 3), st.integers(0, 40_000)), max_size=8),
)
def test_any_cut_gives_the_same_bits(frames, cuts):
    before = np.random.default_rng(1).standard_normal((2, frames)).astype(np.float32)
    whole = split(before, (300, 3_000))
    for one, other in zip(split(before, (300, 3_000), sorted(cuts)), whole, strict=True):
        assert one.shape == before.shape
        np.testing.assert_array_equal(one, other)


def test_after_the_end_a_new_stream_begins():
    before = np.random.default_rng(2).standard_normal((1, 1_000)).astype(np.float32)
    crossover = Crossover([500], RATE, 1)
    crossover.process(before)
    first = crossover.flush()
    crossover.process(before)
    for one, other in zip(first, crossover.flush(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("crossovers_hz", "message"),
    [
        ([], "needs at least one frequency"),
        ([24_000], "crossover_hz = 24000 Hz is not between 0 Hz and the Nyquist frequency, 24000 Hz"),
        ([2_000, 200], "Crossovers must rise, 200 Hz comes after 2000 Hz"),
        ([200, 200], "Crossovers must rise"),
    ],
)
def test_impossible_crossovers_are_refused(crossovers_hz, message):
    with pytest.raises(ParameterError, match=message):
        split_sos(crossovers_hz, RATE)
