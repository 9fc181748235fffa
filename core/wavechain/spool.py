"""Spool: a stream parked in a temporary file, to be read once more or mapped as a whole.

The file has no name where the system allows it, so a killed process leaves nothing behind.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from wavechain.errors import UnwritableError
from wavechain.stream import Block, Spec


class Spool:
    """The blocks of one stream, one after the other as they came: writing and reading cost a memory copy each.

    Units   4 bytes a sample: 1.27 GB for an hour of 44.1 kHz stereo
    Raises  UnwritableError when the temporary folder is full
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.steps = 0
        self._file: IO[bytes] | None = None
        self._lengths: list[int] = []

    def write(self, block: Block) -> None:
        if not block.shape[-1]:
            return
        try:
            if self._file is None:
                self._file = _temporary_file()
            data = np.ascontiguousarray(block).data.cast("B")
            while data:
                data = data[self._file.write(data) or 0 :]
        except OSError as error:
            raise no_room(error) from error
        self._lengths.append(block.shape[-1])
        self.steps += block.shape[-1]

    def blocks(self) -> Iterator[Block]:
        """What was written, from the start, in the blocks in which it came."""
        if self._file is None:
            return
        self._file.seek(0)
        for length in self._lengths:
            block = np.empty((*self.spec.shape, length), np.float32)
            self._file.readinto(block.data.cast("B"))  # type: ignore[attr-defined]
            yield block

    def whole(self) -> Block:
        """Everything at once as one memory-mapped array of shape (…, steps)."""
        if not self.steps:
            return self.spec.zeros(0)
        try:
            with _temporary_file() as file:
                file.truncate(4 * self.steps * int(np.prod(self.spec.shape)))
                mapped: Any = np.memmap(file, np.float32, mode="r+", shape=(*self.spec.shape, self.steps))
        except OSError as error:
            raise no_room(error) from error
        start = 0
        for block in self.blocks():
            mapped[..., start : start + block.shape[-1]] = block
            start += block.shape[-1]
        mapped.flags.writeable = False
        return np.asarray(mapped)

    def __del__(self) -> None:  # a run that was given up
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _temporary_file() -> IO[bytes]:
    return tempfile.TemporaryFile(prefix="wavechain-", buffering=0)


def no_room(error: OSError) -> UnwritableError:
    """The error for a temporary folder that is full."""
    return UnwritableError(
        f"the temporary folder {tempfile.gettempdir()} cannot take the intermediate audio: {error.strerror}.",
        hint="set TMPDIR to a folder with more room.",
    )


def spool_fits(spec: Spec) -> bool:
    """Whether the temporary folder has room for a stream of *spec*; an unknown length is taken to fit."""
    needed = 4 * int(np.prod(spec.shape)) * (spec.length or 0)
    return shutil.disk_usage(tempfile.gettempdir()).free > 1.05 * needed
