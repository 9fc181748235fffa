"""What travels beside the sound of a file that FFmpeg reads: tags, cover, and the facts of its format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wavechain.audio import Media
from wavechain.tags import read as read_tags

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_CONTAINERS = {
    "mov": "MP4",
    "matroska": "Matroska",
    "asf": "ASF",
    "aac": "ADTS",
    "avi": "AVI",
    "flv": "FLV",
    "mpeg": "MPEG",
    "mpegts": "MPEG-TS",
    "ape": "APE",
    "wv": "WavPack",
}

# FFmpeg's names of tags, where they differ from those of Vorbis comments.
_TAGS = {
    **{name: name for name in ("title", "artist", "album", "composer", "genre", "date", "comment", "copyright")},
    **{name: name for name in ("lyrics", "performer", "publisher", "isrc", "bpm", "grouping")},
    "album_artist": "albumartist",
    "track": "tracknumber",
    "disc": "discnumber",
}

_LONGEST_TAG = 1 << 20

# Bits of integer sample formats. 24 travel in 32: the lossless codecs of this world hold 24 at most, plain PCM aside.
_BITS = {"u8": 8, "s16": 16, "s32": 24}


def media_of(path: Path, container: InputContainer, stream: AudioStream, sample_format: str) -> Media:
    """*sample_format* is that of decoded frames: ``s16``, ``flt`` …"""
    found, pictures = read_tags(path)
    codec = stream.codec_context.codec
    lossless = codec.lossless and (not codec.lossy or codec.name == "wavpack")
    bits = 32 if codec.name.startswith("pcm_s32") else _BITS.get(sample_format)
    return Media(
        tags=found or _own_tags(container, stream),
        pictures=pictures,
        container=_CONTAINERS.get(container.format.name.split(",")[0], container.format.name.upper()),
        codec=codec.canonical_name.upper(),
        bits=bits if lossless else None,
        lossy=not lossless,
        float_samples=lossless and sample_format in ("flt", "dbl"),
    )


def _own_tags(container: InputContainer, stream: AudioStream) -> dict[str, tuple[str, ...]]:
    """Tags as FFmpeg reads them, for containers that `wavechain.tags` does not know; technical ones are left out."""
    raw = {**stream.metadata, **container.metadata}
    named = {_TAGS.get(key.lower()): value.strip() for key, value in raw.items() if len(value) <= _LONGEST_TAG}
    return {name: (value,) for name, value in named.items() if name and value}
