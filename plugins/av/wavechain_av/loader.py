"""Reads the sound of any file that FFmpeg reads, packet by packet, in constant memory.

Conventions
    Rate, channels and sample format are those of the first decoded frame, whatever headers say; a later change is an
    error. Of several audio streams the default one is taken; video is not even read.
    What an encoder put before and after the sound is cut: the priming that the container declares (by FFmpeg), and
    what lies behind the end.
    MP4 and MOV count in frames: there the length is known before decoding, and a hole in the file's clock is a hole in
    the sound. Elsewhere clocks tick in milliseconds or headers guess; only the end of the file can tell its length.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from av.error import FFmpegError

from wavechain.audio import Media
from wavechain.errors import DamagedError, EmptyAudioError, TooLargeError, UnreadableError
from wavechain.output import MAX_CHANNELS, MAX_SAMPLE_RATE
from wavechain.processors import Pending
from wavechain.stages import Loader, Source
from wavechain.stream import Block, Spec
from wavechain_av.media import media_of
from wavechain_av.opening import announced_seconds, counts_frames, end_of, opened, sound_of
from wavechain_av.samples import to_block

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.container import InputContainer

# A clock that strays less than this is a rounded clock, not a hole: mending it would click.
JITTER_SECONDS = Fraction(1, 20)
HOLE_SECONDS_MAX = 60

# A header's duration may count what an encoder put around the sound. What is missing beyond this was cut off.
CUT_OFF_SECONDS, CUT_OFF_SHARE = 0.25, 0.01


class AvLoader(Loader):
    cost: ClassVar[float] = 6.0

    def open(self, path: Path) -> Source:
        return _AvSource(path)


class _AvSource(Source):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0  # frames given out so far
        end = end_of(path)  # the index of a long file takes memory: one at a time
        with contextlib.ExitStack() as closing:
            self._container = closing.enter_context(opened(path))
            self._stream = sound_of(self._container, path)
            frames = self._decoded()
            first = next(frames, None)
            if first is None:
                raise EmptyAudioError(f"{path}: its audio stream is empty.", hint="another file.")
            rate, channels = first.sample_rate, first.layout.nb_channels
            self._refuse_beyond_limits(rate, channels)
            self._sample_format = first.format.packed.name
            self._clock = _clock(self._container, first)
            length = None if self._clock is None or end is None else max(0, self._clock.frame(end)) or None
            self.spec = Spec.audio(rate, channels, length)
            self._closing = closing.pop_all()
        self._pending = Pending(self.spec)
        self._blocks = self._placed(itertools.chain([first], frames))

    @cached_property
    def media(self) -> Media:  # type: ignore[override]  # read when asked for: a second pass does not ask
        return media_of(self._path, self._container, self._stream, self._sample_format)

    def read(self, frames: int) -> Block:
        while self._pending.steps < frames and (block := next(self._blocks, None)) is not None:
            self._pending.push(block)
        return np.ascontiguousarray(self._pending.take(frames))

    def close(self) -> None:
        self._closing.close()

    def _decoded(self) -> Iterator[AudioFrame]:
        try:
            for packet in self._container.demux(self._stream):
                for frame in packet.decode():
                    if packet.is_corrupt or frame.is_corrupt:
                        raise self._damaged("marked as corrupt")
                    if frame.samples:
                        yield frame
        except (FFmpegError, OSError) as error:
            raise self._damaged((error.strerror or "no reason given").lower()) from None

    def _placed(self, frames: Iterator[AudioFrame]) -> Iterator[Block]:
        """Decoded frames as blocks, each where the file's clock says, nothing behind the end."""
        rate, length = self.spec.sample_rate, self.spec.length
        jitter = int(JITTER_SECONDS * rate)
        for frame in frames:
            self._refuse_change(frame)
            block = to_block(frame)
            stray = 0 if self._clock is None or frame.pts is None else self._clock.frame(frame.pts) - self._position
            if stray > HOLE_SECONDS_MAX * rate:
                raise self._damaged(f"its clock jumps by {stray / rate:.0f} s")
            if stray > jitter:
                yield from self._silence(stray)
            elif stray < -jitter:
                block = block[:, -stray:]
            if length is not None:
                block = block[:, : length - self._position]
            self._position += block.shape[-1]
            yield block
        if length is not None and 0 < length - self._position <= jitter:
            yield from self._silence(length - self._position)
        if length is None:
            self._refuse_cut_off()

    def _silence(self, frames: int) -> Iterator[Block]:
        while frames > 0:
            block = self.spec.zeros(min(frames, self.spec.block_steps()))
            frames -= block.shape[-1]
            self._position += block.shape[-1]
            yield block

    def _refuse_beyond_limits(self, rate: int, channels: int) -> None:
        if channels > MAX_CHANNELS or rate > MAX_SAMPLE_RATE:
            raise TooLargeError(
                f"{self._path}: {channels} channels at {rate} Hz; the limits are {MAX_CHANNELS} and {MAX_SAMPLE_RATE}.",
                hint="ffmpeg -i on it, to choose channels or lower the rate.",
            )
        if channels < 1 or rate < 1:
            raise UnreadableError(f"{self._path}: says {channels} channels at {rate} Hz.", hint="another file.")

    def _refuse_change(self, frame: AudioFrame) -> None:
        rate, channels = frame.sample_rate, frame.layout.nb_channels
        if (rate, channels) != (self.spec.sample_rate, self.spec.channels):
            raise UnreadableError(
                f"{self._path}: changes from {self.spec.channels} channels at {self.spec.sample_rate} Hz to "
                f"{channels} at {rate} Hz after {self._seconds:.2f} s.",
                hint="cut it there, and process the parts.",
            )

    def _refuse_cut_off(self) -> None:
        announced = announced_seconds(self._container, self._stream)
        if announced is not None and self._seconds < announced * (1 - CUT_OFF_SHARE) - CUT_OFF_SECONDS:
            raise UnreadableError(
                f"{self._path}: ends after {self._seconds:.2f} s; its header says {announced:.2f} s.",
                hint="copy the file again from its origin.",
            )

    def _damaged(self, reason: str) -> DamagedError:
        where = f"after {self._seconds:.2f} s" if self._position else "at its start"
        return DamagedError(
            f"{self._path}: its sound is damaged {where} ({reason}).", hint="copy the file again from its origin."
        )

    @property
    def _seconds(self) -> float:
        return self._position / self.spec.sample_rate


@dataclass(frozen=True, slots=True)
class _Clock:
    """The clock of a container that counts in frames."""

    start: int
    frames_per_tick: int

    def frame(self, ticks: int) -> int:
        return (ticks - self.start) * self.frames_per_tick


def _clock(container: InputContainer, first: AudioFrame) -> _Clock | None:
    """None where the container counts in something else."""
    if not counts_frames(container) or first.pts is None or first.time_base is None:
        return None
    frames_per_tick = first.time_base * first.sample_rate
    return _Clock(first.pts, int(frames_per_tick)) if frames_per_tick.denominator == 1 else None
