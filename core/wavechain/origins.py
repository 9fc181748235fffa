"""Origins: where the blocks of a run come from, as often as the run needs them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from wavechain import interrupts
from wavechain.audio import Audio
from wavechain.errors import DamagedError, NonFiniteError
from wavechain.nodes import slices
from wavechain.spool import Spool, spool_fits
from wavechain.stages import Loader
from wavechain.stream import Block, Spec

# Repeating the decoder alone is cheaper than writing and reading 4 bytes a sample; repeating a reverb is not.
REPLAY_COST_LIMIT = 6.0

Progress = Callable[[int, int | None], None]
"""Called with the steps done in this pass and the steps there are, where that is known."""


class Origin(ABC):
    """A stream that can be read from the start more than once."""

    spec: Spec
    cost: float = 0.0
    progress: Progress | None = None

    @abstractmethod
    def read(self) -> Iterator[Block]: ...

    def blocks(self) -> Iterator[Block]:
        done = 0
        for block in self.read():
            yield block
            interrupts.heed()
            done += block.shape[-1]
            if self.progress is not None:
                self.progress(done, self.spec.length)

    def spool_for(self, spec: Spec, stage_cost: float) -> Spool | None:
        """A spool for a stream of *spec* that took *stage_cost* to make, when re-making it would cost more."""
        size = float(math.prod(spec.shape) * spec.rate / (math.prod(self.spec.shape) * self.spec.rate))
        if self.cost + stage_cost <= REPLAY_COST_LIMIT * size or not spool_fits(spec):
            return None
        return Spool(spec)

    def replaced_by(self, spool: Spool) -> Origin:
        self.close()
        origin = SpoolOrigin(spool)
        origin.progress = self.progress
        return origin

    def close(self) -> None:  # noqa: B027 - most origins hold nothing
        """Let go of what this origin holds on disk."""


class FileOrigin(Origin):
    """A file, decoded anew for each pass. Truncation and non-finite samples are found here, before any stage."""

    def __init__(self, loader: Loader, path: Path, name: str) -> None:
        self.loader, self._path, self._name = loader, path, name
        self.cost = loader.cost
        with loader.open(path) as source:
            self.spec, self.media = source.spec, source.media

    def read(self) -> Iterator[Block]:
        size, done = self.spec.block_steps(), 0
        with self.loader.open(self._path) as source:
            while (block := source.read(size)).shape[-1]:
                done += block.shape[-1]
                if not np.isfinite(block).all():
                    raise NonFiniteError(
                        f"{self._name}: NaN or infinite samples near {float(done / self.spec.rate):.2f} s.",
                        hint="repair or re-export the file.",
                    )
                yield block
        if self.spec.length is not None and done != self.spec.length:
            raise DamagedError(
                f"{self._name}: the header says {self.spec.length} frames, {done} could be decoded.",
                hint="copy the file again from its origin.",
            )


class AudioOrigin(Origin):
    """A signal in memory."""

    def __init__(self, audio: Audio) -> None:
        self.spec = audio.spec
        self._waveform = audio.waveform
        if not np.isfinite(audio.waveform).all():
            raise NonFiniteError("the waveform holds NaN or infinite samples.", hint="numpy.nan_to_num beforehand.")

    def read(self) -> Iterator[Block]:
        yield from slices(self._waveform, self.spec)


class SpoolOrigin(Origin):
    """A spooled stream."""

    def __init__(self, spool: Spool) -> None:
        self.spec = spool.spec.with_length(spool.steps)
        self._spool = spool

    def read(self) -> Iterator[Block]:
        return self._spool.blocks()

    def close(self) -> None:
        self._spool.close()
