"""Reading through libsndfile, believing nothing that the header says until the samples are there.

Conventions: whatever libsndfile recognises by its content is read, however it is named. `Spec.length` is exact or
None: None for FLAC streams of unknown length and for MP3 files without a gapless tag. Opus is decoded at the
rate it was made from.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, ClassVar

import numpy as np
import soundfile

from wavechain.audio import Media
from wavechain.errors import DamagedError, EmptyAudioError, MediaError, TooLargeError, UnreadableError
from wavechain.output import MAX_CHANNELS, MAX_SAMPLE_RATE
from wavechain.stages import Loader, Source
from wavechain.stream import BLOCK_SAMPLES, Block, Spec

from . import headers, libsndfile, mpeg, ogg, speakers

_COPY_AGAIN = "copy the file again from its origin."
_UNRECOGNISED = 1
_NO_LENGTH = 1 << 62
# No format packs more frames into a byte than FLAC does with silence: 65,535 in 9 bytes.
_MOST_FRAMES_PER_BYTE = 8192

_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32} | {
    f"ALAC_{bits}": bits for bits in (16, 20, 24, 32)
}
_FLOATS = {"FLOAT": 4, "DOUBLE": 8}
_LOSSY = ("VORBIS", "OPUS", "MPEG", "ADPCM", "ULAW", "ALAW", "GSM", "G72", "VOX", "NMS")


class SoundFileLoader(Loader):
    """Reads WAV, W64, RF64, AIFF, FLAC, Ogg Vorbis, Opus, MP3, CAF, AU and what else libsndfile knows."""

    cost: ClassVar[float] = 3.2

    def open(self, path: Path) -> SoundFileSource:
        """Raises  UnreadableError (missing, not permitted, not audio, cut off), EmptyAudioError, TooLargeError"""
        try:
            if path.is_dir():
                raise UnreadableError(f"{path}: is a folder.", hint="a file in it.")
            file = path.open("rb")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UnreadableError(f"{path}: {reason}.", hint="check the name and its permissions.") from None
        try:
            return SoundFileSource(path, file)
        except BaseException:
            file.close()
            raise


class SoundFileSource(Source):
    """An open sound file."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._raw = path, file
        self._size = os.fstat(file.fileno()).st_size
        self._tag: mpeg.XingTag | None = None
        self._endless: _Endless | None = None
        self._file = self._open()
        try:
            self.spec = self._checked_spec()
        except BaseException:
            self._file.close()
            raise
        self._order = speakers.order(self._file.subtype, self.spec.channels, self._raw)
        self._position = 0
        self._interleaved = np.empty((0, self.spec.channels), np.float32)

    @cached_property
    def media(self) -> Media:  # type: ignore[override]  # read when asked for: a second pass over the file does not ask
        from wavechain.tags import read as read_tags

        found, pictures = read_tags(self._path)
        subtype = self._file.subtype
        return Media(
            tags=found,
            pictures=pictures,
            container=self._file.format.replace("WAVEX", "WAV"),
            codec=subtype,
            bits=_BITS.get(subtype),
            lossy=any(word in subtype for word in _LOSSY),
            float_samples=subtype in _FLOATS,
        )

    def read(self, frames: int) -> Block:
        if self.spec.length is not None:
            frames = min(frames, self.spec.length - self._position)
        if frames <= 0:
            return self.spec.zeros(0)
        block = np.empty((self.spec.channels, frames), np.float32)
        done = 0
        while done < frames:
            wanted = min(frames - done, BLOCK_SAMPLES)
            got = self._read_into(block[:, done : done + wanted])
            done += got
            if got < wanted:
                break
        self._position += done
        if done < frames:
            self._check_end()
            return np.ascontiguousarray(block[:, :done])
        return block

    def close(self) -> None:
        self._file.close()
        self._raw.close()

    def _read_into(self, block: Block) -> int:
        """Fill *block* (channels, frames), a view of which the last axis may have gaps."""
        if len(block) == 1:
            return libsndfile.read_into(self._file, block.reshape(-1, 1))
        frames = block.shape[1]
        if len(self._interleaved) < frames:
            self._interleaved = np.empty((frames, len(block)), np.float32)
        got = libsndfile.read_into(self._file, self._interleaved[:frames])
        if self._order is None:
            block[:, :got] = self._interleaved[:got].T
        else:
            block[self._order, :got] = self._interleaved[:got].T
        return got

    def _open(self) -> soundfile.SoundFile:
        """Open the file in libsndfile, MP3 streams of unknown length so that they are read to their end."""
        try:
            file = soundfile.SoundFile(os.fsencode(self._path))
            if file.format != "MP3":
                return file
            self._tag = mpeg.read_tag(self._raw)
            if self._tag is not None:
                return file
            file.close()
            self._raw.seek(0)
            self._endless = _Endless(self._raw)
            return soundfile.SoundFile(self._endless)
        except soundfile.LibsndfileError as error:
            if error.code == _UNRECOGNISED:
                raise self._unrecognised() from None
            reason = error.error_string.removeprefix("Error : ").rstrip(".")
            # What libsndfile says of an MP3 file without a single frame in it.
            reason = "" if reason.startswith("File does not exist") else f" ({reason})"
            # Another loader may know better: libsndfile cannot read the Ogg FLAC that FFmpeg writes, for one.
            raise UnreadableError(f"{self._path}: cannot be decoded{reason}.", hint=_COPY_AGAIN) from None
        except TypeError:  # soundfile wants to be told the format of files that are named .raw
            raise self._unrecognised() from None

    def _checked_spec(self) -> Spec:
        file = self._file
        if not file.channels <= MAX_CHANNELS:
            raise TooLargeError(
                f"{self._path}: has {file.channels} channels; the limit is {MAX_CHANNELS}.",
                hint="split it into files of fewer channels.",
            )
        if not 1 <= file.samplerate <= MAX_SAMPLE_RATE:
            raise TooLargeError(
                f"{self._path}: has a sample rate of {file.samplerate} Hz; the limit is {MAX_SAMPLE_RATE}.",
                hint=_COPY_AGAIN,
            )
        length = self._checked_length()
        if length == 0:
            raise EmptyAudioError(f"{self._path}: holds no audio (0 frames).", hint=_COPY_AGAIN)
        return Spec.audio(file.samplerate, file.channels, length)

    def _checked_length(self) -> int | None:
        """How many frames there are, if that is certain. Raises UnreadableError for a length that cannot be."""
        length = int(self._file.frames)
        if self._file.format == "MP3":
            length = self._mp3_length(length)
        elif self._file.format == "OGG":
            self._check_ogg(length)
        else:
            self._check_claim(length)
        if length >= _NO_LENGTH:
            return None
        if length > self._size * _MOST_FRAMES_PER_BYTE:
            raise self._damaged(f"the header says {length} frames, which no file of {self._size} bytes holds")
        return length

    def _mp3_length(self, length: int) -> int:
        if self._tag is None:
            return _NO_LENGTH
        if mpeg.joined_after(self._raw, self._tag):
            raise self._damaged(
                f"the header says {length} frames, but another MP3 stream follows them",
                hint=f"ffmpeg -i {self._path.name} joined.flac, and that file.",
            )
        # Encoders without a gapless tag disagree on whether their own first frame counts.
        return length if self._tag.gapless else _NO_LENGTH

    def _check_ogg(self, length: int) -> None:
        end = ogg.read_end(self._raw)
        if end.joined:
            raise self._damaged(
                f"holds several streams one after the other, of which only the first ({length} frames) can be read",
                hint=f"ffmpeg -i {self._path.name} joined.flac, and that file.",
            )
        if not end.complete:
            raise self._damaged(f"the stream has no end, {length} frames could be decoded")
        if end.frames is None:
            return
        # The pages of Opus count at 48 kHz, whatever rate libsndfile decodes at.
        said = end.frames * self._file.samplerate // 48_000 if self._file.subtype == "OPUS" else end.frames
        if length < said:
            raise self._short(said, length)

    def _check_claim(self, length: int) -> None:
        claim = headers.claim(self._raw, self._file.format)
        if claim is None or claim.claimed <= claim.present:
            return
        subtype = self._file.subtype
        width = (_BITS.get(subtype, 0) // 8 or _FLOATS.get(subtype, 0)) * self._file.channels
        if not width:
            raise self._damaged(f"the header says {claim.claimed} bytes of audio, the file holds {claim.present}")
        if claim.claimed // width > length:
            raise self._short(claim.claimed // width, length)

    def _check_end(self) -> None:
        """The decoder stopped: at the end, or at damage?"""
        if self._endless is not None and self._endless.failed is not None:
            raise self._endless.failed
        damage = libsndfile.damage(self._file)
        if self.spec.length is not None:
            raise self._short(self.spec.length, self._position)
        if damage:
            raise self._damaged(f"damaged after {self._position} frames ({damage})")
        said = self._tag.frames * self._tag.header.samples if self._file.format == "MP3" and self._tag else 0
        if self._position < said - 3 * 1152:
            raise self._short(said, self._position)
        if not self._position:
            raise EmptyAudioError(f"{self._path}: holds no audio (0 frames).", hint=_COPY_AGAIN)

    def _short(self, said: int, found: int) -> MediaError:
        return self._damaged(f"the header says {said} frames, {found} could be decoded")

    def _damaged(self, what: str, *, hint: str = _COPY_AGAIN) -> MediaError:
        return DamagedError(f"{self._path}: {what}.", hint=hint)

    def _unrecognised(self) -> MediaError:
        return UnreadableError(
            f"{self._path}: is not audio in a format that libsndfile knows.",
            hint="pip install 'wavechain[av]' for more formats (M4A, WMA, video).",
        )


class _Endless:
    """A file that claims to be a terabyte long.

    Without a Xing tag libsndfile guesses the length of an MP3 file from the size of its first frames, and stops there:
    of a VBR file that starts quietly, measured, it gave 27,290 of 101,376 frames. The decoder itself goes on as long
    as there is data.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at_end = False
        self.failed: OSError | None = None

    def readinto(self, buffer: memoryview) -> int:
        try:
            return self._file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]
        except OSError as error:  # nobody catches what leaves a callback of libsndfile
            self.failed = error
            return 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at_end = whence == os.SEEK_END
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell() + (1 << 40 if self._at_end else 0)
