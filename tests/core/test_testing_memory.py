"""How much growth the kit lets pass: that of the interpreter, never that of the stream."""

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


def test_some_bytes_that_stay_behind_once_do_not_need_a_longer_stream():
    calls = itertools.count(1)
    kept: list[bytes] = []
    assert len(played(lambda block: kept.append(bytes(4_000)) if next(calls) == 16 else None, 100)) == 1
    assert kept


def test_a_stage_that_holds_half_of_a_stream_of_few_numbers_is_found():
    held: list[Block] = []
    with pytest.raises(BrokenPromise, match="It holds"):
        played(lambda block: held.append(block[:4].copy()), 7)
