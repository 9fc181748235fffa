"""How much growth the kit lets pass: that of the interpreter, never that of the stream."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from wavechain.stream import Block, Spec
from wavechain.testing.checks.memory import refuse_growth
from wavechain.testing.promises import BrokenPromise

FEW = 7  # numbers a step


def played(keep: Callable[[Block], object]) -> list[float]:
    """How long, in seconds, the streams were that it took to see that *keep* holds nothing."""
    streams: list[float] = []

    def opened(spec: Spec) -> Callable[[Block], object]:
        assert spec.length is not None
        streams.append(spec.length / float(spec.rate))
        return keep

    subject = SimpleNamespace(broken=BrokenPromise)
    blocks = [np.zeros((FEW, 9), np.float32)] * 2
    refuse_growth(subject, "bounded-memory", "It holds", opened, Spec("few", Fraction(90), (FEW,)), blocks)
    return streams


def test_some_bytes_a_block_do_not_need_a_longer_stream():
    notes: list[bytes] = []
    assert len(played(lambda block: notes.append(bytes(20)))) == 1


def test_a_stage_that_holds_half_of_a_stream_of_few_numbers_is_found():
    held: list[Block] = []
    with pytest.raises(BrokenPromise, match="It holds"):
        played(lambda block: held.append(block[: (FEW + 1) // 2].copy()))
