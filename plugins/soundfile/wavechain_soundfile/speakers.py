"""Speakers: Vorbis and Opus keep the channels of surround sound in an order of their own; blocks are in WAV order.

libsndfile hands channels on as the file has them. Without sorting, a voice from the centre comes out at the right, and
the encoder takes the last channel for the subwoofer and cuts off its highs.
Source  Vorbis I specification 4.3.9; RFC 7845 5.1.1.2 (mapping family 1 is the order of Vorbis, 255 says nothing)
"""

from __future__ import annotations

from typing import BinaryIO

# For each channel of the file, its number in WAV order (front left, right, centre, LFE, back, side).
_VORBIS = {
    3: [0, 2, 1],
    5: [0, 2, 1, 3, 4],
    6: [0, 2, 1, 4, 5, 3],
    7: [0, 2, 1, 5, 6, 4, 3],
    8: [0, 2, 1, 6, 7, 4, 5, 3],
}


def order(subtype: str, channels: int, raw: BinaryIO | None = None) -> list[int] | None:
    """The WAV number of each channel of a file; None where they are in WAV order, or in none that is known.

    raw  an Opus file to be read, whose header says which order it has
    """
    if subtype == "OPUS" and raw is not None and _mapping_family(raw) != 1:
        return None
    return _VORBIS.get(channels) if subtype in ("VORBIS", "OPUS") else None


def _mapping_family(raw: BinaryIO) -> int:
    raw.seek(0)
    head = raw.read(4096)
    at = head.find(b"OpusHead")
    return head[at + 18] if 0 <= at < len(head) - 18 else 0
