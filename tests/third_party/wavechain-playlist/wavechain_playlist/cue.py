"""Cue sheets: files, and where in them the tracks of a disc begin.

PERFORMER "Someone"
FILE "album.flac" WAVE
  TRACK 01 AUDIO
    TITLE "First"
    INDEX 01 00:00:00
  TRACK 02 AUDIO
    INDEX 00 03:30:50
    INDEX 01 03:33:00

Times are minutes, seconds, and frames of which 75 make a second: 588 samples each at 44.1 kHz. A track begins at its
INDEX 01; what INDEX 00 marks, the gap before it, is heard as the end of the track before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from wavechain import Loader, Source, param
from wavechain.errors import DamagedError, ParameterError, UnreadableError
from wavechain_playlist.joining import Joined, Part
from wavechain_playlist.lists import MAX_FILES, member, read_lines

WORDS = re.compile(r'"([^"]*)"|(\S+)')
TIME = re.compile(r"(\d+):([0-5]\d):([0-7]\d)")
TAGS = {"TITLE": "title", "PERFORMER": "artist"}


@dataclass
class Track:
    """One track of a sheet: where it lies, and what it is called."""

    number: int
    part: Part
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class Sheet:
    """A cue sheet. ``files`` are whole."""

    path: Path
    files: list[Part] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def track(self, number: int) -> Track:
        """Raises ParameterError when there is none of that number."""
        for track in self.tracks:
            if track.number == number:
                return track
        numbers = [track.number for track in self.tracks]
        has = f"tracks {numbers[0]} to {numbers[-1]}" if numbers else "no tracks"
        raise ParameterError(f"{self.path} has {has}, none of number {number}.", hint="track=1.")


class CueLoader(Loader):
    """Reads a cue sheet: its files one after the other, or one of its tracks."""

    track: int | None = param(None, ge=1, le=99, help="Only this track; unset, everything.")

    def open(self, path: Path) -> Source:
        sheet = read_sheet(path)
        if self.track is None:
            tags = {"album": sheet.tags["title"]} if "title" in sheet.tags else {}
            return Joined(sheet.files, "CUE", tags | {key: sheet.tags[key] for key in ("artist",) if key in sheet.tags})
        try:
            track = sheet.track(self.track)
        except ParameterError as error:
            raise DamagedError(error.message, hint=error.hint) from None
        return Joined([track.part], "CUE", track.tags)


def read_sheet(path: Path) -> Sheet:
    """Raises UnreadableError for what is no cue sheet, DamagedError for a sheet with a fault, naming the line."""
    sheet, track = Sheet(path), None
    for number, line in enumerate(read_lines(path), 1):
        words = [quoted or plain for quoted, plain in WORDS.findall(line)]
        place = f"{path}:{number}"
        match [words[0].upper(), *words[1:]] if words else []:
            case ["FILE", name, *_]:
                sheet.files.append(Part(member(path, name, place), place))
                track = None
            case ["TRACK", digits, *_] if sheet.files and digits.isdecimal():
                track = Track(int(digits), replace(sheet.files[-1], place=place), {"tracknumber": (str(int(digits)),)})
                sheet.tracks.append(track)
            case ["INDEX", index, time, *_] if track is not None and index.isdecimal():
                if int(index) == 1:
                    track.part = replace(track.part, start=_seconds(time, place))
            case [("TITLE" | "PERFORMER") as key, text]:
                (sheet.tags if track is None and not sheet.files else track.tags if track else {})[TAGS[key]] = (text,)
    if not sheet.files:
        raise UnreadableError(f"{path}: is not a cue sheet: it names no FILE.", hint="a .cue file.")
    if len(sheet.files) > MAX_FILES:
        raise DamagedError(f"{path}: names {len(sheet.files)} files.", hint=f"at most {MAX_FILES}.")
    _end_tracks(sheet)
    return sheet


def _end_tracks(sheet: Sheet) -> None:
    """Each track ends where the next one of its file begins, and takes over what the sheet says of all."""
    for track, following in _pairs(sheet.tracks):
        if following is not None and following.part.path == track.part.path:
            if following.part.start < track.part.start:
                raise DamagedError(
                    f"{following.part.place}: track {following.number} begins before track {track.number}.",
                    hint="put the INDEX 01 lines in order.",
                )
            track.part = replace(track.part, stop=following.part.start)
        shared = {"album": sheet.tags.get("title"), "artist": sheet.tags.get("artist")}
        track.tags = {key: value for key, value in shared.items() if value} | track.tags


def _pairs(tracks: list[Track]) -> Iterator[tuple[Track, Track | None]]:
    yield from zip(tracks, [*tracks[1:], None], strict=True)


def _seconds(time: str, place: str) -> Fraction:
    found = TIME.fullmatch(time)
    if not found or int(found[3]) > 74:
        raise DamagedError(f"{place}: {time!r} is no time.", hint="minutes:seconds:frames, as 03:33:00.")
    minutes, seconds, frames = map(int, found.groups())
    return Fraction(minutes * 60 * 75 + seconds * 75 + frames, 75)
