"""Memory follows the block size, never the length of the stream."""

from __future__ import annotations

import contextlib
import gc
import math
import tracemalloc
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from wavechain.processors import Whole
from wavechain.stages import MeasuredEffect, WholeEffect
from wavechain.stream import Block, Spec
from wavechain.testing.playing import Signal, processor_for
from wavechain.testing.promises import NotApplicable
from wavechain.testing.subject import Subject, some_music

Take = Callable[[Block], object]

# How long a stream has to be: what grows in the first is asked again in a longer one, since a buffer may be filling.
SECONDS = (3, 12, 60)
# What may stay behind of what went by in half of the stream: rounding of buffers, caches of objects.
SHARE = 0.05


def bounded_memory(subject: Subject) -> None:
    """Blocks of a tenth of a second: as much is held at the end of a stream as towards its beginning."""
    stage = subject.stage
    if isinstance(stage, WholeEffect):
        raise NotApplicable("a WholeEffect holds the whole signal, by declaration")
    signal = _steady_signal(subject)
    size = max(1, round(signal.spec.rate / 10))
    blocks = [
        block for start in range(0, signal.steps, size) if (block := _slice(signal.data, start, size)) is not None
    ]

    def analysis(spec: Spec) -> Take | None:
        found = stage.analyse(spec, []) if isinstance(stage, MeasuredEffect) else None
        return None if found is None else found.feed

    def process(spec: Spec) -> Take:
        processor = processor_for(stage, spec, signal.data)
        if isinstance(processor, Whole):
            raise NotApplicable("it holds the whole signal in a file, by declaration")
        return processor.process

    refuse_growth(subject, "bounded-memory", "The analysis holds", analysis, signal.spec, blocks)
    refuse_growth(subject, "bounded-memory", "The processor holds", process, signal.spec, blocks)


def refuse_growth(
    subject: Subject, promise: str, who: str, opened: Callable[[Spec], Take | None], spec: Spec, blocks: Sequence[Block]
) -> None:
    """Feed *blocks*, over and over, to what *opened* gives for a stream of *spec*.

    Raises  BrokenPromise when what is held grows in each of the `SECONDS`
    """
    size = blocks[0].shape[-1]
    for seconds in SECONDS:
        count = max(8, round(seconds * spec.rate / size))
        take = opened(spec.with_length(count * size))
        if take is None:
            return
        limit = SHARE * blocks[0].nbytes * count / 2
        with np.errstate(all="ignore"):
            grown = growth(_feeding(take, blocks), count)
        if grown <= limit:
            return
    fact = f"{who} {grown / 2**20:.2f} MiB more after {seconds} s than after {seconds // 2} s "
    raise subject.broken(promise, f"{fact}({limit / 2**20:.2f} MiB would pass).")


def _feeding(take: Take, blocks: Sequence[Block]) -> Callable[[int], None]:
    def feed(number: int) -> None:
        take(blocks[number % len(blocks)].copy())

    return feed


def growth(step: Callable[[int], object], count: int) -> int:
    """By how many bytes what is held grows over half of *count* calls of *step*.

    What is held goes up and down with every chunk that fills and is handed out: the least of the second quarter is
    compared with the least of the last. Rings of objects that only wait for the collector are not held: in a stream of
    few numbers they would be most of what grows.
    """
    quarter = count // 4
    with _traced():
        least = [math.inf] * 4
        for number in range(count):
            step(number)
            gc.collect(2 if number in (quarter, 3 * quarter) else 1)
            held = tracemalloc.get_traced_memory()[0]
            if number >= quarter:
                part = min(3, number // quarter)
                least[part] = min(least[part], held)
        return int(least[3] - least[1])


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


def _steady_signal(subject: Subject) -> Signal:
    """The input, in no more channels than it takes."""
    if subject.few_channels == subject.channels:
        return subject.input
    return subject.signal(some_music(subject.sample_rate, subject.few_channels))
