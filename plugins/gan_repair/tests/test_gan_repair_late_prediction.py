"""What earlier columns foretell is taken away, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from wavechain_gan_repair.late_prediction import DELAY, TAPS, LatePrediction

HOPS, BINS = 64, 40


def columns(seconds: float = 9.0, channels: int = 1, seed: int = 0):
    """Now and then something loud, as in a voice. Shape (channels, bins, columns), complex"""
    rng = np.random.default_rng(seed)
    shape = channels, BINS, int(seconds * 86 / HOPS) * HOPS
    loudness = rng.gamma(0.2, 1.0, shape)
    return (loudness * np.exp(2j * np.pi * rng.random(shape))).astype(np.complex64)


def in_a_room(dry, decay: float = 0.6):
    """Every column comes back after DELAY columns, and goes on coming back."""
    wet = dry.copy()
    for column in range(DELAY, dry.shape[2]):
        wet[..., column] += decay * wet[..., column - DELAY]
    return wet


def lowered(sound, part: float, ahead: int = 2, asked=lambda number: True):
    """*sound* with its tail taken away in the stretches that are *asked* for."""
    prediction = LatePrediction(len(sound), BINS)
    count = sound.shape[2] // HOPS
    pairs = []
    for number in range(count):
        stretch = sound[..., number * HOPS : (number + 1) * HOPS].swapaxes(1, 2)
        prediction.push(np.stack([stretch.real, stretch.imag], axis=1, dtype=np.float32))
        if number >= ahead:
            pairs.append(prediction.pop(part if asked(len(pairs)) else 0.0))
    pairs += [prediction.pop(part if asked(len(pairs) + left) else 0.0) for left in range(count - len(pairs))]
    before, after = (np.concatenate([pair[which] for pair in pairs], axis=2) for which in (0, 1))
    whole = (before[:, 0] + 1j * before[:, 1]).swapaxes(1, 2)
    np.testing.assert_array_equal(whole, sound)
    return (after[:, 0] + 1j * after[:, 1]).swapaxes(1, 2)


def error_db(sound, wanted) -> float:
    return float(10 * np.log10((np.abs(sound - wanted) ** 2).mean() / (np.abs(wanted) ** 2).mean()))


@pytest.mark.parametrize("channels", [1, 2])
def test_a_room_that_comes_back_again_and_again_is_taken_away(channels):
    dry = columns(channels=channels)
    wet = in_a_room(dry)
    assert error_db(wet, dry) > -4
    assert error_db(lowered(wet, 1.0), dry) < -15


def test_half_of_it_is_half_of_it():
    wet = in_a_room(columns())
    whole, half = (lowered(wet, part) for part in (1.0, 0.5))
    unbounded = np.abs(whole) < 1.9 * np.abs(wet)
    np.testing.assert_allclose((half - wet)[unbounded], (whole - wet)[unbounded] / 2, atol=1e-4)


def test_where_a_sound_is_cut_off_nothing_is_put_in_the_place_of_its_tail():
    wet = in_a_room(columns())
    wet[..., 5 * HOPS + 9 :] = 0
    after = lowered(wet, 1.0)
    assert not after[..., 5 * HOPS + 9 :].any()
    assert (np.abs(after) <= 2.001 * np.abs(wet)).all()


def test_what_is_followed_by_nothing_stays():
    dry = columns()
    assert error_db(lowered(dry, 1.0), dry) < -12


def test_columns_closer_than_the_delay_are_not_foretold():
    """A column that is all that its neighbour is has no room in it."""
    dry = columns()
    smeared = dry.copy()
    for before in range(1, DELAY):
        smeared[..., before:] += dry[..., :-before]
    assert error_db(lowered(smeared, 1.0), smeared) < -10


def test_what_is_not_asked_for_is_not_touched_and_the_rest_is_learnt_all_the_same():
    dry = columns(20.0)
    wet = in_a_room(dry)
    few = lowered(wet, 1.0, asked=lambda number: number > 12 or 3 < number < 6)
    for first, last in ((0, 4), (6, 13)):
        here = np.s_[..., first * HOPS : last * HOPS]
        np.testing.assert_array_equal(few[here], wet[here])
    after = np.s_[..., 14 * HOPS :]
    assert error_db(few[after], dry[after]) < -12


def test_silence_stays_silent_and_a_sound_after_it_is_mended():
    wet = in_a_room(columns())
    silent = np.concatenate([np.zeros_like(wet), wet], axis=2)
    after = lowered(silent, 1.0)
    assert not after[..., : wet.shape[2]].any()
    assert error_db(after[..., wet.shape[2] + 4 * HOPS :], columns()[..., 4 * HOPS :]) < -15


@pytest.mark.parametrize("gain", [1e-3, 1e3])
def test_the_level_does_not_matter(gain):
    wet = in_a_room(columns())
    there = lowered((wet * np.float32(gain)).astype(np.complex64), 1.0) / gain
    np.testing.assert_allclose(there, lowered(wet, 1.0), atol=0.02)


def test_the_taps_fit_into_a_stretch():
    assert DELAY + TAPS - 1 <= HOPS
