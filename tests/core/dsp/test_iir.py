"""Recursive filters in quanta: as exact as float64 one frame at a time, and blind to how the signal was cut."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from wavechain.dsp import rbj
from wavechain.dsp.iir import QUANTUM, SosFilter, SosStream, frequency_response, ring_frames, ring_seconds
from wavechain.errors import ParameterError


def noise(channels, frames, seed=0, amplitude=0.25):
    return (amplitude * np.random.default_rng(seed).standard_normal((channels, frames))).astype(np.float32)


def db(values):
    return 10 * np.log10(np.mean(np.square(values)) + 1e-300)


def filtered(sos, waveform, cuts=(), quantum=QUANTUM):
    """Stream *waveform* in blocks that end at *cuts*."""
    stream = SosStream(sos, len(waveform), quantum=quantum)
    outputs = [stream.process(block) for block in np.split(waveform, cuts, axis=1)]
    return np.concatenate([*outputs, stream.flush()], axis=1)


HARD_CASES = {
    "a 20 Hz highpass of 4th order at 192 kHz": signal.butter(4, 20, "highpass", fs=192_000, output="sos"),
    "a 20 Hz highpass of 16th order at 192 kHz": signal.butter(16, 20, "highpass", fs=192_000, output="sos"),
    "a band-pass of 32nd order": signal.butter(16, [100, 200], "bandpass", fs=48_000, output="sos"),
    "a needle of q 50 at 30 Hz and 192 kHz": rbj.peak(30, 192_000, 12, q=50),
    "two poles in one place": rbj.low_shelf(100, 48_000, 0, q=0.5),
    "two real poles": rbj.peak(1_000, 48_000, -6, q=0.1),
    "a lowpass of first order": signal.butter(1, 1_000, fs=48_000, output="sos"),
    "a plain gain": np.array([[0.5, 0, 0, 1, 0, 0]]),
    "a delay of two frames": np.array([[0, 0, 1.0, 1, 0, 0]]),
    "coefficients not divided by a0": 2 * signal.butter(2, 5_000, fs=48_000, output="sos"),
}


@pytest.mark.parametrize("sos", HARD_CASES.values(), ids=HARD_CASES)
def test_noise_comes_out_as_from_scipy_in_float64(sos):
    before = noise(2, 3 * QUANTUM + 1234)
    reference = signal.sosfilt(sos / sos[:, 3:4], before.astype(np.float64))
    error = filtered(sos, before) - reference
    assert db(error) - db(reference) < -145, "nothing but the rounding to float32 (-152 dB)"


def test_a_low_steep_filter_is_cleaner_than_float32_biquads_by_100_db():
    sos = HARD_CASES["a 20 Hz highpass of 4th order at 192 kHz"]
    before = noise(1, 4 * QUANTUM)
    reference = signal.sosfilt(sos, before.astype(np.float64))
    in_float32 = signal.sosfilt(sos.astype(np.float32), before)
    assert in_float32.dtype == np.float32
    assert db(filtered(sos, before) - reference) < db(in_float32 - reference) - 90


@pytest.mark.skipif(
    np.finfo(np.longdouble).eps == np.finfo(np.float64).eps, reason="no arithmetic finer than float64 here"
)
def test_inside_it_is_at_least_as_exact_as_float64_one_frame_at_a_time():
    sos = HARD_CASES["a needle of q 50 at 30 Hz and 192 kHz"]
    before = noise(1, 2 * QUANTUM)[0]
    truth = before.astype(np.longdouble)
    for b0, b1, b2, _, a1, a2 in sos.astype(np.longdouble):
        first = second = np.longdouble(0)
        for frame, x in enumerate(truth):
            y = b0 * x + first
            first, second = b1 * x - a1 * y + second, b2 * x - a2 * y
            truth[frame] = y
    ours = np.empty((1, 2 * QUANTUM))
    filter_ = SosFilter(sos, 1)
    for start in (0, QUANTUM):
        quantum = slice(start, start + QUANTUM)
        filter_.process_quantum(before[None, quantum], ours[:, quantum])
    scipys = signal.sosfilt(sos, before.astype(np.float64))
    assert db(ours[0] - truth) < db(scipys - truth) + 3


@settings(max_examples=25)
@given(
    cuts=st.lists(st.one_of(st.integers(0, 5), st.integers(0, 5_000)), max_size=20),
    order=st.integers(1, 8),
    frames=st.integers(0, 5_000),
)
def test_any_cut_gives_the_same_bits(cuts, order, frames):
    sos = rbj.highpass(80, 44_100, order)
    before = noise(2, frames)
    whole = filtered(sos, before, quantum=1024)
    assert whole.shape == before.shape
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(filtered(sos, before, sorted(cuts), quantum=1024), whole)


def test_blocks_of_one_to_three_frames_give_the_same_bits():
    before = noise(2, 2_500)
    sos = rbj.peak(440, 44_100, 6)
    cuts = np.cumsum(np.resize([1, 2, 3], 1_240))
    np.testing.assert_array_equal(filtered(sos, before, cuts, quantum=512), filtered(sos, before, quantum=512))


@pytest.mark.parametrize("sos", HARD_CASES.values(), ids=HARD_CASES)
def test_a_channel_has_the_same_bits_alone_and_in_company(sos):
    before = noise(5, 20_000)
    together = filtered(sos, before)
    for channel in range(5):
        np.testing.assert_array_equal(filtered(sos, before[channel : channel + 1])[0], together[channel])


def test_the_number_of_threads_changes_nothing():
    program = """
