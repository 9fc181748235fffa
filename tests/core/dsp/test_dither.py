"""What is left of a sound after it has become integers."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from wavechain.dsp.dither import Quantiser
from wavechain.errors import NonFiniteError, ParameterError


def tone(hertz, amplitude, *, sample_rate=48_000, seconds=1.0, channels=1):
    time = np.arange(round(sample_rate * seconds)) / sample_rate
    return np.tile(amplitude * np.sin(2 * np.pi * hertz * time), (channels, 1)).astype(np.float32)


def error_in_lsb(signal, bits, **options):
    integers = Quantiser(bits, len(signal), seed=7, **options).process(signal)
    container = 16 if bits <= 16 else 32
    return integers.T / 2.0 ** (container - bits) - signal.astype(np.float64) * 2.0 ** (bits - 1)


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.int16), (16, np.int16), (24, np.int32)])
def test_integers_return_to_themselves_without_dither(bits, dtype):
    rng = np.random.default_rng(1)
    top = 2 ** (bits - 1)
    samples = rng.integers(-top, top, (5000, 2))
    samples[:2] = [[-top, top - 1], [0, -1]]
    quantiser = Quantiser(bits, 2, seed=0, dither=False)
    integers = quantiser.process((samples.T / top).astype(np.float32))
    assert integers.dtype == dtype
    assert integers.flags.c_contiguous
    assert np.array_equal(integers, samples << (integers.itemsize * 8 - bits))
    assert quantiser.overs == 0


def test_32_bits_hold_a_float32_exactly_and_are_never_dithered():
    signal = np.random.default_rng(2).uniform(-1, 1, (1, 1000)).astype(np.float32)
    integers = Quantiser(32, 1, seed=3).process(signal)
    assert np.array_equal(integers[:, 0], np.rint(signal[0].astype(np.float64) * 2**31).astype(np.int64))


@pytest.mark.parametrize(("bits", "subtype"), [(8, "PCM_U8"), (16, "PCM_16"), (24, "PCM_24")])
def test_a_file_holds_exactly_what_was_quantised(tmp_path, bits, subtype):
    signal = tone(440, 0.4, channels=2, seconds=0.1)
    integers = Quantiser(bits, 2, seed=5).process(signal)
    soundfile.write(tmp_path / "tone.wav", integers, 48_000, subtype=subtype)
    back, _ = soundfile.read(tmp_path / "tone.wav", dtype=integers.dtype.name)
    assert np.array_equal(back, integers)


@pytest.mark.parametrize("bits", [8, 16, 24])
def test_the_error_has_no_mean_and_the_variance_of_triangular_dither(bits):
    # A slow ramp through all the places between two steps, near silence: where bare rounding is at its worst.
    signal = np.linspace(-2, 2, 2_000_000, dtype=np.float64)[None] / 2 ** (bits - 1)
    error = error_in_lsb(signal.astype(np.float32), bits)
    assert abs(error.mean()) < 0.002
    assert error.var() == approx(3 / 12, rel=0.01)


def test_neither_the_error_nor_its_power_follows_the_signal():
    signal = tone(997, 1.5 / 32768, seconds=20)
    error = error_in_lsb(signal, 16)[0]
    assert abs(np.corrcoef(error, signal[0])[0, 1]) < 0.005
    assert abs(np.corrcoef(error**2, signal[0] ** 2)[0, 1]) < 0.005
    assert abs(error.mean()) < 0.01


def test_a_tone_of_one_step_keeps_its_pitch_and_gains_no_overtones():
    signal = tone(1000, 1.0 / 32768, seconds=60)

    def harmonics(dither):
        integers = Quantiser(16, 1, seed=11, dither=dither).process(signal)[:, 0]
        period = integers.reshape(-1, 48).mean(axis=0)
        return np.abs(np.fft.rfft(period)) * 2 / 48

    dithered, truncated = harmonics(True), harmonics(False)
    assert dithered[1] == approx(1.0, abs=0.01)
    # 60 000 periods averaged: the noise of each bin is 2 sqrt(0.25 / 48 / 60 000) of a step.
    noise = 2 * np.sqrt(0.25 / 48 / 60_000)
    assert dithered[2:].max() < 5 * noise
    assert truncated[3] > 100 * noise


def test_a_fade_far_below_the_last_step_is_still_there():
    signal = tone(1000, 0.25 / 32768, seconds=60)
    integers = Quantiser(16, 1, seed=2).process(signal)[:, 0]
    assert np.abs(np.fft.rfft(integers.reshape(-1, 48).mean(axis=0)))[1] * 2 / 48 == approx(0.25, abs=0.01)
    assert not Quantiser(16, 1, seed=2, dither=False).process(signal).any()


@given(cuts=st.lists(st.integers(1, 30_000), max_size=6), bits=st.sampled_from([16, 24]))
def test_the_noise_does_not_depend_on_how_the_signal_is_cut(cuts, bits):
    signal = tone(440, 1.05, channels=2)
    at_once, in_parts = Quantiser(bits, 2, seed=4), Quantiser(bits, 2, seed=4)
    parts = [in_parts.process(part) for part in np.split(signal, np.clip(np.cumsum(cuts), 0, 48_000), axis=1)]
    assert np.array_equal(np.concatenate(parts), at_once.process(signal))
    assert (in_parts.overs, in_parts.over_peak) == (at_once.overs, at_once.over_peak)


def test_seeds_and_channels_have_noise_of_their_own():
    silence = np.zeros((2, 100_000), np.float32)
    one, other = (Quantiser(16, 2, seed=seed).process(silence) for seed in (1, 2))
    assert abs(np.corrcoef(one[:, 0], other[:, 0])[0, 1]) < 0.02
    assert abs(np.corrcoef(one[:, 0], one[:, 1])[0, 1]) < 0.02
    assert np.array_equal(one, Quantiser(16, 2, seed=1).process(silence))


@pytest.mark.parametrize("dither", [True, False])
@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_overs_are_counted_and_clipped_to_the_legal_range(bits, dither):
    signal = np.array([[0.0, 1.25, -1.5, 0.5, -1.0, 1.0]], np.float32)
    quantiser = Quantiser(bits, 1, seed=0, dither=dither)
    integers = quantiser.process(signal)[:, 0].astype(np.int64) >> (32 if bits > 16 else 16) - bits
    top = 2 ** (bits - 1)
    assert quantiser.overs == 2
    assert quantiser.over_peak == 1.5
    assert integers[1] == top - 1
    assert integers[2] == -top
    assert -top <= integers.min()
    assert integers.max() <= top - 1


def test_full_scale_itself_is_not_an_over():
    quantiser = Quantiser(16, 1, seed=0)
    quantiser.process(np.array([[1.0, -1.0, 8388607 / 8388608]], np.float32))
    assert (quantiser.overs, quantiser.over_peak) == (0, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_a_number_is_refused(bad):
    with pytest.raises(NonFiniteError, match="NaN or infinite"):
        Quantiser(16, 1, seed=0).process(np.array([[0.0, bad]], np.float32))


@pytest.mark.parametrize("bits", [7, 33])
def test_a_depth_that_no_file_has_is_refused(bits):
    with pytest.raises(ParameterError, match=f"{bits} bits"):
        Quantiser(bits, 1, seed=0)
