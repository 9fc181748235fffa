"""Chunks of one length: every step once, in order, and nothing that is still being written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavechain.dsp.blocks import Rechunk

CUTS = st.lists(st.one_of(st.integers(1, 3), st.integers(0, 40)), max_size=30)


def ramp(steps, channels=2):
    return np.arange(channels * steps, dtype=np.float32).reshape(channels, steps)


@given(cuts=CUTS, size=st.integers(1, 17))
def test_chunks_laid_end_to_end_are_the_signal(cuts, size):
    signal = ramp(sum(cuts))
    rechunk = Rechunk(size, (2,))
    chunks = []
    for start, length in zip(np.cumsum([0, *cuts]), cuts, strict=False):
        chunks += rechunk.push(signal[:, start : start + length])
        assert len(rechunk) < size
    assert all(chunk.shape == (2, size) for chunk in chunks)
    rest = rechunk.rest()
    assert rest.shape[1] < size
    np.testing.assert_array_equal(np.concatenate([*chunks, rest], axis=1), signal)


@given(cuts=CUTS)
def test_a_chunk_keeps_its_samples_while_the_stream_goes_on(cuts):
    signal = ramp(sum(cuts))
    rechunk = Rechunk(7, (2,))
    kept, copies = [], []
    for start, length in zip(np.cumsum([0, *cuts]), cuts, strict=False):
        for chunk in rechunk.push(signal[:, start : start + length]):
            kept.append(chunk)
            copies.append(chunk.copy())
    for chunk, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(chunk, copy)


def test_a_block_that_is_a_chunk_passes_without_a_copy():
    block = ramp(16)
    assert Rechunk(16, (2,)).push(block)[0] is block
    assert all(np.shares_memory(chunk, block) for chunk in Rechunk(4, (2,)).push(block))


def test_after_the_rest_a_new_stream_begins():
    rechunk = Rechunk(4, (1,))
    rechunk.push(ramp(3, channels=1))
    assert rechunk.rest().shape == (1, 3)
    assert rechunk.rest().shape == (1, 0)
    assert rechunk.push(ramp(3, channels=1)) == []


def test_features_of_any_shape_and_type_go_through():
    rechunk = Rechunk(2, (2, 5), np.complex64)
    (chunk,) = rechunk.push(np.ones((2, 5, 3), np.complex64))
    assert chunk.shape == (2, 5, 2)
    assert rechunk.rest().dtype == np.complex64


def test_blocks_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected blocks of shape \(2,\) \+ time, got \(3, 8\)"):
        Rechunk(4, (2,)).push(np.zeros((3, 8), np.float32))
