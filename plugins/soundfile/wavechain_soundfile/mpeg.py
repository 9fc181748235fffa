"""MPEG audio frames and the Xing tag: how long an MP3 file says it is.

An MP3 file is a row of frames without a table of contents. Encoders therefore make the first frame a silent one and
hide a tag in it: how many frames and bytes follow, where each percent of the time lies, and how many samples the
encoder added at both ends. Decoders that know the tag give back exactly the samples that went in.

Conventions
    delay    samples that the encoder put in front: 576 for LAME. A decoder adds 529 of its own and knows about them.
    padding  samples behind the last one, up to the end of the last frame
    Layer III only; for the others `FrameHeader.parse` answers None.
Source  ISO/IEC 11172-3 2.4.1.3 (frame header); the Xing VBR header and LAME's extension of it as those encoders write
        them, 4-byte numbers most significant byte first
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

# Bits 19-20 of a header: 3 is MPEG 1, 2 is MPEG 2, 0 is MPEG 2.5.
_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_MPEG1_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)

SAMPLE_RATES = tuple(sorted(rate for rates in _SAMPLE_RATES.values() for rate in rates))
LAME_DELAY = 576
_TAG_BYTES = 120  # name, flags, frames, bytes, 100 of contents, quality
_LAME_BYTES = 36
_SEARCH_BYTES = 65_536  # how far into the file the first frame may be
_FORGOTTEN_BYTES = 4096  # encoders that forget a frame or two in their count; the largest has 1441 bytes


def bit_rates(sample_rate: int) -> tuple[int, ...]:
    """The constant bit rates in kbit/s that Layer III has at *sample_rate*. MPEG 2.5 stops at 64, as LAME does."""
    if sample_rate >= 32_000:
        return _MPEG1_KBPS
    return _MPEG2_KBPS if sample_rate >= 16_000 else _MPEG2_KBPS[:8]


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """The four bytes that every frame starts with."""

    word: int
    sample_rate: int
    kbps: int
    channels: int
    samples: int

    @classmethod
    def parse(cls, data: bytes | memoryview) -> FrameHeader | None:
        """The header in the first four bytes of *data*, None when there is none."""
        word = int.from_bytes(data[:4], "big")
        version, rate, kbps = word >> 19 & 3, word >> 10 & 3, word >> 12 & 15
        if len(data) < 4 or word >> 21 != 0x7FF or version == 1 or rate == 3 or kbps in (0, 15):
            return None
        if word >> 17 & 3 != 1:
            return None
        return cls(
            word=word,
            sample_rate=_SAMPLE_RATES[version][rate],
            kbps=(_MPEG1_KBPS if version == 3 else _MPEG2_KBPS)[kbps - 1],
            channels=1 if word >> 6 & 3 == 3 else 2,
            samples=1152 if version == 3 else 576,
        )

    @property
    def size(self) -> int:
        """Bytes of the whole frame."""
        return self.samples // 8 * self.kbps * 1000 // self.sample_rate + (self.word >> 9 & 1)

    @property
    def side_info(self) -> int:
        """Bytes between the header and the coded spectrum: a Xing tag stands behind them."""
        if self.samples == 1152:
            return 17 if self.channels == 1 else 32
        return 9 if self.channels == 1 else 17


@dataclass(frozen=True, slots=True)
class XingTag:
    """What an MP3 file says about itself.

    start    byte where the frame with the tag starts
    frames   how many frames follow it
    size     bytes from `start` to the end of the last frame, None when it is not said
    gapless  whether delay and padding are said too, so that the length is exact
    """

    start: int
    header: FrameHeader
    frames: int
    size: int | None
    gapless: bool


def read_tag(file: BinaryIO) -> XingTag | None:
    """The Xing tag of an open file; None when there is none, or none that counts the frames."""
    start = _after_id3(file)
    file.seek(start)
    data = file.read(_SEARCH_BYTES)
    offset, header = 0, FrameHeader.parse(data)
    while header is None:
        offset = data.find(b"\xff", offset + 1)
        if offset < 0:
            return None
        header = FrameHeader.parse(data[offset : offset + 4])
    tag = data[offset + 4 + header.side_info :][: _TAG_BYTES + _LAME_BYTES]
    if tag[:4] not in (b"Xing", b"Info") or len(tag) < 16:
        return None
    flags = int.from_bytes(tag[4:8], "big")
    if not flags & 1:
        return None
    frames = int.from_bytes(tag[8:12], "big")
    size = int.from_bytes(tag[12:16], "big") if flags & 2 else None
    lame = 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    gapless = tag[lame : lame + 4] in (b"LAME", b"Lavf", b"Lavc")
    return XingTag(start + offset, header, frames, size, gapless)


def joined_after(file: BinaryIO, tag: XingTag) -> bool:
    """Whether another MP3 stream follows where the one with *tag* ends: files that were joined end to end."""
    if tag.size is None:
        return False
    start = _after_id3(file, tag.start + tag.size)
    file.seek(start)
    after = FrameHeader.parse(file.read(4))
    follows = file.seek(0, os.SEEK_END) - start
    return after is not None and follows > _FORGOTTEN_BYTES


def info_frame(
    first: bytes, *, vbr_quality: int | None, frames: int, size: int, contents: Sequence[int], samples: int
) -> bytes:
    """The frame with the tag for a stream of LAME.

    first        the first bytes of its first frame: the tag's frame must look like it
    vbr_quality  0 (best) to 9, or None for a constant bit rate
    frames       how many frames there are, without this one
    size         their bytes, without this one
    contents     where in the file, in 256ths of it, each of 100 percents of the time starts
    samples      how many went in
    """
    header = FrameHeader.parse(first)
    if header is None:
        raise ValueError("no MP3 frame to describe")
    header = tag_header(header)
    frame = bytearray(header.size)
    at = 4 + header.side_info
    frame[:4] = header.word.to_bytes(4, "big")
    frame[at : at + 4] = b"Info" if vbr_quality is None else b"Xing"
    frame[at + 4 : at + 16] = b"".join(value.to_bytes(4, "big") for value in (0x0F, frames, size + header.size))
    frame[at + 16 : at + 116] = bytes(contents)
    frame[at + 116 : at + 120] = (0 if vbr_quality is None else 100 - 10 * vbr_quality).to_bytes(4, "big")
    lame = at + _TAG_BYTES
    padding = frames * header.samples - LAME_DELAY - samples
    method = 1 if vbr_quality is None else 4
    source_rate = 0 if header.sample_rate <= 32_000 else 1 if header.sample_rate == 44_100 else 2
    mode = 0 if header.channels == 1 else 3
    frame[lame : lame + 9] = b"LAME3.100"
    frame[lame + 9] = method
    frame[lame + 21 : lame + 24] = (LAME_DELAY << 12 | padding).to_bytes(3, "big")
    frame[lame + 24] = source_rate << 6 | mode << 2
    frame[lame + 28 : lame + 32] = (size + header.size).to_bytes(4, "big")
    frame[lame + 34 : lame + 36] = _crc16(frame[: lame + 34]).to_bytes(2, "big")
    return bytes(frame)


def tag_header(header: FrameHeader) -> FrameHeader:
    """The header of the tag's frame for a stream whose frames have *header*: the smallest frame that holds a tag.

    It need not have the stream's own bit rate, so there is a tag at 8 kbit/s too, where LAME leaves it out.
    """
    needed = 4 + header.side_info + _TAG_BYTES + _LAME_BYTES
    for index in range(1, 15):
        word = header.word & ~(0xF << 12 | 1 << 9) | index << 12 | 1 << 16  # no padding, no checksum
        found = FrameHeader.parse(word.to_bytes(4, "big"))
        if found is not None and found.size >= needed:
            return found
    raise ValueError(f"no frame at {header.sample_rate} Hz holds a tag")


def _after_id3(file: BinaryIO, start: int = 0) -> int:
    """Where the ID3v2 tags from *start* on end."""
    end = file.seek(0, os.SEEK_END)
    while start < end:
        file.seek(start)
        head = file.read(10)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        start += 10 + size + (10 if head[5] & 0x10 else 0)
    return start


def _crc16(data: bytes | bytearray) -> int:
    """CRC-16 with polynomial x^16 + x^15 + x^2 + 1, least significant bit first."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
