"""A whole signal in memory (`Audio`), and what travels beside a stream without being sound (`Media`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wavechain.errors import SpecMismatchError
from wavechain.stream import Block, Spec

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from wavechain.output import OutputOptions


@dataclass(frozen=True, slots=True)
class Picture:
    """A cover or other picture. ``type`` is the ID3 picture type (3: front cover)."""

    data: bytes
    mime: str
    type: int = 3
    description: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """Tags, cover art and the facts of the source file.

    tags     lower-case names as in Vorbis comments (``title``, ``artist``, ``album``, ``date``, ``tracknumber`` …),
             each with one or more values
    bits     integer bit depth of the source, None for float or lossy sources
    lossy    whether the source codec threw something away
    """

    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    container: str = ""
    codec: str = ""
    bits: int | None = None
    lossy: bool = False
    float_samples: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """A waveform with its sample rate.

    waveform     float32, ``(channels, frames)``, nominally within [-1, 1]
    sample_rate  frames per second
    """

    waveform: Block
    sample_rate: int
    media: Media = field(default_factory=Media)

    @classmethod
    def of(cls, waveform: ArrayLike, sample_rate: int) -> Audio:
        """Take a float array ``(frames,)`` (mono) or ``(channels, frames)``.

        Raises  SpecMismatchError for integers (their full scale would be a guess) and for other shapes
        """
        array = np.asarray(waveform)
        if not np.issubdtype(array.dtype, np.floating):
            raise SpecMismatchError(
                f"a waveform is made of floats, this one of {array.dtype}.",
                hint="waveform / 32768.0 for 16-bit samples.",
            )
        if array.ndim == 1:
            array = array[np.newaxis]
        if array.ndim != 2:
            raise SpecMismatchError(f"a waveform has shape (channels, frames), this one {array.shape}.")
        return cls(np.ascontiguousarray(array, np.float32), sample_rate)

    @classmethod
    def read(cls, path: str | Path) -> Audio:
        """Read a whole file, with its tags."""
        from wavechain.run import read_audio

        return read_audio(Path(path))

    def write(self, path: str | Path, output: OutputOptions | None = None, *, overwrite: bool = False) -> Path:
        """Write to a file, whose suffix names the format; dither, overs and tags as in `wavechain.output`."""
        from wavechain.run import write_audio

        return write_audio(self, Path(path), output, overwrite=overwrite)

    @property
    def spec(self) -> Spec:
        return Spec.audio(self.sample_rate, self.channels, self.frames)

    @property
    def channels(self) -> int:
        return int(self.waveform.shape[0])

    @property
    def frames(self) -> int:
        return int(self.waveform.shape[-1])

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate
