"""Writes M4A: AAC, or Apple Lossless where a bit depth is asked for or the source is Apple Lossless already.

Conventions
    Time is exact: an AAC encoder puts 1024 frames before the sound and fills its last packet; the file says so in its
    edit list and in the duration of the last packet, in units of one frame (an MP4 counts its edits in its own
    ``movie_timescale``, a thousandth of a second unless told otherwise), and decoders cut both.
    Channels are in the order of WAV files: left, right, centre, low frequencies, back left, back right.
"""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import av
import numpy as np
from av.audio.stream import AudioStream
from av.error import FFmpegError

from wavechain.errors import ParameterError, SpecMismatchError, UnwritableError
from wavechain.stages import Encoding, Sink, Writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wavechain.audio import Media
    from wavechain.output import OutputOptions
    from wavechain.stream import Block, Spec

AAC_RATES = (7350, 8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)
ALAC_RATE_MAX = 384_000

# What both encoders take, by number of channels; ALAC knows 7.1 only with speakers left and right of the centre.
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}

# AAC of quality 0 to 10, in bits per second and channel: 64 to 320 kbit/s for stereo, 192 when nothing is said.
_AAC_LOWEST, _AAC_STEP, _AAC_DEFAULT_QUALITY = 32_000, 12_800, 5.0


class AvWriter(Writer):
    def encoding(self, suffix: str, spec: Spec, media: Media, wanted: OutputOptions) -> Encoding:
        lossy_asked = wanted.quality is not None or wanted.bitrate_kbps is not None
        if wanted.bit_depth is None and (lossy_asked or not media.codec.startswith("ALAC")):
            return self._aac(suffix, spec, wanted)
        if lossy_asked:
            raise ParameterError(
                f"{suffix} of {wanted.bit_depth} bits is lossless: it has no quality or bit rate.",
                hint="leave out bit_depth for AAC, or quality and bitrate_kbps for ALAC.",
            )
        return self._alac(suffix, spec, media, wanted)

    def open(self, path: Path, spec: Spec, encoding: Encoding) -> Sink:
        return _AvSink(path, spec, encoding)

    @staticmethod
    def _aac(suffix: str, spec: Spec, wanted: OutputOptions) -> Encoding:
        layout = _layout(suffix, spec, "AAC")
        if spec.sample_rate not in AAC_RATES:
            nearest = next((rate for rate in AAC_RATES if rate > spec.sample_rate), AAC_RATES[-1])
            raise SpecMismatchError(
                f"AAC has no {spec.sample_rate} Hz.", hint=f"resample:sample_rate={nearest}, or bit_depth=24 for ALAC."
            )
        quality = _AAC_DEFAULT_QUALITY if wanted.quality is None else wanted.quality
        rate = round(_AAC_LOWEST + _AAC_STEP * quality) * spec.channels
        if wanted.bitrate_kbps is not None:
            rate = wanted.bitrate_kbps * 1000
        return Encoding("M4A", "AAC", None, lossy=True, settings=(("layout", layout), ("bit_rate", rate)))

    @staticmethod
    def _alac(suffix: str, spec: Spec, media: Media, wanted: OutputOptions) -> Encoding:
        layout = _layout(suffix, spec, "ALAC")
        depth = wanted.bit_depth or ("16" if (media.bits or 24) <= 16 else "24")
        if depth not in ("16", "24"):
            raise ParameterError(f"ALAC holds 16 or 24 bits, not {depth}.", hint="bit_depth=24, or .wav or .flac.")
        if spec.sample_rate > ALAC_RATE_MAX or spec.channels > 6:
            raise SpecMismatchError(
                f"ALAC in {suffix} holds up to 6 channels and {ALAC_RATE_MAX} Hz; the chain ends with {spec}.",
                hint=".wav or .flac.",
            )
        return Encoding("M4A", f"ALAC_{depth}", int(depth), settings=(("layout", layout),))


class _AvSink(Sink):
    def __init__(self, path: Path, spec: Spec, encoding: Encoding) -> None:
        settings = dict(encoding.settings)
        self._path = path
        self._layout = settings["layout"]
        self._format = {None: "flt", 16: "s16", 24: "s32"}[encoding.bits]
        self._tick = Fraction(1, spec.sample_rate)
        self._frames = 0
        self._over = False  # nothing more can be written
        self._file = path.open("wb")
        # A Python file: its OSErrors come through as they are, a full disk included.
        self._container = av.open(
            self._file,
            "w",
            format="mp4" if path.suffix == ".mp4" else "ipod",
            options={"movie_timescale": str(spec.sample_rate)},
        )
        codec: Literal["aac", "alac"] = "aac" if encoding.bits is None else "alac"
        stream = self._container.add_stream(codec, rate=spec.sample_rate, layout=self._layout)
        assert isinstance(stream, AudioStream)
        self._stream = stream
        stream.codec_context.format = f"{self._format}p"
        if "bit_rate" in settings:
            stream.codec_context.bit_rate = settings["bit_rate"]

    def write(self, samples: Block | NDArray[np.int16] | NDArray[np.int32]) -> None:
        # Interleaved, for PyAV cannot fill the planes of 8 channels; on the way to the encoder it sorts them itself.
        interleaved = samples.T if self._format == "flt" else samples
        line: NDArray[Any] = np.ascontiguousarray(interleaved).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(line, format=self._format, layout=self._layout)
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


def _layout(suffix: str, spec: Spec, codec: str) -> str:
    if spec.channels not in LAYOUTS:
        known = ", ".join(map(str, LAYOUTS))
        raise SpecMismatchError(
            f"{codec} in {suffix} holds {known} channels; the chain ends with {spec.channels}.",
            hint="channels:layout=stereo, or .wav or .flac.",
        )
    return LAYOUTS[spec.channels]
