"""The short-time Fourier transform: columns where the sound is, and the sound back from them, exactly."""

from __future__ import annotations

import pickle
from fractions import Fraction

import numpy as np
import pytest
import scipy.signal
from hypothesis import assume, given
from hypothesis import strategies as st

from wavechain import Audio, Chain, Processor, Spec
from wavechain.combinators import Inverse
from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.stream import Block
from wavechain.testing import chirp, impulse, in_blocks, music, noise, streamed, tone
from wavechain_transforms.framing import window
from wavechain_transforms.istft import Istft
from wavechain_transforms.stft import Stft

WINDOWS = ["hann", "hamming", "blackman", "sine", "rectangular"]
SIZES = st.lists(st.integers(1, 5000), min_size=1, max_size=5)


def through(processor: Processor, steps: Block, sizes: list[int] | None = None) -> Block:
    blocks = [processor.process(block) for block in in_blocks(steps, sizes or [max(1, steps.shape[-1])])]
    return np.concatenate([*blocks, processor.flush()], axis=-1)


def spectra(audio: Audio, stage: Stft) -> Block:
    return through(stage.open(audio.spec), audio.waveform)


def decibels(error: Block, reference: Block) -> float:
    """Largest error against largest sample."""
    return float(20 * np.log10(max(np.abs(error).max(), 1e-20) / np.abs(reference).max()))


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize(("n_fft", "hop_length"), [(2048, 512), (2048, 1024), (512, 128), (1000, 300), (64, 7)])
def test_columns_are_those_of_scipy(name, n_fft, hop_length):
    audio = music(seconds=0.7)
    found = spectra(audio, Stft(n_fft=n_fft, hop_length=hop_length, window=name))
    weights = scipy.signal.get_window({"rectangular": "boxcar", "sine": "cosine"}.get(name, name), n_fft)
    if name == "sine":  # SciPy's starts half a sample later
        weights = np.sin(np.pi * np.arange(n_fft) / n_fft)
    _, _, expected = scipy.signal.stft(
        audio.waveform.astype(float), window=weights, nperseg=n_fft, noverlap=n_fft - hop_length, scaling="spectrum"
    )
    expected = expected * weights.sum()
    hops = min(expected.shape[-1], found.shape[-1])
    assert hops >= audio.frames // hop_length
    difference = found[:, 0, :, :hops] + 1j * found[:, 1, :, :hops] - expected[..., :hops]
    assert decibels(difference, expected) < -115


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize(("n_fft", "hop_length"), [(2048, 512), (2048, 1024), (512, 100), (16, 8), (16, 1)])
def test_what_was_not_changed_comes_back_120_db_below_its_peak(name, n_fft, hop_length):
    audio = noise(seconds=0.3, channels=2)
    after = (Stft(n_fft=n_fft, hop_length=hop_length, window=name) | Inverse())(audio)
    assert after.waveform.shape == audio.waveform.shape
    assert decibels(after.waveform - audio.waveform, audio.waveform) < -120


def test_the_inverse_of_changed_spectra_is_that_of_scipy():
    audio, stage = music(seconds=0.5, channels=1), Stft(n_fft=1024, hop_length=256)
    changed = spectra(audio, stage) * np.random.default_rng(1).uniform(0, 2, (1, 1, 513, 1)).astype(np.float32)
    found = through(stage.inverse(stage.open(audio.spec).spec), changed)
    weights = scipy.signal.get_window("hann", 1024)
    _, expected = scipy.signal.istft(
        (changed[:, 0] + 1j * changed[:, 1]) / weights.sum(),
        window=weights,
        nperseg=1024,
        noverlap=768,
        scaling="spectrum",
    )
    frames = min(audio.frames, expected.shape[-1])
    assert decibels(found[:, :frames] - expected[:, :frames], expected) < -115


def test_a_click_is_loudest_in_the_column_of_its_instant_and_comes_back_there():
    click = impulse(at=5120, seconds=0.5)
    energy = (spectra(click, Stft()) ** 2).sum(axis=(0, 1, 2))
    assert int(energy.argmax()) == 5120 // 512
    for frame in (0, 1, 511, 512, 10_000, 23_999):
        click = impulse(at=frame, seconds=0.5)
        after = (Stft() | Istft())(click)
        assert int(np.abs(after.waveform).argmax()) == frame
        assert after.waveform[0, frame] == pytest.approx(1.0, abs=1e-6)


def test_a_sine_reads_half_its_amplitude_times_the_window():
    audio = tone(48_000 / 2048 * 40, level_dbfs=0, seconds=0.5)
    column = spectra(audio, Stft())[0, :, 40, 10]
    assert np.hypot(*column) == pytest.approx(window("hann", 2048).sum() / 2, rel=1e-4)