import numpy, hashlib
from wavechain.dsp.iir import SosStream
from wavechain.dsp.rbj import highpass
x = numpy.random.default_rng(0).standard_normal((2, 40_000)).astype("float32")
for order in (2, 7, 16):
    sos = highpass(50, 48_000, order)
    stream = SosStream(numpy.vstack([sos, sos]), 2)
    print(hashlib.sha256(stream.process(x).tobytes() + stream.flush().tobytes()).hexdigest())
"""
    heard = set()
    for threads in ("1", "4"):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads), "PYTHONPATH": os.pathsep.join(sys.path)}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        heard.add(run.stdout)
    assert len(heard) == 1


def test_after_the_end_or_a_reset_nothing_of_the_last_stream_is_heard():
    sos = rbj.highpass(20, 44_100, 4)
    before = noise(1, 20_000)
    stream = SosStream(sos, 1)
    first = np.concatenate([stream.process(before), stream.flush()], axis=1)
    again = np.concatenate([stream.process(before), stream.flush()], axis=1)
    np.testing.assert_array_equal(first, again)
    stream.process(before[:, :QUANTUM])
    assert stream.flush().shape == (1, 0)
    again = np.concatenate([stream.process(before), stream.flush()], axis=1)
    np.testing.assert_array_equal(first, again)


def test_the_input_is_left_as_it_was_and_may_be_a_view():
    before = noise(2, 2 * QUANTUM)
    kept = before.copy()
    sos = rbj.lowpass(1_000, 48_000)
    ours = SosFilter(sos, 2).process_quantum(before[:, ::2])
    np.testing.assert_array_equal(before, kept)
    np.testing.assert_array_equal(ours, SosFilter(sos, 2).process_quantum(np.ascontiguousarray(before[:, ::2])))


def test_a_filter_that_rings_out_reaches_true_silence_without_a_denormal_number():
    filter_ = SosFilter(rbj.band_pass(3_000, 48_000, q=20), 1)
    filter_.process_quantum(noise(1, QUANTUM))
    out = np.empty((1, QUANTUM))
    for _ in range(20):
        filter_.process_quantum(np.zeros((1, QUANTUM), np.float32), out)
        sizes = np.abs(out[out != 0])
        assert not sizes.size or sizes.min() > np.finfo(np.float64).tiny
    assert not out.any()


def test_a_filter_travels_to_another_process():
    sos = rbj.highpass(80, 44_100)
    stream = SosStream(sos, 2)
    before = noise(2, 20_000)
    stream.process(before)
    twin = pickle.loads(pickle.dumps(stream))
    np.testing.assert_array_equal(twin.process(before), stream.process(before))
    np.testing.assert_array_equal(twin.flush(), stream.flush())


def test_the_frequency_response_is_scipys():
    sos = signal.butter(7, [300, 3_000], "bandpass", fs=48_000, output="sos")
    f = np.geomspace(10, 23_999, 100)
    _, expected = signal.sosfreqz(sos, f, fs=48_000)
    np.testing.assert_allclose(frequency_response(sos, f, 48_000), expected, rtol=1e-9, atol=1e-12)


def worst_after(sos, frames, limit):
    """The loudest a full-scale signal can leave behind *frames* after its end."""
    impulse = np.zeros(limit)
    impulse[0] = 1
    return np.abs(signal.sosfilt(sos, impulse))[frames:].sum()


@pytest.mark.parametrize("floor_db", [-60, -90])
@pytest.mark.parametrize(
    "sos",
    [rbj.highpass(20, 48_000, 4), rbj.lowpass(10_000, 48_000), rbj.peak(100, 48_000, 12, q=30)],
    ids=["rumble filter", "lowpass", "hum boost"],
)
def test_after_the_ring_no_input_can_be_heard_above_the_floor(sos, floor_db):
    frames = ring_frames(sos, floor_db)
    floor = 10 ** (floor_db / 20)
    assert worst_after(sos, frames, 400_000) < floor * 1.001
    assert worst_after(sos, frames - 1, 400_000) >= floor * 0.999
    assert ring_seconds(sos, 48_000, floor_db) == frames / 48_000


def test_a_filter_without_memory_does_not_ring():
    assert ring_frames(np.array([[0.5, 0, 0, 1, 0, 0]])) == 1, "the frame itself"
    assert ring_frames(np.array([[0.0, 0, 0, 1, 0, 0]])) == 0


def test_a_filter_that_rings_for_hours_says_so_at_once():
    assert ring_frames(rbj.highpass(0.01, 192_000), limit_frames=100_000) == 100_000


@pytest.mark.parametrize(
    ("sos", "message"),
    [
        ([[1, 0, 0, 1, -2, 1]], "not stable: a pole lies at radius 1.0"),
        ([[1, 0, 0, 1, -2.5, 1]], "not stable: a pole lies at radius 2.0"),
        ([1, 0, 0, 1, 0, 0], r"have shape \(n, 6\), these have \(6,\)"),
        (np.zeros((0, 6)), r"these have \(0, 6\)"),
        ([[1, 0, 0, 0, 0, 0]], "a0 = 0"),
        ([[np.nan, 0, 0, 1, 0, 0]], "not finite"),
    ],
)
def test_sections_that_cannot_be_used_are_refused(sos, message):
    with pytest.raises(ParameterError, match=message):
        SosFilter(sos, 1)


@pytest.mark.parametrize("quantum", [0, 256, 1000])
def test_a_quantum_is_a_power_of_two(quantum):
    with pytest.raises(ValueError, match="power of two from 512"):
        SosFilter(rbj.lowpass(100, 48_000), 1, quantum=quantum)
