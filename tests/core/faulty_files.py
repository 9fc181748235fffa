"""Loaders and writers of a tiny format, one without fault and the others with one each.

The format: ``TONE``, then sample rate, channels and frames as little-endian uint32, then interleaved float32.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from wavechain import Audio, Block, Encoding, Loader, Media, OutputOptions, Sink, Source, Spec, Writer
from wavechain.errors import DamagedError, EmptyAudioError, UnreadableError

HEAD = struct.Struct("<4sIII")


def make_file(folder: Path, audio: Audio) -> Path:
    path = folder / "file.tone"
    head = HEAD.pack(b"TONE", audio.sample_rate, audio.channels, audio.frames)
    path.write_bytes(head + audio.waveform.T.astype("<f4").tobytes())
    return path


class ToneSource(Source):
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.file, self.path = file, path
        self.media = Media(tags={"title": ("Tone",)}, container="TONE")
        head = file.read(HEAD.size)
        if len(head) < HEAD.size or head[:4] != b"TONE":
            raise UnreadableError(f"{path}: is no TONE file.", hint="another loader.")
        _, rate, channels, self.frames = HEAD.unpack(head)
        self.spec = Spec.audio(rate, channels, self.frames)
        self.check()
        if not self.frames:
            raise EmptyAudioError(f"{path}: holds no audio.", hint="another file.")

    def check(self) -> None:
        if os.fstat(self.file.fileno()).st_size < HEAD.size + self.frames * self.spec.channels * 4:
            raise DamagedError(f"{self.path}: is cut off.", hint="copy it again.")

    def read(self, frames: int) -> Block:
        return self.decoded(self.file.read(frames * self.spec.channels * 4))

    def decoded(self, data: bytes) -> Block:
        samples = np.frombuffer(data, "<f4").reshape(-1, self.spec.channels)
        return np.ascontiguousarray(samples.T, np.float32)

    def close(self) -> None:
        self.file.close()


class FineLoader(Loader):
    """Reads TONE files."""

    source: ClassVar[type[ToneSource]] = ToneSource

    def open(self, path: Path) -> Source:
        try:
            file = path.open("rb")
        except OSError as error:
            raise UnreadableError(f"{path}: {error.strerror}.", hint="check the name.") from None
        try:
            return self.source(path, file)
        except BaseException:
            file.close()
            raise


def _loader(name: str, source: type[ToneSource]) -> type[FineLoader]:
    made = type(name, (FineLoader,), {"__doc__": "Reads TONE files, nearly.", "__module__": __name__, "source": source})
    globals()[name] = made
    return made


class _LongerThanItIs(ToneSource):
    def check(self) -> None:
        super().check()
        self.spec = self.spec.with_length(self.frames + 5)


class _BelievesWhatIsThere(ToneSource):
    def check(self) -> None:
        size = os.fstat(self.file.fileno()).st_size - HEAD.size
        self.spec = self.spec.with_length(min(self.frames, size // (4 * self.spec.channels)))

    def decoded(self, data: bytes) -> Block:
        whole = len(data) // (4 * self.spec.channels) * 4 * self.spec.channels
        return super().decoded(data[:whole])


class _RightBeforeLeft(ToneSource):
    def decoded(self, data: bytes) -> Block:
        return np.ascontiguousarray(super().decoded(data)[::-1])


class _GivesWholePages(ToneSource):
    def read(self, frames: int) -> Block:
        return super().read(max(frames, 512))


class _StopsShort(ToneSource):
    def read(self, frames: int) -> Block:
        return super().read(min(frames, 777))


class _InterleavedView(ToneSource):
    def decoded(self, data: bytes) -> Block:
        return np.frombuffer(data, "<f4").reshape(-1, self.spec.channels).T


class _LeavesItOpen(ToneSource):
    left: ClassVar[list[Any]] = []

    def close(self) -> None:
        self.left.append(self.file)


class _AllAtOnce(ToneSource):
    whole: Block | None = None
    place = 0

    def read(self, frames: int) -> Block:
        if self.whole is None:
            self.whole = self.decoded(self.file.read())
        self.place += frames
        return np.ascontiguousarray(self.whole[:, self.place - frames : self.place])


class _OneBufferForAll(ToneSource):
    place: ClassVar[dict[int, int]] = {}

    def read(self, frames: int) -> Block:
        place = self.place.get(0, 0) if self.file.tell() > HEAD.size else 0
        self.file.seek(HEAD.size + place * 4 * self.spec.channels)
        block = super().read(frames)
        self.place[0] = place + block.shape[-1]
        return block


class _TagsAsText(ToneSource):
    def check(self) -> None:
        super().check()
        self.media = Media(tags={"Title": "Tone"})  # type: ignore[dict-item]


class CrashesOnGarbage(FineLoader):
    """Reads TONE files, and whatever is none crashes it."""

    def open(self, path: Path) -> Source:
        try:
            return super().open(path)
        except DamagedError:
            raise
        except UnreadableError:
            raise struct.error("unpack requires a buffer of 16 bytes") from None


LongerThanItIs = _loader("LongerThanItIs", _LongerThanItIs)
BelievesWhatIsThere = _loader("BelievesWhatIsThere", _BelievesWhatIsThere)
RightBeforeLeft = _loader("RightBeforeLeft", _RightBeforeLeft)
GivesWholePages = _loader("GivesWholePages", _GivesWholePages)
StopsShort = _loader("StopsShort", _StopsShort)
InterleavedView = _loader("InterleavedView", _InterleavedView)
LeavesItOpen = _loader("LeavesItOpen", _LeavesItOpen)
AllAtOnce = _loader("AllAtOnce", _AllAtOnce)
OneBufferForAll = _loader("OneBufferForAll", _OneBufferForAll)
TagsAsText = _loader("TagsAsText", _TagsAsText)


# -- writers -----------------------------------------------------------------------------------------------------------


def read_back(path: Path) -> Audio:
    with FineLoader().open(path) as source:
        return Audio(source.read(source.spec.length or 0), source.spec.sample_rate)


class ToneSink(Sink):
    def __init__(self, path: Path, spec: Spec) -> None:
        self.spec, self.frames = spec, 0
        self.file = path.open("wb")
        self.file.write(HEAD.pack(b"TONE", spec.sample_rate, spec.channels, 0))

    def write(self, samples: Block | NDArray[np.int16] | NDArray[np.int32]) -> None:
        self.frames += samples.shape[-1]
        self.file.write(samples.T.astype("<f4").tobytes())

    def close(self) -> None:
        self.file.seek(0)
        self.file.write(HEAD.pack(b"TONE", self.spec.sample_rate, self.spec.channels, self.frames))
        self.file.close()


class FineWriter(Writer):
    """Writes TONE files."""

    sink: ClassVar[type[ToneSink]] = ToneSink

    def encoding(self, suffix: str, spec: Spec, media: Media, wanted: OutputOptions) -> Encoding:
        return Encoding("TONE", "FLOAT", None, clips=False)

    def open(self, path: Path, spec: Spec, encoding: Encoding) -> Sink:
        return self.sink(path, spec)


class _LosesTheLastBlock(ToneSink):
    held: Block | None = None

    def write(self, samples: Any) -> None:
        if self.held is not None:
            super().write(self.held)
        self.held = samples if samples.shape[-1] < 1000 else None
        if self.held is None:
            super().write(samples)


class _DithersEachBlock(ToneSink):
    def write(self, samples: Any) -> None:
        samples = samples.copy()
        samples[:, :1] += np.float32(2**-17)
        super().write(samples)


class _Quieter(ToneSink):
    def write(self, samples: Any) -> None:
        super().write(samples * np.float32(32767 / 32768) ** 4)


class _ScalesInPlace(ToneSink):
    def write(self, samples: Any) -> None:
        samples *= np.float32(1.00001)
        super().write(samples)


class _WritesTheTime(ToneSink):
    def close(self) -> None:
        self.file.write(struct.pack("<d", time.perf_counter()))
        super().close()


class _KeepsEverything(ToneSink):
    def __init__(self, path: Path, spec: Spec) -> None:
        super().__init__(path, spec)
        self.kept: list[Any] = []

    def write(self, samples: Any) -> None:
        self.kept.append(samples.copy())

    def close(self) -> None:
        for samples in self.kept:
            super().write(samples)
        super().close()


def _writer(name: str, sink: type[ToneSink]) -> type[FineWriter]:
    made = type(name, (FineWriter,), {"__doc__": "Writes TONE files, nearly.", "__module__": __name__, "sink": sink})
    globals()[name] = made
    return made


LosesTheLastBlock = _writer("LosesTheLastBlock", _LosesTheLastBlock)
DithersEachBlock = _writer("DithersEachBlock", _DithersEachBlock)
Quieter = _writer("Quieter", _Quieter)
ScalesInPlace = _writer("ScalesInPlace", _ScalesInPlace)
WritesTheTime = _writer("WritesTheTime", _WritesTheTime)
KeepsEverything = _writer("KeepsEverything", _KeepsEverything)


class RefusesTooLate(FineWriter):
    """Writes TONE files of one or two channels, and finds out while it is at it."""

    def open(self, path: Path, spec: Spec, encoding: Encoding) -> Sink:
        if spec.channels > 2:
            raise ValueError("too many channels")
        return super().open(path, spec, encoding)


class SaysNothing(FineWriter):
    """Writes TONE files, or does not."""

    class _Nowhere(Sink):
        def write(self, samples: Any) -> None:
            pass

        def close(self) -> None:
            pass

    def open(self, path: Path, spec: Spec, encoding: Encoding) -> Sink:
        try:
            return super().open(path, spec, encoding)
        except OSError:
            return self._Nowhere()
