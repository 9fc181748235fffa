"""Vorbis comments: FLAC, Ogg Vorbis, Opus and Ogg FLAC. Names are ASCII without "="; pictures are FLAC blocks.

Source  Xiph, Ogg Vorbis I format specification: comment field and header; RFC 9639 8.6 and 8.8 (FLAC)
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any, BinaryIO

import mutagen.flac
import mutagen.oggflac
import mutagen.oggopus
import mutagen.oggvorbis

from wavechain.audio import Picture
from wavechain.tags.collect import Tags

_FILES: dict[str, Any] = {
    "flac": mutagen.flac.FLAC,
    "vorbis": mutagen.oggvorbis.OggVorbis,
    "opus": mutagen.oggopus.OggOpus,
    "oggflac": mutagen.oggflac.OggFLAC,
}
_FlacPicture: Any = mutagen.flac.Picture  # mutagen declares hardly any types
_PICTURE = "metadata_block_picture"
# A FLAC block counts its bytes in 24 bits.
_MAX_BLOCK = (1 << 24) - 1


def read(file: BinaryIO, kind: str, found: Tags) -> None:
    """Add what the file holds to *found*."""
    file.seek(0)
    opened = _FILES[kind](file)
    for name, value in opened.tags or ():
        if name.lower() == _PICTURE:
            _add(found, _decoded(value))
        else:
            found.add(name, value)
    if kind == "flac":
        for picture in opened.pictures:
            _add(found, picture)


def write(path: Path, kind: str, wanted: dict[str, tuple[str, ...]], pictures: list[Picture]) -> list[str]:
    """Replace comments and pictures; the names that cannot be written."""
    lost = []
    file = _FILES[kind](path)
    if file.tags is None:
        file.add_tags()
    file.tags.clear()
    for name, values in wanted.items():
        if name.isascii() and "=" not in name and all(" " <= letter <= "}" for letter in name):
            file.tags[name.upper()] = list(values)
        else:
            lost.append(name)
    blocks = [_block(picture) for picture in pictures]
    kept = [block for block in blocks if len(block.write()) <= _MAX_BLOCK]
    lost += ["picture"] * (len(kept) < len(blocks))
    if kind == "flac":
        file.clear_pictures()
        for block in kept:
            file.add_picture(block)
    elif kept:
        file.tags[_PICTURE.upper()] = [base64.b64encode(block.write()).decode("ascii") for block in kept]
    file.save()
    return lost


def _decoded(value: str) -> Any:
    try:
        return _FlacPicture(base64.b64decode(value))
    except (binascii.Error, mutagen.MutagenError):
        return None


def _add(found: Tags, picture: Any) -> None:
    if picture is not None and picture.mime != "-->":
        found.add_picture(picture.data, picture.mime, picture.type, picture.desc)


def _block(picture: Picture) -> Any:
    block: Any = _FlacPicture()
    block.data, block.mime, block.type, block.desc = picture.data, picture.mime, picture.type, picture.description
    return block
