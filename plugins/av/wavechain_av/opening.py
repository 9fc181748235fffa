"""Opening a file with FFmpeg: what is allowed, which stream is the sound, and where it ends.

FFmpeg finds out by content what a file is, and some of what it knows are lists that name other files and addresses
(HLS, concat, DASH) or no files at all (lavfi). Only the formats below are allowed, and no protocol: the file is opened
here, and a name like ``http:song.m4a`` is a name.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError
from av.stream import Discard

from wavechain.errors import EmptyAudioError, UnreadableError

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.stream import AudioStream
    from av.container import InputContainer

FORMATS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "aac", "loas", "asf", "matroska", "webm", "avi", "flv", "mpeg"),
    *("mpegts", "ac3", "eac3", "dts", "dtshd", "truehd", "mlp", "mp3", "amr", "ape", "wv", "tta", "tak", "mpc"),
    *("mpc8", "oma", "dsf", "ogg", "flac", "wav", "w64", "aiff", "caf", "au", "nut", "rm", "xwma", "voc", "qoa"),
)

_WRITE_DURATION = {"matroska", "asf", "avi", "flv", "ape", "wv", "tta", "tak", "mpc", "mpc8", "flac", "dsf"}

# How far back from the announced end the last packets are looked for.
_LAST_SECONDS = 0.5

# Edit lists count in units of their own, 1/600 or 1/1000 s as a rule.
_EDIT_SECONDS = 0.002


class _Calm(io.BufferedReader):
    """Answers an impossible seek as C does: PyAV prints the traceback of a second exception to standard error."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError):
            return -errno.EINVAL


@contextlib.contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Raises UnreadableError, naming the file."""
    try:
        file = _Calm(io.FileIO(path))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UnreadableError(f"{path}: {reason}.", hint="check the name and its permissions.") from None
    with file:
        try:
            container = av.open(
                file,
                "r",
                options={"format_whitelist": ",".join(FORMATS), "protocol_whitelist": ""},
                metadata_errors="replace",
            )
        except (FFmpegError, OSError):  # the file's own errors come through as they are
            raise UnreadableError(
                f"{path}: is not a media file that FFmpeg reads, or its header is damaged.",
                hint="copy the file again from its origin.",
            ) from None
        with container:
            yield container


def sound_of(container: InputContainer, path: Path) -> AudioStream:
    """The best audio stream; all others are switched off, so that they are not even read.

    Raises  EmptyAudioError, or UnreadableError when none is sound that can be decoded here
    """
    if not container.streams:
        raise EmptyAudioError(f"{path}: is a media file with nothing in it.", hint="another file.")
    sounds = [stream for stream in container.streams.audio if _has_decoder(stream)]
    if not sounds:
        kinds = " and ".join(sorted({stream.type for stream in container.streams}))
        raise UnreadableError(f"{path}: has no sound that FFmpeg decodes, only {kinds}.", hint="another file.")
    best = container.streams.best("audio")
    sound = next((stream for stream in sounds if stream is best), sounds[0])
    _refuse_deadly_layout(sound, path)
    for stream in container.streams:
        if stream.index != sound.index:
            stream.discard = Discard.all
    return sound


def _has_decoder(stream: AudioStream) -> bool:
    context: AudioCodecContext | None = stream.codec_context  # None where FFmpeg was built without the codec
    return context is not None


def _refuse_deadly_layout(sound: AudioStream, path: Path) -> None:
    """Channels in an order of their own, as ``FR+FL``, end the whole process in PyAV 17.1 to 19.0 ("double free").

    Its layout objects free a list of channels that belongs to FFmpeg's frame. The one that is needed here to see the
    layout is given a reference that nobody drops, so that it never frees anything.
    """
    if not (17, 1) <= tuple(map(int, av.__version__.split(".")[:2])) < (19, 1):
        return
    layout = sound.codec_context.layout
    if "+" in layout.name:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
        raise UnreadableError(
            f"{path}: PyAV {av.__version__} cannot decode channels in an order of their own: {layout.name}.",
            hint="ffmpeg -i on it, to a FLAC file.",
        )


def counts_frames(container: InputContainer) -> bool:
    """Whether the clocks of this format are exact to the frame, as a rule: MP4 and MOV."""
    return "mov" in container.format.name.split(",")


def announced_seconds(container: InputContainer, sound: AudioStream) -> float | None:
    """How long the header says the sound is, for formats that write it down when the file is finished.

    FFmpeg guesses the duration of others from their bit rate. Where pictures run on after the sound, only the duration
    of the sound's own stream means anything.
    """
    if not set(container.format.name.split(",")) & _WRITE_DURATION:
        return None
    if sound.duration and sound.time_base:
        return float(sound.duration * sound.time_base)
    alone = len(container.streams) == 1 and container.duration
    return container.duration / av.time_base if alone and container.duration else None


def end_of(path: Path) -> int | None:
    """Where the sound of an MP4 or MOV file ends, in ticks of its stream's clock; None when nothing says so.

    Two things can say so, and each is right for some encoders. The last packet may be shorter than the others: then
    its end is exact to the frame, and an edit list that ends close to it was rounded to its own coarse units. Or all
    packets are full, and only the edit list knows how much of the last one is padding.
    """
    with opened(path) as container:
        sound = sound_of(container, path)
        if not counts_frames(container) or not sound.duration or sound.time_base is None:
            return None
        edit_end = (sound.start_time or 0) + sound.duration
        last: list[tuple[int, int]] = []
        with contextlib.suppress(FFmpegError, OSError):
            container.seek(max(0, edit_end - int(_LAST_SECONDS / sound.time_base)), stream=sound)
            for packet in container.demux(sound):
                if packet.pts is not None and packet.duration:
                    last = [*last[-1:], (packet.pts, packet.duration)]
        if not last:
            return edit_end
        packet_end = sum(last[-1])
        is_short = last[-1][1] < last[0][1]
        if is_short and abs(packet_end - edit_end) * sound.time_base <= _EDIT_SECONDS:
            return packet_end
        return min(packet_end, edit_end)
