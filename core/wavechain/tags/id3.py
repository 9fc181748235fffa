"""ID3v2.4: MP3, and a chunk of WAV and AIFF. WAV is read from its INFO chunk too, where the ID3 chunk is silent.

Names that have no frame of their own are TXXX frames. Source: ID3 tag version 2.4.0, native frames; the descriptions of
MusicBrainz values as Picard writes them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, BinaryIO

import mutagen.aiff
import mutagen.id3
import mutagen.wave

from wavechain.audio import Picture
from wavechain.tags.collect import Tags
from wavechain.tags.sniff import chunks

_id3: Any = mutagen.id3  # mutagen declares hardly any types
_CONTAINERS: dict[str, Any] = {"wav": mutagen.wave.WAVE, "aiff": mutagen.aiff.AIFF}

_TEXT = {
    "album": "TALB",
    "albumartist": "TPE2",
    "albumartistsort": "TSO2",
    "albumsort": "TSOA",
    "artist": "TPE1",
    "artistsort": "TSOP",
    "bpm": "TBPM",
    "compilation": "TCMP",
    "composer": "TCOM",
    "composersort": "TSOC",
    "conductor": "TPE3",
    "copyright": "TCOP",
    "date": "TDRC",
    "discsubtitle": "TSST",
    "encodedby": "TENC",
    "genre": "TCON",
    "grouping": "TIT1",
    "initialkey": "TKEY",
    "isrc": "TSRC",
    "label": "TPUB",
    "language": "TLAN",
    "lyricist": "TEXT",
    "media": "TMED",
    "mood": "TMOO",
    "originalalbum": "TOAL",
    "originalartist": "TOPE",
    "originaldate": "TDOR",
    "originalfilename": "TOFN",
    "releasedate": "TDRL",
    "remixer": "TPE4",
    "subtitle": "TIT3",
    "title": "TIT2",
    "titlesort": "TSOT",
}
_NAMES = {frame: name for name, frame in _TEXT.items()} | {"TRCK": "tracknumber", "TPOS": "discnumber"}
# Frames about the file that was read: its length, its encoder's settings, when it was tagged.
_TECHNICAL = ("TDEN", "TDLY", "TDTG", "TFLT", "TLEN", "TSIZ", "TSSE")
_NUMBERED = {"tracknumber": ("TRCK", "tracktotal"), "discnumber": ("TPOS", "disctotal")}
_TIMES = ("date", "originaldate", "releasedate")
PICARD = {
    "acoustid_id": "Acoustid Id",
    "acoustid_fingerprint": "Acoustid Fingerprint",
    "musicbrainz_albumid": "MusicBrainz Album Id",
    "musicbrainz_albumartistid": "MusicBrainz Album Artist Id",
    "musicbrainz_artistid": "MusicBrainz Artist Id",
    "musicbrainz_releasegroupid": "MusicBrainz Release Group Id",
    "musicbrainz_releasetrackid": "MusicBrainz Release Track Id",
    "musicbrainz_workid": "MusicBrainz Work Id",
}
_FROM_PICARD = {description.lower(): name for name, description in PICARD.items()}
_MUSICBRAINZ = "http://musicbrainz.org"
_INFO = {
    b"IART": "artist",
    b"ICMT": "comment",
    b"ICOP": "copyright",
    b"ICRD": "date",
    b"IGNR": "genre",
    b"INAM": "title",
    b"IPRD": "album",
    b"IPRT": "tracknumber",
    b"ITRK": "tracknumber",
}
_UTF8 = 3


def read(file: BinaryIO, kind: str, found: Tags) -> None:
    """Add what the file holds to *found*."""
    file.seek(0)
    try:
        tags: Any = _id3.ID3(file) if kind == "mp3" else _CONTAINERS[kind](file).tags
    except mutagen.id3.ID3NoHeaderError:
        tags = None
    for frame in tags.values() if tags is not None else ():
        _read_frame(frame, found)
    if kind == "wav":
        _read_info(file, found)


def write(path: Path, kind: str, wanted: dict[str, tuple[str, ...]], pictures: list[Picture]) -> list[str]:
    """Replace all frames; nothing is lost."""
    file: Any = None
    if kind == "mp3":
        tags: Any = _id3.ID3()
    else:
        file = _CONTAINERS[kind](path)
        if file.tags is None:
            file.add_tags()
        tags = file.tags
        tags.clear()
    for frame in _frames(wanted):
        tags.add(frame)
    descriptions: set[str] = set()
    for picture in pictures:
        tags.add(_apic(picture, descriptions))
    if file is not None:
        file.save()
    else:
        tags.save(path, v1=0, v2_version=4)
    return []


def _read_frame(frame: Any, found: Tags) -> None:
    kind = frame.FrameID
    if kind in _TECHNICAL:
        return
    if kind == "TXXX":
        _add_all(found, _FROM_PICARD.get(frame.desc.lower(), frame.desc), frame.text)
    elif kind == "TCON":
        _add_all(found, "genre", frame.genres)
    elif kind in ("TIPL", "TMCL"):
        for role, name in frame.people:
            found.add("performer", f"{name} ({role})" if role else name)
    elif kind.startswith("T"):
        _add_all(found, _NAMES.get(kind, kind), frame.text)
    elif kind == "COMM":
        description = frame.desc
        own = description.lower() if description.lower().startswith("itun") else f"comment:{description}"
        _add_all(found, own if description else "comment", frame.text)
    elif kind == "USLT":
        found.add("lyrics", frame.text)
    elif kind in ("WOAR", "WXXX"):
        found.add("website", frame.url)
    elif kind == "UFID" and frame.owner == _MUSICBRAINZ:
        found.add("musicbrainz_trackid", frame.data.decode("ascii", "replace"))
    elif kind == "APIC" and frame.mime != "-->":
        found.add_picture(frame.data, frame.mime, int(frame.type), frame.desc)


def _add_all(found: Tags, name: str, values: Any) -> None:
    for value in values:
        found.add(name, str(value).replace(" ", "T") if name in _TIMES else str(value))


def _read_info(file: BinaryIO, found: Tags) -> None:
    known = found.tags()
    for name, start, size in chunks(file):
        if name != b"LIST":
            continue
        file.seek(start)
        data = file.read(size)
        if data[:4] != b"INFO":
            continue
        at = 4
        while at + 8 <= len(data):
            length = int.from_bytes(data[at + 4 : at + 8], "little")
            tag = _INFO.get(data[at : at + 4])
            if tag is not None and tag not in known:
                found.add(tag, _text(data[at + 8 : at + 8 + length]))
            at += 8 + length + length % 2


def _text(data: bytes) -> str:
    data = data.rstrip(b"\0")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _frames(wanted: dict[str, tuple[str, ...]]) -> list[Any]:
    frames: list[Any] = []
    rest = dict(wanted)
    for name, (kind, total) in _NUMBERED.items():
        if name in rest:
            numbers, totals = rest.pop(name), rest.pop(total, ())
            joined = f"{numbers[0]}/{totals[0]}" if totals else numbers[0]
            frames.append(_make(kind, text=[joined, *numbers[1:]]))
    for name, values in rest.items():
        frames += _frames_of(name, list(values))
    return frames


def _frames_of(name: str, values: list[str]) -> list[Any]:
    if name in _TIMES and not all(_is_time(value) for value in values):
        return [_make("TXXX", desc=name.upper(), text=values)]  # "circa 1970" would be emptied as a TDRC
    if name in _TEXT:
        return [_make(_TEXT[name], text=values)]
    if re.fullmatch(r"t[a-z0-9]{3}", name) and hasattr(_id3, name.upper()):
        return [_make(name.upper(), text=values)]
    if name == "comment" or name.startswith("comment:"):
        return [_make("COMM", lang="eng", desc=name.partition(":")[2], text=values)]
    if name == "lyrics":
        return [_make("USLT", lang="eng", desc="", text="\n\n".join(values))]
    if name == "performer":
        return [_make("TMCL", people=[_role_and_name(value) for value in values])]
    if name == "website":
        return [_id3.WOAR(url=value) for value in values]
    if name == "musicbrainz_trackid":
        return [_id3.UFID(owner=_MUSICBRAINZ, data=values[0].encode("ascii", "replace"))]
    return [_make("TXXX", desc=PICARD.get(name, name.upper()), text=values)]


def _role_and_name(performer: str) -> list[str]:
    match = re.fullmatch(r"(.+) \((.+)\)", performer)
    return [match[2], match[1]] if match else ["", performer]


def _is_time(value: str) -> bool:
    return re.fullmatch(r"\d{4}(-\d\d(-\d\d(T\d\d(:\d\d(:\d\d)?)?)?)?)?", value) is not None


def _apic(picture: Picture, descriptions: set[str]) -> Any:
    """A picture frame. Two of one description would be one frame."""
    description, number = picture.description, 1
    while description in descriptions:
        number += 1
        description = f"{picture.description} ({number})".strip()
    descriptions.add(description)
    return _make("APIC", mime=picture.mime, type=picture.type, desc=description, data=picture.data)


def _make(kind: str, **fields: Any) -> Any:
    return getattr(_id3, kind)(encoding=_UTF8, **fields)
