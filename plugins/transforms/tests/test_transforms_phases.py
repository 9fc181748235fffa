"""Phases for magnitudes: the sound that comes back has the magnitudes, streams, and takes constant memory."""

from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wavechain import Audio, Spec
from wavechain.stream import Block
from wavechain.testing import in_blocks, music, noise, silence
from wavechain_transforms.framing import window
from wavechain_transforms.phases import FromMagnitudes
from wavechain_transforms.stft import Stft


def magnitudes(audio: Audio) -> Block:
    processor = Stft().open(audio.spec)
    spectra = np.concatenate([processor.process(audio.waveform), processor.flush()], axis=-1)
    return np.hypot(spectra[:, 0], spectra[:, 1])


def opened(audio: Spec, hops: int | None) -> FromMagnitudes:
    spec = Spec("magnitudes", audio.rate / 512, (audio.channels, 1025), hops)
    return FromMagnitudes(audio, spec, lambda columns: columns, window("hann", 2048), 512)


def sound_of(columns: Block, audio: Spec, sizes: list[int] | None = None) -> Audio:
    processor = opened(audio, columns.shape[-1])
    blocks = [processor.process(block) for block in in_blocks(columns, sizes or [columns.shape[-1]])]
    return Audio.of(np.concatenate([*blocks, processor.flush()], axis=-1), audio.sample_rate)


def test_the_sound_has_the_magnitudes_it_was_made_from():
    for audio, limit_db in ((music(seconds=3, channels=1), -18), (noise(seconds=1, channels=2), -14)):
        before = magnitudes(audio)
        back = sound_of(before, audio.spec)
        assert back.waveform.shape == audio.waveform.shape
        error = magnitudes(back) - before
        assert 20 * np.log10(np.linalg.norm(error) / np.linalg.norm(before)) < limit_db


def test_silence_stays_silence():
    audio = silence(seconds=0.5)
    assert not sound_of(magnitudes(audio), audio.spec).waveform.any()


@settings(max_examples=8)
@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_columns_may_come_in_any_blocks(sizes):
    audio = music(seconds=0.5, channels=1)
    columns = magnitudes(audio)
    whole = sound_of(columns, audio.spec).waveform
    assert np.array_equal(sound_of(columns, audio.spec, sizes).waveform, whole)


def test_a_sound_of_unknown_length_comes_back_to_the_next_whole_hop():
    audio = noise(seconds=0.3)
    columns = magnitudes(audio)
    back = sound_of(columns, audio.spec.with_length(None)).waveform
    assert back.shape[-1] == -(-audio.frames // 512) * 512
    assert np.array_equal(back[:, : audio.frames], sound_of(columns, audio.spec).waveform)


def test_what_is_held_does_not_grow():
    audio = noise(seconds=0.5)
    columns = magnitudes(audio)[..., :32].copy()
    processor = opened(audio.spec.with_length(None), None)
    processor._magnitudes = abs  # a lambda does not pickle
    held = set()
    for _ in range(4):
        processor.process(columns)
        held.add(len(pickle.dumps(processor, protocol=5)) // 1000)
    assert len(held) == 1
