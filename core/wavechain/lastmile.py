"""The last mile: from the final stream to a finished file, or to no file at all.

Order of work: a temporary name in the destination folder, dither and overs, encoder, tags, optional verification,
fsync, rename. Whatever goes wrong before the rename removes the temporary file and leaves the old output alone.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wavechain.errors import OutputExistsError, OversError, UnreadableError, UnwritableError, WavechainError
from wavechain.stream import Block, Spec

if TYPE_CHECKING:
    from wavechain.audio import Media
    from wavechain.output import OutputOptions
    from wavechain.stages import Encoding, Sink, Writer


@dataclass
class Delivery:
    """What the last mile reports."""

    frames: int = 0
    overs: int = 0
    over_peak: float = 0.0
    dithered: bool = False
    tags_lost: tuple[str, ...] = ()
    verified: bool = False
    size_bytes: int = 0
    warnings: list[str] = field(default_factory=list)


@contextlib.contextmanager
def part_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A temporary name beside *path*, renamed to it when the body succeeds and removed when it does not.

    Raises  UnwritableError for a folder that is missing, read-only or full; OutputExistsError when *path* appeared
            meanwhile and may not be overwritten
    """
    part = path.with_name(f".{path.stem[:80]}.{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix}")
    try:
        part.touch(exist_ok=False)
        yield part
        _sync(part)
        if overwrite:
            part.replace(path)
        else:
            _rename_new(part, path)
        _sync(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def remove_parts(path: Path, pid: int | None) -> None:
    """Clear away what process *pid*, which was killed, had begun of *path*."""
    for part in path.parent.glob(f".*.{pid}-*.part{glob.escape(path.suffix)}"):
        part.unlink(missing_ok=True)


def _rename_new(part: Path, path: Path) -> None:
    try:
        os.link(part, path)  # fails when the name exists, where rename would replace it silently
    except FileExistsError:
        raise OutputExistsError(f"{path}: appeared while it was being made.", hint="--overwrite.") from None
    except OSError:  # a file system without hard links
        if path.exists():
            raise OutputExistsError(f"{path}: appeared while it was being made.", hint="--overwrite.") from None
        part.replace(path)


def _sync(path: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def unwritable(path: Path, error: OSError) -> UnwritableError:
    reason = (error.strerror or str(error)).lower()
    hint = {
        errno.ENOSPC: "free some space, or another folder.",
        errno.EDQUOT: "free some space, or another folder.",
        errno.ENOENT: f"mkdir -p {path.parent}.",
        errno.ENAMETOOLONG: "a shorter name.",
    }.get(error.errno or 0, "a folder that you may write to.")
    return UnwritableError(f"{path}: cannot be written: {reason}.", hint=hint)


class Delivering:
    """Feeds one sink: dithers or checks, writes, and remembers a checksum for verification."""

    def __init__(
        self, sink: Sink, spec: Spec, encoding: Encoding, options: OutputOptions, *, name: str, dither: bool, seed: int
    ) -> None:
        from wavechain.dsp.dither import Quantiser

        self.delivery = Delivery(dithered=dither and encoding.bits is not None)
        self._sink, self._encoding, self._options, self._name = sink, encoding, options, name
        self._checksum = 0 if options.verify and not encoding.lossy else None
        self._quantiser = (
            Quantiser(encoding.bits, spec.channels, seed=seed, dither=dither) if encoding.bits is not None else None
        )

    def write(self, block: Block) -> None:
        if not block.shape[-1]:
            return
        samples: Any = block
        if self._quantiser is not None:
            samples = self._quantiser.process(block)
            self.delivery.overs = self._quantiser.overs
            self.delivery.over_peak = self._quantiser.over_peak
        elif self._encoding.clips and (peak := max(float(block.max()), -float(block.min()))) > 1.0:
            self.delivery.overs += int(np.count_nonzero((np.abs(block) > 1.0).any(axis=0)))
            self.delivery.over_peak = max(self.delivery.over_peak, peak)
            samples = np.clip(block, -1.0, 1.0)
        if self.delivery.overs and self._options.overs == "refuse":
            raise OversError(
                f"{self._name}: samples go beyond full scale (peak {_db(self.delivery.over_peak):+.2f} dBFS).",
                hint="--overs limit, or less gain.",
            )
        self._sink.write(samples)
        self.delivery.frames += block.shape[-1]
        if self._checksum is not None:
            self._checksum = zlib.crc32(np.ascontiguousarray(samples).data, self._checksum)

    def verify(self, part: Path, spec: Spec) -> None:
        """Decode what was written and compare: bit for bit for lossless formats, the length for lossy ones."""
        from wavechain.dsp.dither import Quantiser
        from wavechain.files import open_input

        bits, checksum, frames = self._encoding.bits, 0, 0
        exact = Quantiser(bits, spec.channels, seed=0, dither=False) if bits is not None else None
        for block in open_input(part).blocks():
            frames += block.shape[-1]
            if self._checksum is not None:
                data: Any = exact.process(block) if exact is not None else block
                checksum = zlib.crc32(np.ascontiguousarray(data).data, checksum)
        if frames != self.delivery.frames:
            raise UnreadableError(
                f"{self._name}: {self.delivery.frames} frames were written, {frames} come back: not kept.",
                hint="another format, or another disk.",
            )
        if self._checksum is not None and checksum != self._checksum:
            raise UnreadableError(
                f"{self._name}: what comes back differs from what was written: not kept.", hint="another disk."
            )
        self.delivery.verified = True


def deliver(
    blocks: Iterator[Block],
    path: Path,
    writer: Writer,
    encoding: Encoding,
    spec: Spec,
    media: Media,
    options: OutputOptions,
    *,
    dither: bool,
    seed: int,
    overwrite: bool = False,
) -> Delivery:
    """Write *blocks* to *path*, completely or not at all."""
    with part_file(path, overwrite=overwrite) as part:
        sink = writer.open(part, spec, encoding)
        try:
            target = Delivering(sink, spec, encoding, options, name=str(path), dither=dither, seed=seed)
            for block in blocks:
                target.write(block)
        except BaseException:
            with contextlib.suppress(Exception):
                sink.close()
            raise
        sink.close()
        delivery = target.delivery
        if options.tags:
            delivery.tags_lost = _copy_tags(part, encoding, media)
        if options.verify:
            target.verify(part, spec)
        delivery.size_bytes = part.stat().st_size
    if delivery.overs:
        delivery.warnings.append(
            f"{path}: {delivery.overs} samples beyond full scale were clipped "
            f"(peak {_db(delivery.over_peak):+.2f} dBFS). Try: --overs limit, or less gain."
        )
    if delivery.tags_lost:
        delivery.warnings.append(
            f"{path}: {encoding.container} cannot hold these tags: {', '.join(delivery.tags_lost)}."
        )
    return delivery


def _copy_tags(part: Path, encoding: Encoding, media: Media) -> tuple[str, ...]:
    if not media.tags and not media.pictures:
        return ()
    try:
        from wavechain import tags

        return tuple(tags.write(part, encoding.container, media))
    except WavechainError:
        raise
    except OSError:
        raise
    except Exception as error:
        raise UnwritableError(
            f"its tags cannot be written as {encoding.container}: {type(error).__name__}: {error}.", hint="--no-tags."
        ) from error


def _db(ratio: float) -> float:
    return 20 * float(np.log10(max(ratio, 1e-12)))
