"""Highs that are made up: only where they are missing, about as loud as they were, each channel its own."""

from __future__ import annotations

import numpy as np

from wavechain.stream import Block
from wavechain_gan_repair.highs import Highs

RATE, BINS, HOPS = 44_100, 1_024, 64
HZ = RATE / 2 / BINS * np.arange(BINS)


def falling(channels: int = 1, seed: int = 0) -> Block:
    """Columns of noise that falls by 8 dB an octave. Shape (channels, 2, HOPS, BINS)."""
    noise = np.random.default_rng(seed).standard_normal((channels, 2, HOPS, BINS))
    return (noise * 100 * 10 ** (-8 * np.log2(np.maximum(HZ, 50) / 1000) / 20)).astype(np.float32)


def without_highs(spectra: Block, cutoff_hz: float) -> Block:
    return spectra * (cutoff_hz > HZ).astype(np.float32)


def level(spectra: Block, lowest_hz: float, highest_hz: float) -> float:
    part = spectra[..., (lowest_hz < HZ) & (highest_hz > HZ)].astype(np.float64)
    return float(10 * np.log10(np.square(part).mean() + 1e-20))


def test_nothing_is_added_to_a_spectrum_that_is_whole():
    assert not Highs(BINS, HZ[1])(falling()).any()


def test_a_missing_octave_comes_back_about_as_loud_as_it_was():
    whole = falling()
    dull = without_highs(whole, 6_000)
    filled = dull + Highs(BINS, HZ[1])(dull)
    for band in ((6_600, 8_000), (8_000, 12_000)):
        assert abs(level(filled, *band) - level(whole, *band)) < 6
        assert level(dull, *band) < -100
    np.testing.assert_array_equal(filled[..., HZ < 5_500], dull[..., HZ < 5_500])


def test_a_hole_in_time_and_frequency_is_filled_once_the_stream_is_known():
    highs, whole = Highs(BINS, HZ[1]), falling(seed=1)
    highs(falling())
    holed = whole.copy()
    place = (HZ > 9_000) & (HZ < 10_500)
    holed[:, :, 20:23, place] = 0
    filled = holed + highs(holed)
    inside = slice(20, 23)
    assert abs(level(filled[:, :, inside], 9_300, 10_200) - level(whole[:, :, inside], 9_300, 10_200)) < 6
    np.testing.assert_array_equal(filled[:, :, 30:], whole[:, :, 30:])


def test_a_quiet_channel_gets_quiet_highs():
    mono = without_highs(falling(), 6_000)
    panned = np.concatenate([mono, mono / 4])
    added = Highs(BINS, HZ[1])(panned)
    assert added.any()
    np.testing.assert_allclose(added[0], 4 * added[1], rtol=1e-5)


def test_nothing_comes_from_silence():
    assert not Highs(BINS, HZ[1])(np.zeros((1, 2, HOPS, BINS), np.float32)).any()


def test_a_drum_between_two_and_six_kilohertz_leads_to_no_highs_louder_than_itself():
    highs, dull = Highs(BINS, HZ[1]), without_highs(falling(), 6_000)
    highs(dull)
    drum = dull.copy()
    drum[:, :, 30, (HZ > 2_000) & (HZ < 6_000)] *= 300
    drum[:, :, 30, HZ < 2_000] *= 0.01
    heard, guessed = (np.square(each[:, :, 30]).sum() for each in (drum, highs(drum)))
    assert 0 < guessed < 0.05 * heard
