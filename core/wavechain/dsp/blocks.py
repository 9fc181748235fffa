"""Cut a stream of blocks of any length into chunks of one fixed length.

Sums inside NumPy and BLAS may be ordered differently for arrays of different sizes, so a result can depend on
the last bit on how a signal was cut. Every engine here therefore computes on chunks of one fixed size, counted
from the first step of the stream: streamed output is then bit-identical for every block size.

Conventions: last axis is time; a step is a frame (audio) or a hop (features).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Rechunk:
    """Blocks of any length in, chunks of exactly ``size`` steps out, nothing lost and nothing reordered.

    Shape   blocks (*shape, any) -> chunks (*shape, size)
    Memory  a chunk that lies inside one block is a view of it (no copy; C-contiguous only when it is the whole
            block); a chunk put together from several blocks owns its memory, which is never written again
    Raises  ValueError for a block of another shape: a mistake of the calling code
    """

    def __init__(self, size: int, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32) -> None:
        if size < 1:
            raise ValueError(f"a chunk needs at least 1 step, not {size}")
        self.size = size
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._partial: Array | None = None
        self._filled = 0

    def __len__(self) -> int:
        """Steps held back so far: always less than ``size``."""
        return self._filled

    def push(self, block: Array) -> list[Array]:
        """Every chunk that *block* completes, oldest first."""
        if block.shape[:-1] != self.shape:
            raise ValueError(f"expected blocks of shape {self.shape} + time, got {block.shape}")
        chunks: list[Array] = []
        start, steps = 0, block.shape[-1]
        if self._partial is not None:
            start = min(self.size - self._filled, steps)
            self._partial[..., self._filled : self._filled + start] = block[..., :start]
            self._filled += start
            if self._filled < self.size:
                return chunks
            chunks.append(self._partial)
            self._partial, self._filled = None, 0
        if start == 0 and steps == self.size:
            return [block]
        while steps - start >= self.size:
            chunks.append(block[..., start : start + self.size])
            start += self.size
        if start < steps:
            self._partial = np.empty((*self.shape, self.size), self.dtype)
            self._partial[..., : steps - start] = block[..., start:]
            self._filled = steps - start
        return chunks

    def rest(self) -> Array:
        """The steps that did not fill a chunk, fewer than ``size``; the next block starts a new stream."""
        partial, filled = self._partial, self._filled
        self._partial, self._filled = None, 0
        if partial is None:
            return np.empty((*self.shape, 0), self.dtype)
        return np.ascontiguousarray(partial[..., :filled])
