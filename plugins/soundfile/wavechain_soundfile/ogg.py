"""Ogg pages: how long an Ogg file is, and whether its end is there.

libsndfile takes the last page that it can find for the end. Of a file that was cut off, or damaged in the middle, it
makes a shorter file without a word: measured, 10,240 of 100,003 frames. But the last page of a complete stream is
marked as such, and holds the number of its last sample.
Source  RFC 3533 (Ogg), RFC 7845 4.1 to 4.5 (Opus in Ogg)
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

_HEADER = struct.Struct("<4sBBqIIIB")
_LONGEST_PAGE = 27 + 255 + 255 * 255
_BEGIN, _END = 2, 4
_MOST_SAMPLES_PER_PACKET = 8192  # the longest block of Vorbis; Opus has 5760


@dataclass(frozen=True, slots=True)
class Page:
    flags: int
    sample: int
    serial: int
    packets: int
    next: int
    first_bytes: bytes


@dataclass(frozen=True, slots=True)
class OggEnd:
    """The end of a file of one audio stream.

    complete  whether the last page is the one that ends the stream
    joined    whether another stream follows the first
    frames    how many frames the pages count, None when that cannot be told
    """

    complete: bool
    joined: bool
    frames: int | None


def read_end(file: BinaryIO) -> OggEnd:
    """Look at the first pages and the last one of an open file."""
    serials: set[int] = set()
    skip, start, pages, position = 0, 0, 0, 0
    page = _page_at(file, position)
    while page is not None and pages < 5000:
        if page.flags & _BEGIN:
            serials.add(page.serial)
            if page.first_bytes.startswith(b"OpusHead") and len(page.first_bytes) >= 12:
                skip = int.from_bytes(page.first_bytes[10:12], "little")
        elif page.sample > 0:
            # A stream cut out of a longer one (radio) begins with a large number: then its length is not the last one.
            start = page.sample - page.packets * _MOST_SAMPLES_PER_PACKET
            break
        position, pages = page.next, pages + 1
        page = _page_at(file, position)
    last = _last_page(file)
    if last is None:
        return OggEnd(False, False, None)
    single = len(serials) == 1 and last.serial in serials
    countable = single and start <= 0 and last.sample > 0
    return OggEnd(
        complete=bool(last.flags & _END),
        joined=last.serial not in serials,
        frames=max(0, last.sample - skip) if countable else None,
    )


def _page_at(file: BinaryIO, position: int) -> Page | None:
    file.seek(position)
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or head[:4] != b"OggS":
        return None
    _, _, flags, sample, serial, _, _, count = _HEADER.unpack(head)
    segments = file.read(count)
    body = position + _HEADER.size + count
    packets = sum(size < 255 for size in segments)
    return Page(flags, sample, serial, packets, body + sum(segments), file.read(19))


def _last_page(file: BinaryIO) -> Page | None:
    """The last page that is complete. A page that is cut off is not counted, so the stream has no end."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - 2 * _LONGEST_PAGE)
    file.seek(start)
    data = file.read()
    at = data.rfind(b"OggS")
    while at >= 0:
        page = _page_at(file, start + at)
        if page is not None and page.next <= size:
            return page
        at = data.rfind(b"OggS", 0, at)
    return None
