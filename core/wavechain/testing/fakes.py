"""Fake files: a format whose sound stays in memory, for tests of whatever reads or writes files.

    with FakeFiles() as files:
        files.make(folder / "take.fake", speech(seconds=2))
        Chain.of("gain:gain_db=-6").run(folder / "take.fake", folder / "out.fake")
        assert files.at(folder / "out.fake").audio.seconds == 2

On disk, a fake file is a ticket of one line; the sound that belongs to it is kept in this process. The loader, the
writer and their plugin are found as any others are, and all that lies between (plans, dither, overs, renaming,
reports) is the real thing. A worker process of a batch has a memory of its own, and refuses the tickets of this one.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from wavechain.audio import Audio, Media
from wavechain.errors import DamagedError, EmptyAudioError, UnreadableError
from wavechain.hookspecs import ENTRY_POINT_GROUP, hookimpl
from wavechain.output import OutputOptions
from wavechain.registry import reset
from wavechain.stages import Encoding, Loader, Sink, Source, Writer
from wavechain.stream import Block, Spec

if TYPE_CHECKING:
    from typing import Self

    from wavechain.registry.register import Register

SUFFIX = ".fake"
LETTERS = 64  # of a ticket

_kept: dict[str, FakeFile] = {}


@dataclass(frozen=True, eq=False)
class FakeFile:
    """What belongs to a fake file.

    audio      its sound; integers that a writer was given, as the numbers that they stand for
    ends_at    the frame at which it breaks off, as a damaged file does; None: it is whole
    encoding   of a file that was written, what the writer settled
    sizes      of a file that was written, the frames of each block that the writer was given
    """

    audio: Audio
    ends_at: int | None = None
    encoding: Encoding | None = None
    sizes: tuple[int, ...] = ()

    def ticket(self) -> str:
        """The same for the same file, and for no other."""
        facts = (self.audio.spec, self.audio.media, self.ends_at, self.encoding, self.sizes)
        return hashlib.sha256(repr(facts).encode() + self.audio.waveform.tobytes()).hexdigest()


class FakeFiles:
    """As long as it is open, ``.fake`` is a format like any other, in this process."""

    def __enter__(self) -> Self:
        self._before = dict(_kept)
        self._folder = tempfile.TemporaryDirectory(prefix="wavechain-fake-")
        # What pip leaves behind: plugins are found by it.
        info = Path(self._folder.name) / "wavechain_fake_files-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wavechain-fake-files\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\nfake-files = {__name__}\n")
        sys.path.append(self._folder.name)
        reset()
        return self

    def __exit__(self, *_: object) -> None:
        sys.path.remove(self._folder.name)
        self._folder.cleanup()
        _kept.clear()
        _kept.update(self._before)
        reset()

    def make(self, path: str | Path, audio: Audio, *, ends_at: int | None = None) -> Path:
        """A file of *audio*. Where *ends_at* says so, reading beyond that frame raises DamagedError."""
        path = Path(path)
        path.write_text(_keep(FakeFile(audio, ends_at)))
        return path

    def at(self, path: str | Path) -> FakeFile:
        """What belongs to the file at *path*. Raises UnreadableError where it is no fake file."""
        return _find(Path(path))


def _keep(file: FakeFile) -> str:
    ticket = file.ticket()
    _kept[ticket] = file
    return ticket


def _find(path: Path) -> FakeFile:
    try:
        with path.open("rb") as file:
            ticket = file.read(LETTERS + 1).decode("ascii", "replace")
    except OSError as error:
        raise UnreadableError(f"{path}: {(error.strerror or str(error)).lower()}.", hint="check the name.") from None
    if ticket not in _kept:
        hint = "FakeFiles.make, in this process and while it is open."
        raise UnreadableError(f"{path}: no sound is kept for it.", hint=hint)
    return _kept[ticket]


class FakeLoader(Loader):
    """Finds the sound that belongs to a ticket."""

    def open(self, path: Path) -> Source:
        return _FakeSource(path, _find(path))


class _FakeSource(Source):
    def __init__(self, path: Path, file: FakeFile) -> None:
        if not file.audio.frames:
            raise EmptyAudioError(f"{path}: holds no audio.", hint="another file.")
        self.spec, self.media = file.audio.spec, file.audio.media
        self._path, self._file, self._place = path, file, 0

    def read(self, frames: int) -> Block:
        start, self._place = self._place, min(self._place + frames, self._file.audio.frames)
        if self._file.ends_at is not None and self._place > self._file.ends_at:
            raise DamagedError(f"{self._path}: breaks off at frame {self._file.ends_at}.", hint="copy it again.")
        block: Block = self._file.audio.waveform[:, start : self._place].copy()
        return block


class FakeWriter(Writer):
    """Keeps what it is given, and writes a ticket for it."""

    def encoding(self, suffix: str, spec: Spec, media: Media, wanted: OutputOptions) -> Encoding:
        bits = {"16": 16, "24": 24, "32": 32}.get(wanted.bit_depth or "float")
        return Encoding("FAKE", "FLOAT" if bits is None else f"PCM_{bits}", bits, clips=bits is not None)

    def open(self, path: Path, spec: Spec, encoding: Encoding) -> Sink:
        return _FakeSink(path.open("wb"), spec, encoding)


class _FakeSink(Sink):
    def __init__(self, file: BinaryIO, spec: Spec, encoding: Encoding) -> None:
        self._file, self._spec, self._encoding = file, spec, encoding
        self._blocks = [spec.zeros(0)]

    def write(self, samples: Any) -> None:
        if samples.dtype != np.float32:  # (frames, channels), left-justified
            samples = samples.T / np.float32(-float(np.iinfo(samples.dtype).min))
        self._blocks.append(np.array(samples, np.float32, order="C"))

    def close(self) -> None:
        audio = Audio(np.concatenate(self._blocks, axis=-1), self._spec.sample_rate)
        sizes = tuple(block.shape[-1] for block in self._blocks[1:])
        with self._file as file:
            file.write(_keep(FakeFile(audio, None, self._encoding, sizes)).encode())


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Files whose sound stays in memory, for tests.")
    register.stage(
        "fake-loader",
        kind="loader",
        summary="Finds the sound of a fake file in memory.",
        target=f"{__name__}:FakeLoader",
        extensions=(SUFFIX,),
    )
    register.stage(
        "fake-writer",
        kind="writer",
        summary="Keeps the sound of a fake file in memory.",
        target=f"{__name__}:FakeWriter",
        extensions=(SUFFIX,),
    )
