"""Peak, RMS, offset, clipping and noise floor of signals whose levels are known."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from wavechain.dsp.levels import LevelMeter, db, from_db

TOP_16 = 32767 / 32768


def tone(hertz, amplitude=1.0, *, seconds=1.0, sample_rate=48_000):
    return amplitude * np.sin(2 * np.pi * hertz / sample_rate * np.arange(round(seconds * sample_rate)))


def measured(signal, sample_rate=48_000):
    signal = np.atleast_2d(np.asarray(signal, np.float32))
    meter = LevelMeter(sample_rate, len(signal))
    meter.feed(signal)
    meter.finish()
    return meter


def test_decibels_and_back():
    assert db(0.5) == approx(-6.02, abs=0.01)
    assert db(0.0) == -np.inf
    assert from_db(-np.inf) == 0.0
    assert from_db(db([0.1, 1.0, 7.0])) == approx([0.1, 1.0, 7.0])


def test_a_full_scale_sine():
    meter = measured(tone(1000))
    assert meter.peak[0] == approx(1.0, abs=1e-6)
    assert db(meter.rms)[0] == approx(-3.01, abs=0.01)
    assert meter.crest_factor_db[0] == approx(3.01, abs=0.01)
    assert meter.dc_offset[0] == approx(0.0, abs=1e-8)
    assert meter.frames == 48_000


def test_channels_are_measured_one_by_one():
    meter = measured([tone(1000, 0.5) + 0.25, np.sign(tone(1000) + 1e-3) * 0.1, np.zeros(48_000)])
    assert meter.peak == approx([0.75, 0.1, 0.0])
    assert meter.dc_offset == approx([0.25, 0.0, 0.0], abs=0.01)
    assert meter.crest_factor_db[1] == approx(0.0, abs=0.01)
    assert np.isnan(meter.crest_factor_db[2])


def test_sums_over_an_hour_lose_nothing():
    meter = LevelMeter(8_000, 1)
    for _ in range(60):
        meter.feed(np.full((1, 480_000), 0.1, np.float32))
    meter.finish()
    assert meter.rms[0] == approx(float(np.float32(0.1)), rel=1e-6)
    assert meter.dc_offset[0] == approx(float(np.float32(0.1)), rel=1e-6)


@pytest.mark.parametrize("top", [1.0, TOP_16, 8388607 / 8388608, -1.0])
def test_three_equal_samples_at_full_scale_are_clipped_and_two_are_not(top):
    signal = np.zeros(100)
    signal[10:12] = top
    signal[20:23] = top
    signal[40:47] = top
    assert measured(signal).clipped_frames == 3 + 7


def test_only_flat_tops_at_full_scale_count():
    assert measured(np.clip(2 * tone(100), -0.9, 0.9)).clipped_frames == 0
    assert measured(2 * tone(100)).clipped_frames == 0
    assert measured(np.tile([1.0, -1.0], 50)).clipped_frames == 0
    # A sine of twice full scale is above it for two thirds of the time.
    assert measured(np.clip(2 * tone(100), -1, 1)).clipped_frames == approx(48_000 * 2 / 3, rel=0.01)


def test_a_frame_counts_once_however_many_channels_clip_in_it():
    signal = np.zeros((2, 50))
    signal[0, 10:15], signal[1, 12:18] = 1, -1
    assert measured(signal).clipped_frames == 8


def clipped_by_hand(signal):
    flags = np.zeros(signal.shape, bool)
    for channel, samples in enumerate(signal):
        place = 0
        for value, group in groupby(samples):
            length = len(list(group))
            flags[channel, place : place + length] = length >= 3 and abs(value) >= np.float32(TOP_16)
            place += length
    return int(flags.any(axis=0).sum())


@given(
    runs=st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0, -1.0, TOP_16, 1.5]), st.integers(1, 40)), min_size=1, max_size=30
    ),
    cuts=st.lists(st.integers(1, 200), max_size=5),
)
def test_every_reading_is_the_same_for_every_way_of_cutting_the_signal(runs, cuts):
    one = np.concatenate([np.full(length, value, np.float32) for value, length in runs])
    signal = np.stack([one, np.roll(one, 5)])
    # At 100 Hz a window has 5 frames and a chunk 160: runs lie across many edges.
    at_once, in_parts = measured(signal, 100), LevelMeter(100, 2)
    for part in np.split(signal, np.clip(np.cumsum(cuts), 0, one.size), axis=1):
        in_parts.feed(part)
    in_parts.finish()
    assert at_once.clipped_frames == in_parts.clipped_frames == clipped_by_hand(signal)
    assert in_parts.noise_floor_dbfs == at_once.noise_floor_dbfs
    for reading in ("peak", "rms", "dc_offset"):
        assert np.array_equal(getattr(in_parts, reading), getattr(at_once, reading)), reading
    assert at_once.peak == approx(np.abs(signal).max(axis=1))
    assert at_once.dc_offset == approx(signal.mean(axis=1), abs=1e-6)


def test_the_noise_floor_is_the_hiss_in_the_pauses():
    hiss = np.random.default_rng(1).normal(0, 10 ** (-70 / 20), 480_000)
    speech = np.where(np.arange(480_000) % 48_000 < 36_000, tone(300, 0.3, seconds=10), 0) + hiss
    assert measured(speech).noise_floor_dbfs == approx(-70, abs=0.5)


def test_digital_silence_is_no_noise_floor():
    hiss = np.random.default_rng(1).normal(0, 10 ** (-60 / 20), 48_000)
    assert measured(np.concatenate([np.zeros(240_000), hiss])).noise_floor_dbfs == approx(-60, abs=0.5)
    assert measured(np.zeros((2, 100_000))).noise_floor_dbfs == -np.inf


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_almost_nothing_can_be_measured_too(frames):
    meter = measured(np.ones((1, frames)))
    assert meter.frames == frames
    assert meter.clipped_frames == (3 if frames == 3 else 0)
    assert meter.noise_floor_dbfs == (0.0 if frames else -np.inf)
