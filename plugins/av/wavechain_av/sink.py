"""An open output file of FFmpeg: one audio stream, in frames of whatever size they come."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError

from wavechain.errors import UnwritableError
from wavechain.stages import Sink

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wavechain.stream import Block


@dataclass(frozen=True, slots=True)
class Target:
    """What FFmpeg is asked to make, in its own names.

    samples  what `AvSink.write` is given, interleaved: ``flt``, ``s16``, ``s32``
    planar   whether the encoder wants each channel for itself
    """

    container: str
    codec: str
    layout: str
    samples: str
    planar: bool
    bit_rate: int | None = None
    container_options: Mapping[str, str] = field(default_factory=dict)
    codec_options: Mapping[str, str] = field(default_factory=dict)


class AvSink(Sink):
    def __init__(self, path: Path, sample_rate: int, target: Target) -> None:
        self._path = path
        self._target = target
        self._tick = Fraction(1, sample_rate)
        self._frames = 0
        self._over = False  # nothing more can be written
        with contextlib.ExitStack() as closing:
            self._file = closing.enter_context(path.open("wb"))
            # A Python file: its OSErrors come through as they are, a full disk included.
            options = dict(target.container_options)
            self._container = av.open(self._file, "w", format=target.container, options=options)
            try:
                stream = self._container.add_stream(
                    target.codec, rate=sample_rate, layout=target.layout, options=dict(target.codec_options)
                )
            except UnknownCodecError:  # PyAV's wheels bring every codec asked for here, FFmpeg's distributors may not
                raise UnwritableError(
                    f"{path}: the FFmpeg in use has no {target.codec}.", hint="PyAV from PyPI, or .flac or .wav."
                ) from None
            closing.pop_all()
        assert isinstance(stream, AudioStream)
        self._stream = stream
        stream.codec_context.format = f"{target.samples}p" if target.planar else target.samples
        if target.bit_rate is not None:
            stream.codec_context.bit_rate = target.bit_rate

    def write(self, samples: Block | NDArray[np.int16] | NDArray[np.int32]) -> None:
        # Interleaved, for PyAV cannot fill the planes of 8 channels; on the way to the encoder it sorts them itself.
        interleaved = samples.T if self._target.samples == "flt" else samples
        line: NDArray[Any] = np.ascontiguousarray(interleaved).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(line, format=self._target.samples, layout=self._target.layout)
        frame.sample_rate = self._tick.denominator
        frame.time_base, frame.pts = self._tick, self._frames
        self._frames += frame.samples
        self._encode(frame)

    def close(self) -> None:
        if self._over:
            with contextlib.suppress(Exception):
                self._container.close()
            with contextlib.suppress(OSError):
                self._file.close()
            return
        try:
            if self._frames:
                self._encode(None)
            self._over = True
            self._container.close()
        finally:
            self._file.close()

    def _encode(self, frame: av.AudioFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except BaseException as error:
            self._over = True  # to mux once more, the end included, crashes in FFmpeg when its header is not written
            if isinstance(error, FFmpegError):
                reason = (error.strerror or str(error)).lower()
                raise UnwritableError(f"{self._path}: {reason}.", hint=".flac or .wav.") from None
            raise
