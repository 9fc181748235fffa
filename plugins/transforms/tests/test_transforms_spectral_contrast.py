"""Spectral contrast: tones against noise, octave by octave, as librosa cuts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavechain import Audio
from wavechain.errors import SpecMismatchError
from wavechain.stream import Block
from wavechain.testing import impulse, in_blocks, music, noise, silence, tone
from wavechain_transforms.spectral_contrast import SpectralContrast

with np.load(Path(__file__).parent / "golden" / "librosa.npz") as _file:
    GOLDEN = dict(_file)
SOUND = Audio.of(GOLDEN["sound"].astype(np.float32) / 32_768, 22_050)


def contrast(audio: Audio, stage: SpectralContrast) -> Block:
    processor = stage.open(audio.spec)
    return np.concatenate([processor.process(audio.waveform), processor.flush()], axis=-1)


def test_contrast_is_twice_that_of_librosa_which_takes_magnitudes_for_powers():
    stage = SpectralContrast(n_bands=5, n_fft=1024, hop_length=256, floor_db=-200)
    np.testing.assert_allclose(contrast(SOUND, stage)[0] / 2, GOLDEN["contrast"], atol=1e-3)


def test_a_tone_stands_out_in_its_octave_and_noise_in_none():
    both = Audio.of(tone(1000, level_dbfs=-10).waveform + noise(rms_dbfs=-60).waveform, 48_000)
    found = contrast(both, SpectralContrast())[0, :, 20:70].mean(axis=1)
    alone = contrast(noise(rms_dbfs=-60), SpectralContrast())[0, :, 20:70].mean(axis=1)
    # Rows: below 200 Hz, then octaves; 1000 Hz lies in the third of them.
    assert int((found - alone).argmax()) == 3
    assert found[3] - alone[3] > 40
    assert alone.max() < 45


def test_silence_and_a_click_have_no_contrast():
    assert not contrast(silence(seconds=0.3), SpectralContrast()).any()
    assert not contrast(impulse(at=5000, seconds=0.3), SpectralContrast()).any()


@given(sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=5))
def test_streamed_equals_whole_bit_for_bit(sizes):
    audio, stage = music(seconds=0.5), SpectralContrast()
    processor = stage.open(audio.spec)
    blocks = [processor.process(block) for block in in_blocks(audio.waveform, sizes)]
    assert np.array_equal(np.concatenate([*blocks, processor.flush()], axis=-1), contrast(audio, stage))


def test_octaves_beyond_half_the_sample_rate_and_without_bins_are_refused():
    with pytest.raises(SpecMismatchError, match=r"6 octaves from 200 Hz begin up to 6400 Hz; .* is 4000 Hz"):
        SpectralContrast()(tone(440, sample_rate=8000))
    with pytest.raises(SpecMismatchError, match=r"n_fft = 64 has no bins from 0 Hz to 10 Hz"):
        SpectralContrast(low_hz=10, n_fft=64, hop_length=32)(tone(440))
