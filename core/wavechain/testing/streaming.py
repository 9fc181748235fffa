"""Streaming in blocks of any size, through the very engine that runs files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle

import numpy as np

from wavechain.audio import Audio
from wavechain.chain import Chain
from wavechain.engine import Opening, prepare
from wavechain.origins import Origin
from wavechain.stages import Stage
from wavechain.stream import Block


class _Cut(Origin):
    """A signal handed out in blocks of the given sizes, over and over; blocks are read-only."""

    def __init__(self, audio: Audio, sizes: Sequence[int]) -> None:
        self.spec = audio.spec
        self._waveform = audio.waveform
        self._sizes = sizes

    def read(self) -> Iterator[Block]:
        yield from in_blocks(self._waveform, self._sizes)


def in_blocks(waveform: Block, sizes: Sequence[int]) -> Iterator[Block]:
    """*waveform* cut into blocks of *sizes* frames, repeated as needed. Writing to one is an error."""
    start = 0
    for size in cycle(sizes):
        if start >= waveform.shape[-1]:
            return
        block = np.ascontiguousarray(waveform[..., start : start + size])
        block.flags.writeable = False
        yield block
        start += size


def streamed(
    stages: Stage | Chain | Sequence[Stage], audio: Audio, sizes: Sequence[int], *, tail_seconds: float | None = None
) -> Audio:
    """What *stages* make of *audio* when it arrives in blocks of *sizes* frames (repeated as needed)."""
    chain = stages if isinstance(stages, Chain) else Chain([stages] if isinstance(stages, Stage) else stages)
    prepared = prepare(chain.stages, _Cut(audio, sizes), Opening(tail_seconds=tail_seconds))
    blocks = list(prepared.blocks)
    waveform = np.concatenate(blocks, axis=-1) if blocks else prepared.spec.zeros(0)
    return Audio(waveform, prepared.spec.sample_rate, audio.media)


def latency_of(before: Audio, after: Audio) -> int:
    """How many frames *after* is behind *before*: the lag of the strongest cross-correlation."""
    size = 1 << (before.frames + after.frames).bit_length()
    spectrum = np.fft.rfft(after.waveform.sum(axis=0), size) * np.fft.rfft(before.waveform.sum(axis=0), size).conj()
    lag = int(np.argmax(np.abs(np.fft.irfft(spectrum, size))))
    return lag - size if lag > size // 2 else lag
