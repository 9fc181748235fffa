"""What the kit takes for growth: what a stream leaves behind, and not what waits for the collector."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from wavechain.stream import Block, Spec
from wavechain.testing.checks.memory import refuse_growth
from wavechain.testing.promises import BrokenPromise


def played(keep: Callable[[Block], object], numbers: int) -> list[float]:
    """How long, in seconds, the streams of so many *numbers* a step were, that showed that *keep* holds nothing."""
    streams: list[float] = []

    def opened(spec: Spec) -> Callable[[Block], object]:
        assert spec.length is not None
        streams.append(spec.length / float(spec.rate))
        return keep

    subject = SimpleNamespace(broken=BrokenPromise)
    blocks = [np.zeros((numbers, 9), np.float32)] * 2
    refuse_growth(subject, "bounded-memory", "It holds", opened, Spec("few", Fraction(90), (numbers,)), blocks)
    return streams


def test_rings_of_objects_do_not_need_a_longer_stream():
    """Not even where the least is held just before the collector comes by itself."""
    calls, held = itertools.count(), list[bytes]()

    def fill_a_buffer(block: Block) -> None:
        if next(calls) % 10 == 7:
            held.clear()
        held.append(bytes(1_000))
        ring: list[object] = [bytes(1_000)]
        ring.append(ring)

    assert len(played(fill_a_buffer, 100)) == 1


def test_a_stage_that_holds_half_of_a_stream_of_few_numbers_is_found():
    held: list[Block] = []
    with pytest.raises(BrokenPromise, match="It holds"):
        played(lambda block: held.append(block[:4].copy()), 7)