@given(frames=st.integers(0, 3000), n_fft=st.sampled_from([16, 64, 100]), hop_length=st.integers(1, 50))
def test_the_length_law_holds_for_every_length(frames, n_fft, hop_length):
    assume(hop_length <= n_fft // 2)
    audio = Audio.of(np.full((1, frames), 0.5, np.float32), 48_000)
    stage = Stft(n_fft=n_fft, hop_length=hop_length)
    forward = stage.open(audio.spec)
    columns = through(forward, audio.waveform)
    assert columns.shape == (1, 2, n_fft // 2 + 1, forward.spec.length)
    assert forward.spec.length == (-(-frames // hop_length) + 1 if frames else 0)
    assert forward.spec.rate == Fraction(48_000, hop_length)
    back = stage.inverse(forward.spec)
    assert back.spec == audio.spec
    assert through(back, columns).shape == (1, frames)


@given(frames=st.integers(1, 3000))
def test_a_source_of_unknown_length_comes_back_with_zeros_to_the_next_whole_hop(frames):
    audio = noise(seconds=frames / 48_000)
    stage = Stft(n_fft=256, hop_length=100)
    forward = stage.open(audio.spec.with_length(None))
    back = stage.inverse(forward.spec)
    assert back.spec.length is None
    after = through(back, through(forward, audio.waveform))
    assert after.shape[-1] == -(-frames // 100) * 100
    assert np.abs(after[:, :frames] - audio.waveform).max() < 1e-6
    assert np.abs(after[:, frames:]).max(initial=0) < 1e-6


@given(sizes=SIZES, n_fft=st.sampled_from([64, 2048]), hop_length=st.sampled_from([16, 25, 32]))
def test_streamed_equals_whole_bit_for_bit(sizes, n_fft, hop_length):
    audio = chirp(seconds=0.2, channels=2)
    chain = Stft(n_fft=n_fft, hop_length=hop_length * n_fft // 64) | Inverse()
    assert np.array_equal(streamed(chain, audio, sizes).waveform, chain(audio).waveform)


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_the_inverse_does_not_care_how_columns_arrive(sizes):
    audio, stage = music(seconds=1), Stft()
    spec, columns = stage.open(audio.spec).spec, spectra(audio, stage)
    assert np.array_equal(through(stage.inverse(spec), columns, sizes), through(stage.inverse(spec), columns))


def test_one_long_file_or_many_blocks_the_memory_is_that_of_a_batch():
    stage, block = Stft(), noise(seconds=0.1).waveform
    forward = stage.open(Spec.audio(48_000, 1))
    back = stage.inverse(forward.spec)
    for _ in range(100):
        back.process(forward.process(block))
    held = len(pickle.dumps((forward, back), protocol=5))
    for _ in range(300):
        back.process(forward.process(block))
    assert len(pickle.dumps((forward, back), protocol=5)) < held + 2 * 4 * block.size + 4 * 2 * 1025 * 32


def test_the_recipe_and_the_source_travel_with_the_columns():
    audio, stage = tone(440, channels=2), Stft(n_fft=512, hop_length=128)
    spec = stage.open(audio.spec).spec
    assert (spec.kind, spec.shape, spec.recipe, spec.source) == ("stft", (2, 2, 257), stage, audio.spec)
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_columns_too_far_apart_are_refused():
    with pytest.raises(ParameterError) as refused:
        Stft(n_fft=2048, hop_length=1500)
    assert str(refused.value) == (
        "stft: hop_length = 1500 leaves gaps between columns of n_fft = 2048. "
        "Try: hop_length=512, or at most n_fft / 2 = 1024."
    )


@pytest.mark.parametrize("name", WINDOWS)
def test_where_columns_are_allowed_their_windows_never_vanish(name):
    for n_fft in (16, 50, 2048):
        weights = window(name, n_fft)
        assert scipy.signal.check_NOLA(weights, n_fft, n_fft - n_fft // 2)
        middle = np.arange(n_fft // 4 + 1)
        assert weights[n_fft // 2 + middle].min() > 1 / 3


def test_a_column_has_a_centre():
    with pytest.raises(ParameterError) as refused:
        Stft(n_fft=2047)
    assert str(refused.value) == "stft: n_fft = 2047 has no centre frame. Try: n_fft=2048."


def test_istft_refuses_what_stft_did_not_make():
    stream = Spec("stft", Fraction(100), (1, 2, 1025), 10)
    with pytest.raises(SpecMismatchError) as refused:
        Istft().open(stream)
    assert str(refused.value) == (
        "istft takes what stft made; it is given stft 100 steps/s, shape (1, 2, 1025), 10 steps, made by nobody knows "
        "what. Try: inverse, or stft before it."
    )
    with pytest.raises(SpecMismatchError, match="takes stft; it is given audio"):
        Chain([Istft()])(tone(440))


def test_columns_of_other_bins_are_refused():
    audio = tone(440)
    spec = Stft(n_fft=1024).open(audio.spec).spec
    with pytest.raises(SpecMismatchError) as refused:
        Stft(n_fft=2048).inverse(spec)
    assert str(refused.value) == (
        "stft:n_fft=2048 cannot turn stft 93.75 steps/s, shape (1, 2, 513), 95 steps, made by stft:n_fft=1024, back "
        "into audio. Try: inverse instead, and between stft and it only stages that keep rows and hops."
    )


def test_stft_of_columns_is_refused():
    with pytest.raises(SpecMismatchError, match=r"stft.* takes audio; it is given stft"):
        (Stft() | Stft())(tone(440))
