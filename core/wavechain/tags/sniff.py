"""What kind of tags a file carries, by its first bytes; and how large they say they are, before anybody reads them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

# A file of nothing but empty chunks, blocks or pages would keep a parser busy for minutes.
_MOST_PARTS = 10_000
_TOO_MANY = 1 << 62


def kind_of(file: BinaryIO) -> str:
    """``flac``, ``vorbis``, ``opus``, ``oggflac``, ``wav``, ``aiff``, ``mp3``, ``mp4``, or an empty string."""
    file.seek(0)
    head = file.read(64)
    if head[:3] == b"ID3":
        file.seek(_id3_bytes(head))
        return "flac" if file.read(4) == b"fLaC" else "mp3"
    if head[:4] == b"OggS":
        codecs = ((b"OpusHead", "opus"), (b"\x01vorbis", "vorbis"), (b"\x7fFLAC", "oggflac"))
        return next((kind for magic, kind in codecs if magic in head), "")
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] == b"ftyp":
        return "mp4"
    if head[:4] == b"fLaC":
        return "flac"
    return "mp3" if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 else ""


def header_bytes(file: BinaryIO, kind: str) -> int:
    """How many bytes the tags take by their own account: what a parser would load into memory."""
    file.seek(0)
    if kind == "mp3":
        return _id3_bytes(file.read(10))
    if kind == "flac":
        return _flac_bytes(file)
    if kind in ("wav", "aiff"):
        parts = list(chunks(file))
        tags = [size for name, _, size in parts if name.strip().lower() in (b"id3", b"list")]
        return max(tags, default=0) if len(parts) < _MOST_PARTS else _TOO_MANY
    if kind in ("vorbis", "opus", "oggflac"):
        return _ogg_bytes(file)
    return 0


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and size of the chunks of a RIFF or AIFF file, sizes cut to what the file holds."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    order = "<" if file.read(4) == b"RIFF" else ">"
    position = 12
    for _ in range(_MOST_PARTS):
        if position + 8 > end:
            return
        file.seek(position)
        name, size = struct.unpack(f"{order}4sI", file.read(8))
        yield name, position + 8, min(size, end - position - 8)
        position += 8 + size + size % 2


def _id3_bytes(head: bytes) -> int:
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])


def _flac_bytes(file: BinaryIO) -> int:
    start = _id3_bytes(file.read(10))
    position = start + 4
    for _ in range(_MOST_PARTS):
        file.seek(position)
        head = file.read(4)
        position += 4 + int.from_bytes(head[1:], "big")
        if len(head) < 4 or head[0] & 0x80:
            return position
    return _TOO_MANY


def _ogg_bytes(file: BinaryIO) -> int:
    """From the start to the end of the second packet, which holds the comments."""
    position = packets = 0
    for _ in range(_MOST_PARTS):
        file.seek(position)
        head = file.read(27)
        if packets > 1 or len(head) < 27 or head[:4] != b"OggS":
            return position
        segments = file.read(head[26])
        packets += sum(size < 255 for size in segments)
        position += 27 + len(segments) + sum(segments)
    return _TOO_MANY
