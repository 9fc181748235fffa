"""What the header of a PCM file claims, against what the file holds.

libsndfile reads as much as there is and says nothing: of a WAV file that was cut in half, it makes a shorter WAV file.
So the size of the audio is read here once more, and compared with the size of the file.

A program that writes to a pipe cannot know the size: it leaves a placeholder in the header, and the audio ends where
the file ends. Those of ffmpeg, SoX, arecord and GStreamer are known here; any other number is meant.
Source  RIFF and WAVE: Microsoft, Multimedia Programming Interface 1.0; RF64: EBU Tech 3306; AIFF: Apple, 1989;
        W64: Sony, Wave64; AU: Sun audio(5)
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MOST_CHUNKS = 10_000  # a gigabyte of empty ones would take minutes
_UNKNOWN_32 = 0xFFFFFFFF
# From SoX (0x7FFFF000 and a little) to arecord (0x80000000): "as much as a 2 GiB file can hold".
_UNKNOWN_31 = range(0x7FFF_F000, 0x8000_0001)


@dataclass(frozen=True, slots=True)
class Claim:
    """Bytes of audio that the header announces, and that the file has room for."""

    claimed: int
    present: int


def claim(file: BinaryIO, container: str) -> Claim | None:
    """The claim of a file of that libsndfile *container*; None for others, for placeholders and without a header."""
    find = _FINDERS.get(container)
    if find is None:
        return None
    file.seek(0)
    try:
        found = find(file)
    except struct.error:  # the header itself is cut off
        return None
    if found is None:
        return None
    start, claimed = found
    return Claim(claimed, max(0, _size(file) - start))


def _riff(file: BinaryIO) -> tuple[int, int] | None:
    magic, whole = struct.unpack("<4sI4x", file.read(12))
    large = 0
    for name, start, size in _chunks(file, "<"):
        if name == b"ds64":
            large = struct.unpack("<8xQ", file.read(16))[0]
        if name == b"data":
            if magic == b"RF64" and size == _UNKNOWN_32:
                return start, large
            placeholder = size in (0, _UNKNOWN_32) and whole in (0, _UNKNOWN_32)
            placeholder |= size in _UNKNOWN_31 and whole >= size
            return None if placeholder else (start, size)
    return None


def _aiff(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(12)
    for name, start, size in _chunks(file, ">"):
        if name == b"SSND":
            # The chunk starts with an offset and a block size, four bytes each.
            return None if size in (0, _UNKNOWN_32) else (start + 8, size - 8)
    return None


def _w64(file: BinaryIO) -> tuple[int, int] | None:
    position, end = 40, _size(file)
    for _ in range(_MOST_CHUNKS):
        if position >= end:
            return None
        file.seek(position)
        name, size = struct.unpack("<4s12xQ", file.read(24))
        if name == b"data":
            return position + 24, size - 24
        if size < 24:
            return None
        position += size + -size % 8
    return None


def _au(file: BinaryIO) -> tuple[int, int] | None:
    magic = file.read(4)
    start, size = struct.unpack(">II" if magic == b".snd" else "<II", file.read(8))
    return None if size in (0, _UNKNOWN_32) else (start, size)


def _chunks(file: BinaryIO, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and size of the chunks from here on; the file stands at the start of each."""
    position, end = file.tell(), _size(file)
    for _ in range(_MOST_CHUNKS):
        if position >= end:
            return
        file.seek(position)
        name, size = struct.unpack(f"{order}4sI", file.read(8))
        yield name, position + 8, size
        position += 8 + size + size % 2


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


_FINDERS: dict[str, Callable[[BinaryIO], tuple[int, int] | None]] = {
    "WAV": _riff,
    "WAVEX": _riff,
    "RF64": _riff,
    "AIFF": _aiff,
    "W64": _w64,
    "AU": _au,
}
