"""Writing through libsndfile: PCM formats, FLAC, Ogg Vorbis, Opus, and MP3 where LAME itself is not installed.

Conventions: integers arrive left-justified and lose only zeros on the way into the file; what is written is not
finished before the file was opened again and its length compared, because libsndfile keeps quiet when the disk fills
up while FLAC, Ogg or MP3 are being closed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from wavechain.audio import Media
from wavechain.errors import ParameterError, SpecMismatchError, UnwritableError, UsageError, nearest
from wavechain.output import OutputOptions
from wavechain.stages import Encoding, Sink, Writer
from wavechain.stream import Block, Spec

from . import formats, libsndfile, mpeg, speakers

# Frames a call. libvorbis puts what it is given on the stack: a minute of stereo at once is a crash.
_MOST_FRAMES, _MOST_FRAMES_VORBIS = 65_536, 8192
_MP3_V_STEPS = 10.0


class SoundFileWriter(Writer):
    """Writes WAV, W64, RF64, AIFF, CAF, AU, FLAC, Ogg Vorbis, Opus and MP3 files."""

    def encoding(self, suffix: str, spec: Spec, media: Media, wanted: OutputOptions) -> Encoding:
        kind = formats.canonical(suffix)
        if kind in formats.LOSSLESS:
            return _lossless(formats.LOSSLESS[kind], spec, media, wanted)
        if kind not in formats.LOSSY:
            known = (*formats.LOSSLESS, *formats.LOSSY)
            guess = nearest(kind, known)
            raise UsageError(f"libsndfile writes no {suffix!r} files.", hint=f"{guess or ' '.join(known)}.")
        name = formats.LOSSY[kind]
        formats.refuse_depth(name, wanted)
        formats.check_limits(name, spec)
        settle = {"Vorbis": _vorbis, "Opus": _opus, "MP3": _mp3}[name]
        return settle(spec, wanted)

    def open(self, path: Path, spec: Spec, encoding: Encoding) -> SoundFileSink:
        return SoundFileSink(path, spec, encoding)


def _lossless(target: formats.Lossless, spec: Spec, media: Media, wanted: OutputOptions) -> Encoding:
    formats.refuse_lossy_options(target.name, wanted)
    formats.check_limits(target.name, spec)
    depth = formats.settle_depth(target, media, wanted)
    bits = depth if isinstance(depth, int) else None
    container, settings = target.major, {"major": target.major, "subtype": target.depths[depth]}
    size = None if spec.length is None else spec.length * spec.channels * (bits or 32) // 8
    if target.major == "FLAC":
        level = 5.0 if wanted.quality is None else wanted.quality
        if level > 8:
            raise ParameterError(f"output: quality = {level:g} is out of range for FLAC.", hint="0 to 8.")
        settings["compression"] = str(level / 8)
    elif target.ends_at is not None and size is not None and size > target.ends_at - formats.ROOM_FOR_TAGS:
        raise SpecMismatchError(
            f"{target.name} files end at 4 GiB, this stream needs {size / 2**30:.1f} GiB.", hint="a .wav or .caf file."
        )
    elif target.major == "WAV":
        if size is None:
            settings |= {"major": "RF64", "downgrade": "yes"}
        elif size > formats.FOUR_GIB - formats.ROOM_FOR_TAGS:
            container = settings["major"] = "RF64"
        elif spec.channels > 2:
            settings["major"] = "WAVEX"
    return Encoding(container, target.depths[depth], bits, clips=bits is not None, settings=tuple(settings.items()))


def _vorbis(spec: Spec, wanted: OutputOptions) -> Encoding:
    if wanted.bitrate_kbps is not None:
        raise ParameterError("output: Vorbis files have no constant bit rate.", hint="quality=6, or an .opus file.")
    quality = 6.0 if wanted.quality is None else wanted.quality
    return _lossy("OGG", "VORBIS", compression=1 - quality / 10)


def _opus(spec: Spec, wanted: OutputOptions) -> Encoding:
    kbps = formats.opus_kbps(spec.channels, wanted)
    return _lossy("OGG", "OPUS", compression=1 - (kbps - 6) / (250 * spec.channels))


def _mp3(spec: Spec, wanted: OutputOptions) -> Encoding:
    kbps = formats.mp3_kbps(spec.sample_rate, wanted)
    if kbps is None:
        return _lossy("MP3", "MPEG_LAYER_III", compression=formats.mp3_quality(wanted) / _MP3_V_STEPS, mode="VARIABLE")
    known = mpeg.bit_rates(spec.sample_rate)
    exact = [rate for rate in known if _has_tag(rate, spec)]
    if kbps not in exact:
        # LAME leaves out a tag that does not fit into one frame, and decoders then start 1,105 frames late.
        raise ParameterError(
            f"output: libsndfile's MP3 at {kbps} kbit/s comes back 1105 frames late.",
            hint=f"pip install lameenc, quality=4, or bitrate_kbps={exact[0]}.",
        )
    return _lossy("MP3", "MPEG_LAYER_III", compression=(known[-1] - kbps) / (known[-1] - known[0]), mode="CONSTANT")


def _has_tag(kbps: int, spec: Spec) -> bool:
    samples = 1152 if spec.sample_rate >= 32_000 else 576
    side_info = (17 if spec.channels == 1 else 32) if samples == 1152 else (9 if spec.channels == 1 else 17)
    return samples // 8 * kbps * 1000 // spec.sample_rate >= 4 + side_info + 156


def _lossy(container: str, codec: str, *, compression: float, mode: str = "") -> Encoding:
    settings = {"major": container, "subtype": codec, "compression": str(min(1.0, max(0.0, compression)))}
    if mode:
        settings["mode"] = mode
    return Encoding(container, codec, None, clips=True, lossy=True, settings=tuple(settings.items()))


class SoundFileSink(Sink):
    """An open output file of libsndfile."""

    def __init__(self, path: Path, spec: Spec, encoding: Encoding) -> None:
        settings: dict[str, Any] = dict(encoding.settings)
        self._path, self._frames = path, 0
        compression = settings.get("compression")
        try:
            self._file = soundfile.SoundFile(
                os.fsencode(path),
                "w",
                samplerate=spec.sample_rate,
                channels=spec.channels,
                format=settings["major"],
                subtype=settings["subtype"],
                compression_level=None if compression is None else float(compression),
                bitrate_mode=settings.get("mode"),
            )
        except soundfile.LibsndfileError as error:
            if error.code == 2:
                raise libsndfile.failure() from None
            raise UnwritableError(
                f"libsndfile cannot write {spec} as {settings['subtype']}: {error.error_string}.",
                hint="another format.",
            ) from None
        # The PEAK chunk of float files holds the time of day: without it the same sound makes the same file.
        libsndfile.switch(self._file, libsndfile.SET_ADD_PEAK_CHUNK, on=False)
        if "downgrade" in settings:
            libsndfile.switch(self._file, libsndfile.RF64_AUTO_DOWNGRADE, on=True)
        self._order = speakers.order(encoding.codec, spec.channels)
        self._step = _MOST_FRAMES_VORBIS if encoding.codec == "VORBIS" else _MOST_FRAMES
        self._limit = _frames_at_most(settings["major"], spec, encoding)

    def write(self, samples: Block | NDArray[np.int16] | NDArray[np.int32]) -> None:
        frames: NDArray[Any] = samples.T if samples.dtype == np.float32 else samples
        if self._order is not None:
            frames = frames[:, self._order]
        if self._limit is not None and self._frames + len(frames) > self._limit:
            raise UnwritableError("files of this format end at 4 GiB.", hint="a .wav or .caf file.")
        for start in range(0, len(frames), self._step):
            libsndfile.write(self._file, np.ascontiguousarray(frames[start : start + self._step]))
        self._frames += len(frames)

    def close(self) -> None:
        if self._file.closed:
            return
        error = libsndfile.close(self._file)
        if self._frames and not self._is_complete():
            raise error

    def _is_complete(self) -> bool:
        try:
            with soundfile.SoundFile(os.fsencode(self._path)) as file:
                if file.frames != self._frames:
                    return False
            if file.format == "MP3":
                with self._path.open("rb") as raw:
                    tag = mpeg.read_tag(raw)
                return tag is not None and tag.start + (tag.size or 0) <= self._path.stat().st_size
        except soundfile.LibsndfileError:
            return False
        return True


def _frames_at_most(major: str, spec: Spec, encoding: Encoding) -> int | None:
    for target in formats.LOSSLESS.values():
        if target.major == major and target.ends_at is not None:
            return (target.ends_at - formats.ROOM_FOR_TAGS) // (spec.channels * (encoding.bits or 32) // 8)
    return None
