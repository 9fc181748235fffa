"""Late reverb: the tail is lowered, the sound and its first reflections are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavechain import Audio, Chain
from wavechain.combinators import Inverse
from wavechain.errors import SpecMismatchError
from wavechain.testing import noise, silence, streamed
from wavechain_transforms.late_reverb import LateReverb
from wavechain_transforms.stft import Stft

RATE = 44_100


def drier(audio: Audio, **parameters: float) -> Audio:
    return Chain([Stft(), LateReverb(**parameters), Inverse()])(audio)


def bursts(*, seconds: float = 4.0) -> Audio:
    """Short noises with pauses between them."""
    sound = noise(sample_rate=RATE, seconds=seconds).waveform.copy()
    time = np.arange(sound.shape[-1]) / RATE
    return Audio.of(sound * (time % 0.5 < 0.08), RATE)


def in_a_room(dry: Audio, *, decay_seconds: float, direct_db: float, seed: int = 0) -> Audio:
    """With a tail that begins after 50 ms: (dry + tail)."""
    frames = int(decay_seconds * RATE)
    tail = np.random.default_rng(seed).standard_normal(frames) * 10 ** (-3 * np.arange(frames) / frames)
    tail *= 10 ** (-direct_db / 20) / np.sqrt((tail**2).sum())
    late = np.concatenate([np.zeros(int(0.05 * RATE)), tail])
    wet = [np.convolve(channel, late)[: dry.frames] for channel in dry.waveform]
    return Audio.of(dry.waveform + np.array(wet, np.float32), RATE)


def error_db(wanted: Audio, found: Audio) -> float:
    difference = found.waveform - wanted.waveform
    return float(10 * np.log10((difference**2).sum() / (wanted.waveform**2).sum()))


@pytest.mark.parametrize("decay_seconds", [0.4, 0.8])
@pytest.mark.parametrize("direct_db", [0.0, 6.0])
def test_a_room_is_heard_less(decay_seconds, direct_db):
    dry = bursts()
    wet = in_a_room(dry, decay_seconds=decay_seconds, direct_db=direct_db)
    assert error_db(dry, drier(wet)) < error_db(dry, wet) - 2


def test_a_pause_sinks_by_the_reduction_and_no_further():
    dry = bursts()
    wet = in_a_room(dry, decay_seconds=0.8, direct_db=0.0)
    pause = slice(int(0.75 * RATE), int(0.95 * RATE))
    for reduction_db in (6.0, 12.0):
        found = drier(wet, decay_seconds=3.0, reduction_db=reduction_db)
        change = np.square(found.waveform[:, pause]).sum() / np.square(wet.waveform[:, pause]).sum()
        assert -reduction_db - 0.1 < 10 * np.log10(change) < -0.55 * reduction_db


def test_what_comes_out_of_silence_is_as_it_was():
    click = silence(sample_rate=RATE, seconds=1).waveform.copy()
    click[:, 20_000] = 0.5
    before = Audio.of(click, RATE)
    assert error_db(before, drier(before, early_seconds=0.1)) < -60


def test_no_reduction_is_no_change():
    wet = in_a_room(bursts(), decay_seconds=0.8, direct_db=0.0)
    assert error_db(wet, drier(wet, reduction_db=0)) < -100


def test_channels_are_lowered_alike():
    wet = in_a_room(bursts(), decay_seconds=0.8, direct_db=0.0).waveform
    found = drier(Audio.of(np.concatenate([wet, 0.25 * wet]), RATE)).waveform
    np.testing.assert_allclose(found[1], 0.25 * found[0], atol=1e-6)


@settings(max_examples=8)
@given(sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=5))
def test_streamed_equals_whole_bit_for_bit(sizes):
    wet = in_a_room(bursts(seconds=1.5), decay_seconds=0.8, direct_db=0.0)
    chain = Chain([Stft(), LateReverb(), Inverse()])
    assert np.array_equal(streamed(chain, wet, sizes).waveform, chain(wet).waveform)


def test_columns_too_far_apart_are_refused():
    with pytest.raises(SpecMismatchError, match="is over before the next"):
        Chain([Stft(n_fft=8_192, hop_length=4_096), LateReverb(early_seconds=0.01), Inverse()])(bursts())
