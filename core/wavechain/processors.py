"""Processors: a stage at work on one stream, and base classes for the declared kinds.

    stream    `Processor`, `pointwise`, `FixedBlocks`    state carried from block to block
    window    `Window`                                   each output needs some input left and right of it
    whole     `Whole`                                    the method needs everything at once

(Measured stages are declared in `wavechain.stages`: `MeasuredEffect`, `Analysis`.)

What a processor promises, and the core checks
    spec      what comes out. `spec.length` is the length without latency and tail, None when only the end can tell.
    latency   output steps that precede the image of input step 0. The core discards them and feeds zeros for them.
    tail      output steps that ring on after the input ends; `math.inf` for "until it is silent".
    process   may return more or fewer steps than it was given, also none. It never edits its input.
    flush     everything that is still inside. Called once, last.
    reset     nothing: every stream gets a processor of its own, so no file can hear the one before it.

However the input is cut into blocks, the concatenated output is the same, bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from wavechain.stream import Block, Spec


class Processor(ABC):
    """One stage on one stream. Subclass it and implement `process`; the rest has defaults."""

    latency: int = 0
    tail: float = 0

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    @abstractmethod
    def process(self, block: Block) -> Block:
        """Shape (…, steps in) -> (…, steps out); any number of steps, also zero."""

    def flush(self) -> Block:
        return self.spec.zeros(0)

    @property
    def report(self) -> dict[str, Any]:
        """What it did, for the report of the run: gain applied, frames removed … A person is shown ``"warning"`` and
        ``"left_alone"`` (why nothing was done)."""
        return {}


class _Pointwise(Processor):
    def __init__(self, spec: Spec, function: Callable[[Block], Block]) -> None:
        super().__init__(spec)
        self._function = function

    def process(self, block: Block) -> Block:
        return self._function(block)


def pointwise(spec: Spec, function: Callable[[Block], Block]) -> Processor:
    """A processor for a memoryless function: what it does to a step depends on that step alone."""
    return _Pointwise(spec, function)


class FixedBlocks(Processor):
    """A stream processor whose `step` always sees exactly `size` steps, aligned to the start of the stream.

    For methods whose result depends on how the signal is cut (codecs, FFT blocks, matrix products): cutting it in one
    fixed way makes them independent of the caller's blocks. The last chunk is completed with zeros and its output cut.
    """

    def __init__(self, spec: Spec, size: int, *, in_spec: Spec | None = None) -> None:
        super().__init__(spec)
        self.size = size
        self._pending = Pending(in_spec or spec)

    @abstractmethod
    def step(self, chunk: Block) -> Block:
        """Shape (…, size) -> (…, size)."""

    def process(self, block: Block) -> Block:
        done = [self.step(chunk) for chunk in self._pending.chunks(block, self.size)]
        return join(done, self.spec)

    def flush(self) -> Block:
        rest = self._pending.take()
        count = rest.shape[-1]
        if not count:
            return self.spec.zeros(0)
        return self.step(pad_end(rest, self.size))[..., :count]


class Window(Processor):
    """Output step n needs input steps n - left to n + right; outside the stream there are zeros.

    `compute` sees windows of a fixed shape (…, left + core + right) and returns the core (…, core): context is fed and
    discarded, never cross-faded, so a chunked result equals the whole one.
    """

    def __init__(self, spec: Spec, left: int, right: int, *, core: int | None = None) -> None:
        super().__init__(spec)
        self.left, self.right = left, right
        self.core = core or max(spec.block_steps() // 2, left, right)
        self._pending = Pending(spec)
        self._pending.push(spec.zeros(left))
        self._due = 0

    @abstractmethod
    def compute(self, window: Block) -> Block:
        """Shape (…, left + core + right) -> (…, core)."""

    def process(self, block: Block) -> Block:
        self._due += block.shape[-1]
        self._pending.push(block)
        done = []
        while self._pending.steps >= self.left + self.core + self.right:
            done.append(self._advance(self.core))
        return join(done, self.spec)

    def flush(self) -> Block:
        done = []
        while self._due > 0:
            done.append(self._advance(min(self.core, self._due)))
        return join(done, self.spec)

    def _advance(self, count: int) -> Block:
        size = self.left + self.core + self.right
        window = pad_end(self._pending.peek(size), size)
        self._pending.drop(self.core)
        self._due -= count
        return self.compute(window)[..., :count]


class Whole(Processor):
    """Collects the whole stream in a memory-mapped temporary file and hands it to `function` at the end.

    Always right, never light: for methods that truly need everything. Refused above a size limit.
    """

    def __init__(self, spec: Spec, function: Callable[[Block], Block], *, in_spec: Spec | None = None) -> None:
        super().__init__(spec)
        from wavechain.spool import Spool

        self._function = function
        self._spool = Spool(in_spec or spec)

    def process(self, block: Block) -> Block:
        self._spool.write(block)
        return self.spec.zeros(0)

    def flush(self) -> Block:
        whole = self._spool.whole()
        self._spool.close()
        return np.ascontiguousarray(self._function(whole), np.float32)


class Pending:
    """Steps waiting to be used: a queue of blocks that copies only when a request crosses a border."""

    def __init__(self, spec: Spec) -> None:
        self._empty = spec.zeros(0)
        self._blocks: list[Block] = []
        self.steps = 0

    def push(self, block: Block) -> None:
        if block.shape[-1]:
            self._blocks.append(block)
            self.steps += block.shape[-1]

    def peek(self, count: int) -> Block:
        """The first *count* steps, or fewer when there are fewer, leaving them where they are."""
        count = min(count, self.steps)
        if not count:
            return self._empty
        if self._blocks[0].shape[-1] < count:
            needed, have = [], 0
            while have < count:
                needed.append(self._blocks.pop(0))
                have += needed[-1].shape[-1]
            self._blocks.insert(0, np.concatenate(needed, axis=-1))
        return self._blocks[0][..., :count]

    def drop(self, count: int) -> None:
        count = min(count, self.steps)
        self.steps -= count
        while count:
            first = self._blocks[0]
            if first.shape[-1] > count:
                self._blocks[0] = first[..., count:]
                return
            count -= first.shape[-1]
            self._blocks.pop(0)

    def take(self, count: int | None = None) -> Block:
        """Remove and return the first *count* steps (all of them by default)."""
        taken = self.peek(self.steps if count is None else count)
        self.drop(taken.shape[-1])
        return taken

    def chunks(self, block: Block, size: int) -> Iterator[Block]:
        """Add *block*, then take as many C-contiguous chunks of exactly *size* steps as there are."""
        self.push(block)
        while self.steps >= size:
            yield np.ascontiguousarray(self.take(size))


def join(blocks: list[Block], spec: Spec) -> Block:
    """Blocks end to end; an empty block of *spec* when there are none."""
    if not blocks:
        return spec.zeros(0)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=-1)


def pad_end(block: Block, size: int) -> Block:
    """*block* completed with zeros to *size* steps, C-contiguous."""
    missing = size - block.shape[-1]
    if missing <= 0:
        return np.ascontiguousarray(block)
    return np.concatenate([block, np.zeros((*block.shape[:-1], missing), np.float32)], axis=-1)
