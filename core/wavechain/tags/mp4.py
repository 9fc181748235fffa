"""iTunes atoms: M4A and MP4. Names without an atom of their own are free-form atoms; pictures are JPEG, PNG or BMP.

Source  the atom names as iTunes writes them; free-form names as Picard writes them
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import mutagen.mp4

from wavechain.audio import Picture
from wavechain.tags.collect import Tags
from wavechain.tags.id3 import PICARD

_mp4: Any = mutagen.mp4  # mutagen declares hardly any types

_TEXT = {
    "album": "\xa9alb",
    "albumartist": "aART",
    "albumartistsort": "soaa",
    "albumsort": "soal",
    "artist": "\xa9ART",
    "artistsort": "soar",
    "comment": "\xa9cmt",
    "composer": "\xa9wrt",
    "composersort": "soco",
    "copyright": "cprt",
    "date": "\xa9day",
    "description": "desc",
    "genre": "\xa9gen",
    "grouping": "\xa9grp",
    "lyrics": "\xa9lyr",
    "title": "\xa9nam",
    "titlesort": "sonm",
}
_NAMES = {atom: name for name, atom in _TEXT.items()}
_NUMBERED = {"tracknumber": ("trkn", "tracktotal"), "discnumber": ("disk", "disctotal")}
# ID3 has a frame of its own for this one.
_PICARD = PICARD | {"musicbrainz_trackid": "MusicBrainz Track Id"}
_FROM_PICARD = {description.lower(): name for name, description in _PICARD.items()}
_FREE = "----:com.apple.iTunes:"
_COVERS = {
    "image/jpeg": _mp4.MP4Cover.FORMAT_JPEG,
    "image/png": _mp4.MP4Cover.FORMAT_PNG,
    "image/bmp": 27,
}


def read(file: BinaryIO, found: Tags) -> None:
    """Add what the file holds to *found*."""
    file.seek(0)
    tags: Any = _mp4.MP4(file).tags
    for atom, values in (tags or {}).items():
        if atom in _NAMES:
            for value in values:
                found.add(_NAMES[atom], value)
        elif atom == "covr":
            for cover in values:
                found.add_picture(bytes(cover), "", 3)
        elif atom == "tmpo":
            found.add("bpm", str(values[0]))
        elif atom == "cpil":
            found.add("compilation", "1" if values else "0")
        elif atom.startswith("----:"):
            name = atom.split(":", 2)[-1].lower()
            for value in values:
                found.add(_FROM_PICARD.get(name, name), bytes(value).decode("utf-8", "replace"))
        for name, (numbered, total) in _NUMBERED.items():
            if atom == numbered:
                found.add(name, str(values[0][0] or ""))
                found.add(total, str(values[0][1] or ""))


def write(path: Path, wanted: dict[str, tuple[str, ...]], pictures: list[Picture]) -> list[str]:
    """Replace all atoms; ``picture`` when one is of another type than covers can be."""
    file: Any = _mp4.MP4(path)
    if file.tags is None:
        file.add_tags()
    file.tags.clear()
    rest = dict(wanted)
    for name, (atom, total) in _NUMBERED.items():
        pair = [*rest.get(name, ("0",)), *rest.get(total, ("0",))]
        if len(pair) == 2 and pair != ["0", "0"] and all(_is_short(value) for value in pair):
            file.tags[atom] = [(int(pair[0]), int(pair[1]))]
            rest.pop(name, None)
            rest.pop(total, None)
    for name, values in rest.items():
        if name in _TEXT:
            file.tags[_TEXT[name]] = list(values)
        elif name == "bpm" and len(values) == 1 and _is_short(values[0]):
            file.tags["tmpo"] = [int(values[0])]
        elif name == "compilation" and values in (("0",), ("1",)):
            file.tags["cpil"] = values == ("1",)
        else:
            file.tags[_FREE + _PICARD.get(name, name.upper())] = [
                _mp4.MP4FreeForm(value.encode("utf-8")) for value in values
            ]
    covers = [_mp4.MP4Cover(picture.data, _COVERS[picture.mime]) for picture in pictures if picture.mime in _COVERS]
    if covers:
        file.tags["covr"] = covers
    file.save()
    return ["picture"] * (len(covers) < len(pictures))


def _is_short(value: str) -> bool:
    return value.isascii() and value.isdigit() and int(value) < 1 << 16
