"""Memory follows the block size, never the length of the stream."""

from __future__ import annotations

import contextlib
import gc
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np

from wavechain.processors import Whole
from wavechain.stages import MeasuredEffect, WholeEffect
from wavechain.stream import Block
from wavechain.testing.playing import processor_for
from wavechain.testing.promises import NotApplicable
from wavechain.testing.subject import Subject

SECONDS = 60
# What may stay behind of what went by between half a minute and a minute: rounding of buffers, caches of objects.
SHARE = 0.05


def bounded_memory(subject: Subject) -> None:
    """A minute in blocks of a tenth of a second: as much is held after it as after half of it."""
    stage = subject.stage
    if isinstance(stage, WholeEffect):
        raise NotApplicable("a WholeEffect holds the whole signal, by declaration")
    signal = subject.input
    size = max(1, round(signal.spec.rate / 10))
    blocks = [
        block for start in range(0, signal.steps, size) if (block := _slice(signal.data, start, size)) is not None
    ]
    count = max(2, round(SECONDS * signal.spec.rate / size))
    spec = signal.spec.with_length(count * size)

    def feed(take: Callable[[Block], object]) -> int:
        return growth(lambda number: take(blocks[number % len(blocks)].copy()), count)

    limit = SHARE * blocks[0].nbytes * count / 2
    if isinstance(stage, MeasuredEffect):
        analysis = stage.analyse(spec, [])
        if analysis is not None:
            _refuse(subject, feed(analysis.feed), limit, "The analysis holds")
    processor = processor_for(stage, spec, signal.data)
    if isinstance(processor, Whole):
        raise NotApplicable("it holds the whole signal in a file, by declaration")
    with np.errstate(all="ignore"):
        _refuse(subject, feed(processor.process), limit, "The processor holds")


def growth(step: Callable[[int], object], count: int) -> int:
    """Bytes that are held after *count* calls of *step* and were not after half of them."""
    with _traced():
        half = 0
        for number in range(count):
            if number == count // 2:
                gc.collect()
                half = tracemalloc.get_traced_memory()[0]
            step(number)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - half


@contextlib.contextmanager
def _traced() -> Iterator[None]:
    if tracemalloc.is_tracing():
        yield
        return
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def _slice(data: Block, start: int, size: int) -> Block | None:
    block = np.ascontiguousarray(data[..., start : start + size])
    return block if block.shape[-1] == size else None


def _refuse(subject: Subject, grown: int, limit: float, who: str) -> None:
    if grown > limit:
        raise subject.broken(
            "bounded-memory",
            f"{who} {grown / 2**20:.2f} MiB more after {SECONDS} s than after {SECONDS // 2} s "
            f"({limit / 2**20:.2f} MiB would pass).",
        )
