"""Tags and cover art, read from one format and written to another.

`read` and `write` look at the content of a file, not at its name. In between, names are those of Vorbis comments in
lower case (``title``, ``albumartist``, ``tracknumber``, ``tracktotal``, ``date`` …), each with one or more values;
names that a format has no field for go into its free-form fields and come back from there.

    FLAC, Ogg Vorbis, Opus, Ogg FLAC   Vorbis comments, pictures as FLAC picture blocks
    MP3, WAV, AIFF                     ID3v2.4 (WAV: read from INFO too)
    M4A, MP4                           iTunes atoms

Tags come from strangers: whatever is damaged or larger than any honest tag is left out, and the sound is read all the
same. Facts about the encoding that made the source (encoder, gapless counts, channel mask) are not tags of the sound:
they are not read. Loudness that was measured before processing is dropped on the way out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from wavechain.tags.collect import MAX_PICTURE_BYTES, Tags, is_stale_loudness
from wavechain.tags.sniff import header_bytes, kind_of

if TYPE_CHECKING:
    from wavechain.audio import Media, Picture

__all__ = ["MAX_PICTURE_BYTES", "is_stale_loudness", "read", "write"]

_MAX_HEADER_BYTES = 64 << 20


def read(path: str | os.PathLike[str]) -> tuple[dict[str, tuple[str, ...]], tuple[Picture, ...]]:
    """Tags and pictures of a sound file: as many as can be read, none when there are none. Raises nothing.

    Limits  16 MiB a picture and 32 in all, 4 MiB of text, 1000 values
    """
    found = Tags()
    try:
        with Path(path).open("rb") as file:
            kind = kind_of(file)
            if header_bytes(file, kind) <= _MAX_HEADER_BYTES:
                _read_kind(file, kind, found)
    except Exception:  # noqa: BLE001 - parsers of hostile bytes fail in every way; the sound must not
        pass
    return found.tags(), tuple(found.pictures)


def write(path: str | os.PathLike[str], container: str, media: Media, *, drop_loudness: bool = True) -> list[str]:
    """Put the tags and pictures of *media* into a finished sound file, instead of those that it has.

    container      the format's name, for a file whose content does not tell it (MP3 has no signature)
    drop_loudness  leave out ReplayGain, R128 and Sound Check values: they are about the sound before

    Returns  the names that the format cannot hold, ``picture`` among them; doing it twice changes nothing
    Raises   OSError when it cannot be written; mutagen.MutagenError for a file that is not what it seems
    """
    wanted = {name: tuple(values) for name, values in media.tags.items() if values}
    if drop_loudness:
        wanted = {name: values for name, values in wanted.items() if not is_stale_loudness(name)}
    pictures = sorted(media.pictures, key=lambda picture: picture.type != 3)  # players take the first for the cover
    with Path(path).open("rb") as file:
        kind = kind_of(file) or ("mp3" if container == "MP3" else "")
    if not kind:
        return sorted(wanted) + ["picture"] * bool(pictures)
    import mutagen

    try:
        return sorted(set(_write_kind(Path(path), kind, wanted, pictures)))
    except mutagen.MutagenError as error:
        for cause in (error.__cause__, error.__context__, *error.args):
            if isinstance(cause, OSError):
                raise cause from None
        raise


def _read_kind(file: BinaryIO, kind: str, found: Tags) -> None:
    if kind in ("flac", "vorbis", "opus", "oggflac"):
        from wavechain.tags import vorbis

        vorbis.read(file, kind, found)
    elif kind in ("mp3", "wav", "aiff"):
        from wavechain.tags import id3

        id3.read(file, kind, found)
    elif kind == "mp4":
        from wavechain.tags import mp4

        mp4.read(file, found)


def _write_kind(path: Path, kind: str, wanted: dict[str, tuple[str, ...]], pictures: list[Picture]) -> list[str]:
    if kind in ("flac", "vorbis", "opus", "oggflac"):
        from wavechain.tags import vorbis

        return vorbis.write(path, kind, wanted, pictures)
    if kind == "mp4":
        from wavechain.tags import mp4

        return mp4.write(path, wanted, pictures)
    from wavechain.tags import id3

    return id3.write(path, kind, wanted, pictures)
