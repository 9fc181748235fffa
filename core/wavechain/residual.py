"""What a run took away: the input less the output, as a file to listen to (``wavechain run --residual``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wavechain.audio import Media
from wavechain.compare import side_by_side
from wavechain.errors import OutputExistsError, SpecMismatchError, UsageError, WavechainError
from wavechain.files import STDIO, open_input
from wavechain.lastmile import deliver
from wavechain.output import OutputOptions
from wavechain.plan import Plan, check_output, find_writer
from wavechain.run import name_of
from wavechain.stages import Encoding, Writer
from wavechain.stream import Block, Spec

OPTIONS = OutputOptions(tags=False)


@dataclass(frozen=True)
class Residual:
    """Where a residual goes, and how it is written."""

    path: Path
    spec: Spec
    writer: Writer
    encoding: Encoding


def identity(path: Path) -> object:
    """Equal for two names of one file: links, ``..`` and hard links included, whether it exists yet or not."""
    try:
        found = path.stat()
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def settle_residual(plan: Plan, wanted: Path, *, makes_folders: bool) -> Residual:
    """The residual of *plan*: in the file *wanted*, or in the folder *wanted* under the output's name. Everything that
    can be refused is refused here, before anything runs.

    Raises  SpecMismatchError when input and output cannot be subtracted, OutputExistsError, UnwritableError, UsageError
            for a name or a format that cannot hold it
    """
    before, after = plan.origin.spec, plan.spec
    if (before.rate, before.shape) != (after.rate, after.shape) or plan.output == STDIO:
        raise SpecMismatchError(
            f"{name_of(plan.source)} is {before}, its output {after}: they cannot be subtracted.",
            hint="without --residual, or a chain that keeps rate and channels and writes a file.",
        )
    path = wanted / plan.output.name if wanted.is_dir() else wanted
    if path == STDIO:
        raise UsageError("--residual -: the residual is a file of its own.", hint="--residual removed.wav.")
    refuse_audio(path, {identity(plan.source), identity(plan.output)})
    spec = Spec.audio(before.sample_rate, before.channels, before.length)
    try:
        check_output(plan.source, path, overwrite=plan.options.overwrite, makes_folders=makes_folders)
        writer = find_writer(path.suffix.lower())
    except WavechainError as error:
        raise error.at("--residual") from error.__cause__
    try:
        encoding = writer.encoding(path.suffix.lower(), spec, plan.media, OPTIONS)
    except (SpecMismatchError, UsageError) as error:  # what they advise would change the chain, not the residual
        raise UsageError(f"--residual {path}: {error.message}", hint="a .wav file.") from None
    return Residual(path, spec, writer, encoding)


def refuse_audio(path: Path, audio: set[object]) -> None:
    """Raises OutputExistsError when *path* is one of the files whose identities are *audio*."""
    if identity(path) in audio:
        raise OutputExistsError(f"--residual {path}: is an input or an output of this run.", hint="another name.")


def write_residual(plan: Plan, residual: Residual) -> list[str]:
    """Subtract the finished output from the input, sample by sample, and write the difference in steps as fine as the
    input's; dithered where the output has finer ones. Gives back warnings.

    Raises  UnwritableError, leaving no file behind
    """
    encoding = residual.encoding
    steps = (plan.media.bits, None if plan.encoding.lossy else plan.encoding.bits)
    frames = [0, 0]
    delivery = deliver(
        _differences(side_by_side(plan.origin, open_input(plan.output)), frames),
        residual.path,
        residual.writer,
        encoding,
        residual.spec,
        Media(),
        OPTIONS,
        dither=encoding.bits is not None and any(bits is None or bits > encoding.bits for bits in steps),
        seed=plan.options.seed,
        overwrite=plan.options.overwrite,
    )
    if frames[0] == frames[1]:
        return delivery.warnings
    told = f"{name_of(plan.source)} has {frames[0]} frames, {plan.output} has {frames[1]}"
    doubt = "where the chain delays, trims or stretches, the residual means nothing."
    return [*delivery.warnings, f"{residual.path}: {told}; {doubt}"]


def _differences(pairs: Iterator[tuple[Block, Block]], frames: list[int]) -> Iterator[Block]:
    """Over the length that both have: a tail that the output has beyond the input was not taken away from anything.
    Counts the *frames* of each.
    """
    for before, after in pairs:
        frames[0] += before.shape[-1]
        frames[1] += after.shape[-1]
        both = min(before.shape[-1], after.shape[-1])
        if both:
            yield np.ascontiguousarray(before[:, :both] - after[:, :both])
