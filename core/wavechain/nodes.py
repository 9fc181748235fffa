"""Nodes: the parts of an opened chain, fed block by block.

Leaf     one processor: trims its latency, drains its tail, checks its promises
Listen   a measured stage that has not heard everything yet; nothing after it is opened
Series   one after the other
Fork     the same input into several branches, aligned and joined (parallel, bands, mid-side, mix)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from wavechain.errors import NonFiniteError, SpecMismatchError, StageError, WavechainError
from wavechain.processors import Pending, Processor, pad_end
from wavechain.stages import Analysis
from wavechain.stream import Block, Spec

TAIL_FLOOR = np.float32(10 ** (-60 / 20))
TAIL_HOLD_SECONDS = 1.0
TAIL_CAP_SECONDS = 10.0


class Node(Protocol):
    """Part of an opened chain. `place` is what a person calls it: ``stage 3 (reverb)``."""

    place: str
    spec: Spec

    def push(self, block: Block) -> Block: ...

    def finish(self) -> Iterator[Block]: ...

    def listeners(self) -> Iterator[Listen]: ...

    def leaves(self) -> Iterator[Leaf | Listen]: ...


class Leaf:
    """One processor, held to its promises: what goes out is aligned to what came in, and as long as announced."""

    def __init__(self, place: str, processor: Processor, in_spec: Spec, tail_seconds: float | None) -> None:
        self.place = place
        self.processor = processor
        self.in_spec = in_spec
        self.latency = processor.latency
        self.tail = processor.tail
        self._cap = round((TAIL_CAP_SECONDS if tail_seconds is None else tail_seconds) * processor.spec.rate)
        if tail_seconds is not None and self.tail != math.inf:
            self.tail = min(self.tail, self._cap)
        if (self.latency or self.tail) and processor.spec.rate != in_spec.rate:
            raise StageError(f"{place} changes the rate and declares latency or a tail: it must end itself in flush().")
        length = processor.spec.length
        self.spec = processor.spec.with_length(
            None if length is None or self.tail == math.inf else length + int(self.tail)
        )
        self._skip = self.latency
        self._received = 0
        self.emitted = 0

    def push(self, block: Block) -> Block:
        self._received += block.shape[-1]
        return self._count(self._trimmed(self._call(self.processor.process, block)))

    def finish(self) -> Iterator[Block]:
        body = self._received
        if self.latency:
            yield from map(self._count, self._fed_with_zeros(self.latency))
        if self.tail == math.inf:
            yield from self._ring(body)
        else:
            if self.tail:
                yield from map(self._count, self._fed_with_zeros(int(self.tail)))
            last = self._trimmed(self._call(self.processor.flush))
            yield from map(self._count, slices(last, self.spec))
        self._check_length()

    def listeners(self) -> Iterator[Listen]:
        return iter(())

    def leaves(self) -> Iterator[Leaf | Listen]:
        yield self

    def _call(self, function: Callable[..., Block], *arguments: Block) -> Block:
        for block in arguments:
            block.flags.writeable = False  # another branch may be reading the same memory
        try:
            with np.errstate(all="ignore"):  # what matters of it is caught below, with the name of the stage
                block = function(*arguments)
        except WavechainError as error:
            raise error.at(self.place) from error.__cause__
        except (Exception, SystemExit) as error:
            raise StageError(
                f"{self.place} failed: {type(error).__name__}: {error}.", hint="--debug for the traceback."
            ) from error
        if not isinstance(block, np.ndarray):
            raise StageError(f"{self.place} returned {type(block).__name__} instead of a block.", hint="its author.")
        if block.dtype != np.float32 or block.shape[:-1] != self.spec.shape:
            raise StageError(
                f"{self.place} announced float32 blocks of shape {self.spec.shape} and returned "
                f"{block.dtype} of shape {block.shape[:-1]}."
            )
        if not np.isfinite(block).all():
            raise NonFiniteError(
                f"{self.place} made NaN or infinite samples.",
                hint="gentler parameters, or wavechain inspect on the input.",
            )
        return np.ascontiguousarray(block)

    def _trimmed(self, block: Block) -> Block:
        if not self._skip:
            return block
        skipped = min(self._skip, block.shape[-1])
        self._skip -= skipped
        return np.ascontiguousarray(block[..., skipped:])

    def _count(self, block: Block) -> Block:
        self.emitted += block.shape[-1]
        return block

    def _fed_with_zeros(self, steps: int) -> Iterator[Block]:
        size = self.in_spec.block_steps()
        while steps > 0:
            yield self._trimmed(self._call(self.processor.process, self.in_spec.zeros(min(size, steps))))
            steps -= size

    def _ring(self, body: int) -> Iterator[Block]:
        """Zeros in, until the output has stayed below the floor for the hold time; cut after its last loud step.

        Decided step by step, so that it does not depend on how the processor hands out its blocks.
        """
        hold = round(TAIL_HOLD_SECONDS * self.spec.rate)
        end = body  # one past the last loud step
        held = Pending(self.spec)  # quiet steps that will be cut unless something loud follows
        position = self.emitted
        for block in self._fed_with_zeros(self._cap + hold + self.in_spec.block_steps()):
            held.push(block)
            peak = np.abs(block).max(axis=tuple(range(block.ndim - 1)), initial=0)
            loud = np.flatnonzero(peak >= TAIL_FLOOR) + position
            loud = loud[(loud >= body) & (loud < body + self._cap)]
            gaps = np.diff(loud, prepend=end - 1) > hold
            stop = bool(gaps.any())
            if stop:
                loud = loud[: int(np.argmax(gaps))]
            if loud.size:
                end = int(loud[-1]) + 1
            position += block.shape[-1]
            ready = held.take(end - self.emitted) if end > self.emitted else self.spec.zeros(0)
            yield self._count(np.ascontiguousarray(ready))
            if stop or position >= end + hold:
                break
        self.tail = self.emitted - body

    def _check_length(self) -> None:
        due = self.spec.length if self.tail != math.inf else None
        if due is not None and self.emitted != due:
            raise StageError(f"{self.place} announced {due} steps and gave {self.emitted}: a fault in the stage.")


class Listen:
    """A measured stage during a measuring pass: takes everything, gives nothing."""

    def __init__(self, place: str, path: str, spec: Spec, in_spec: Spec, analysis: Analysis | None) -> None:
        self.place = place
        self.path = path
        self.spec = spec
        self.in_spec = in_spec
        self.analysis = analysis
        self.latency, self.tail = 0, 0.0

    def push(self, block: Block) -> Block:
        if self.analysis is not None:
            self.analysis.feed(block)
        return self.spec.zeros(0)

    def finish(self) -> Iterator[Block]:
        return iter(())

    def listeners(self) -> Iterator[Listen]:
        if self.analysis is not None:
            yield self

    def leaves(self) -> Iterator[Leaf | Listen]:
        yield self


class Series:
    """Nodes one after the other."""

    place = "chain"

    def __init__(self, nodes: Sequence[Node], spec: Spec) -> None:
        self.nodes = list(nodes)
        self.spec = spec

    def push(self, block: Block) -> Block:
        return self._from(0, block)

    def finish(self) -> Iterator[Block]:
        for index, node in enumerate(self.nodes):
            for block in node.finish():
                if block.shape[-1]:
                    yield self._from(index + 1, block)

    def run(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Everything that comes out for *blocks*, to the last step of the last tail."""
        for block in blocks:
            yield self.push(block)
        yield from self.finish()

    def listeners(self) -> Iterator[Listen]:
        for node in self.nodes:
            yield from node.listeners()

    def leaves(self) -> Iterator[Leaf | Listen]:
        for node in self.nodes:
            yield from node.leaves()

    def _from(self, index: int, block: Block) -> Block:
        for node in self.nodes[index:]:
            if not block.shape[-1]:
                return self.spec.zeros(0)
            block = node.push(block)
        return block


