"""Stretches of several files as one source: one file open at a time, exact to the frame.

A fault of a file in the list is a `DamagedError`, so that no other loader is asked: it might take a part of the list
for the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from wavechain import Block, Media, Source, Spec, WavechainError, open_source
from wavechain.errors import DamagedError

SKIP_FRAMES = 65_536
LISTS = (".m3u", ".m3u8", ".cue")


@dataclass(frozen=True)
class Part:
    """A file, or a stretch of it, and the place in the list that names it (``side-a.m3u8:3``).

    start, stop  seconds; a stop of None is the end of the file
    """

    path: Path
    place: str
    start: Fraction = Fraction(0)
    stop: Fraction | None = None

    def frames(self, sample_rate: int, length: int | None) -> tuple[int, int | None]:
        """First frame, and one past the last. Raises DamagedError when the file ends before."""
        start = math.floor(self.start * sample_rate)
        stop = length if self.stop is None else math.floor(self.stop * sample_rate)
        if length is not None and (start > length or (stop or 0) > length):
            raise DamagedError(
                f"{self.place}: {float(self.stop or self.start):.2f} s is beyond the end of {self.path.name} "
                f"({length / sample_rate:.2f} s).",
                hint="the file that the list was made for.",
            )
        return start, stop

    def open(self) -> Source:
        """Raises DamagedError naming the place in the list."""
        if self.path.suffix.lower() in LISTS:
            raise DamagedError(f"{self.place}: {self.path.name} is a list itself.", hint="the files that it lists.")
        try:
            return open_source(self.path)
        except WavechainError as error:
            raise DamagedError(f"{self.place}: {error.message}", hint=error.hint) from None


class Joined(Source):
    """Parts one after the other. Looks into each of them first: rates, channels and lengths must fit."""

    def __init__(self, parts: Sequence[Part], container: str, tags: Mapping[str, tuple[str, ...]]) -> None:
        self._parts = list(parts)
        total: int | None = 0
        media: list[Media] = []
        for number, part in enumerate(self._parts):
            with part.open() as source:
                if number == 0:
                    self.spec = source.spec
                elif (source.spec.rate, source.spec.channels) != (self.spec.rate, self.spec.channels):
                    raise DamagedError(
                        f"{part.place}: {part.path.name} is {_named(source.spec)}; "
                        f"the tracks before it are {_named(self.spec)}.",
                        hint=f"wavechain run {part.path.name} {part.path.stem}-fits.wav -s "
                        f"resample:sample_rate={self.spec.sample_rate} -s channels, and list that.",
                    )
                start, stop = part.frames(source.spec.sample_rate, source.spec.length)
                total = None if total is None or stop is None else total + stop - start
                media.append(source.media)
        self.spec = self.spec.with_length(total)
        self.media = _together(media, container, tags)
        self._source: Source | None = None
        self._number = -1
        self._left: int | None = 0

    def read(self, frames: int) -> Block:
        blocks, missing = [self.spec.zeros(0)], frames
        while missing and (self._left != 0 or self._next()):
            assert self._source is not None
            block = self._source.read(missing if self._left is None else min(missing, self._left))
            if not block.shape[-1]:
                self._ended()
                continue
            blocks.append(block)
            missing -= block.shape[-1]
            self._left = None if self._left is None else self._left - block.shape[-1]
        return np.ascontiguousarray(np.concatenate(blocks, axis=-1)) if len(blocks) > 2 else blocks[-1]

    def close(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None

    def _next(self) -> bool:
        """Open the next part and go to its start; False when there is none."""
        self.close()
        self._number += 1
        if self._number >= len(self._parts):
            self._number = len(self._parts)
            return False
        part = self._parts[self._number]
        self._source = part.open()
        start, stop = part.frames(self._source.spec.sample_rate, self._source.spec.length)
        self._left = None if stop is None else stop - start
        while start:
            skipped = self._source.read(min(start, SKIP_FRAMES)).shape[-1]
            if not skipped:
                self._ended()
                break
            start -= skipped
        return True

    def _ended(self) -> None:
        """The file has no more. Raises DamagedError when the list or its header says that it has."""
        if self._left:
            part = self._parts[self._number]
            raise DamagedError(
                f"{part.place}: {part.path.name} ends {self._left} frames too early.",
                hint="copy the file again from its origin.",
            )
        self._left = 0


def _named(spec: Spec) -> str:
    return f"{spec.sample_rate} Hz, {spec.channels} channel{'s' if spec.channels > 1 else ''}"


def _together(media: Sequence[Media], container: str, tags: Mapping[str, tuple[str, ...]]) -> Media:
    """What holds for the whole: the best depth of all, the cover of the first."""
    depths = {each.bits for each in media}
    return Media(
        tags=tags,
        pictures=media[0].pictures,
        container=container,
        codec=" ".join(dict.fromkeys(each.codec for each in media if each.codec)),
        bits=None if None in depths else max(bits for bits in depths if bits is not None),
        lossy=any(each.lossy for each in media),
        float_samples=any(each.float_samples for each in media),
    )