class Splitter(Protocol):
    """How a fork divides its input: one block in, one block for each branch out (all of equal length)."""

    def push(self, block: Block) -> Sequence[Block]: ...

    def finish(self) -> Sequence[Block]:
        """What the splitter still holds, for each branch; nothing at all when it holds nothing back."""
        ...


class Fork:
    """Several branches fed from one input; their outputs, aligned step by step, are joined into one.

    A branch that ends earlier goes on in silence until the longest is done. While a branch listens, only the listening
    branches run.
    """

    def __init__(
        self, place: str, splitter: Splitter, branches: Sequence[Series], merge: Callable[[list[Block]], Block]
    ) -> None:
        self.place = place
        self.branches = list(branches)
        self._splitter = splitter
        self._merge = merge
        self._queues = [Pending(branch.spec) for branch in self.branches]
        self._listening = any(self.listeners())
        # A listening branch was opened only so far: its spec says nothing yet, and nothing after the fork is open.
        self.spec = self.branches[0].spec if self._listening else self._merged_spec()

    def _merged_spec(self) -> Spec:
        probe = self._merge([branch.spec.zeros(0) for branch in self.branches])
        first = self.branches[0].spec
        for branch in self.branches[1:]:
            if (branch.spec.kind, branch.spec.rate) != (first.kind, first.rate):
                raise SpecMismatchError(
                    f"{self.place}: its branches end differently: {first} and {branch.spec}.",
                    hint="the same resample or inverse at the end of each branch.",
                )
            if branch.spec.recipe != first.recipe:  # sums of features mean something only if all are of one make
                raise SpecMismatchError(
                    f"{self.place}: its branches end in {first.kind} made by {first.recipe!r} and by "
                    f"{branch.spec.recipe!r}.",
                    hint="the same transform in each branch, or before all of them.",
                )
        lengths = [branch.spec.length for branch in self.branches]
        known = [length for length in lengths if length is not None]
        length = max(known) if len(known) == len(lengths) else None
        return Spec(first.kind, first.rate, probe.shape[:-1], length, first.recipe, first.source)

    def push(self, block: Block) -> Block:
        for branch, queue, part in zip(self.branches, self._queues, self._splitter.push(block), strict=True):
            if not self._listening:
                queue.push(branch.push(part))
            elif any(branch.listeners()):
                branch.push(part)
        return self._emit(min(queue.steps for queue in self._queues))

    def finish(self) -> Iterator[Block]:
        rest: Sequence[Block | None] = self._splitter.finish() or [None] * len(self.branches)
        endings = [_ending(branch, part) for branch, part in zip(self.branches, rest, strict=True)]
        if self._listening:
            for branch, ending in zip(self.branches, endings, strict=True):
                if any(branch.listeners()):
                    for _ in ending:
                        pass
            return
        running = dict(enumerate(endings))
        while running:
            for index in list(running):
                block = next(running[index], None)
                if block is None:
                    del running[index]
                else:
                    self._queues[index].push(block)
            if running:
                yield self._emit(min(self._queues[index].steps for index in running))
        yield from slices(self._emit(max(queue.steps for queue in self._queues)), self.spec)

    def listeners(self) -> Iterator[Listen]:
        for branch in self.branches:
            yield from branch.listeners()

    def leaves(self) -> Iterator[Leaf | Listen]:
        for branch in self.branches:
            yield from branch.leaves()

    def _emit(self, steps: int) -> Block:
        if not steps:
            return self.spec.zeros(0)
        return self._merge([pad_end(queue.take(steps), steps) for queue in self._queues])


def _ending(branch: Series, part: Block | None) -> Iterator[Block]:
    if part is not None:
        yield branch.push(part)
    yield from branch.finish()


def slices(block: Block, spec: Spec) -> Iterator[Block]:
    """A long block cut into pieces of the usual size, so that what follows keeps its memory constant."""
    size = spec.block_steps()
    for start in range(0, block.shape[-1], size):
        yield np.ascontiguousarray(block[..., start : start + size])
