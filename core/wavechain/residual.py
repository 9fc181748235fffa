"""What a run took away: the input less the output, as a file to listen to (``wavechain run --residual``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wavechain.audio import Media
from wavechain.compare import side_by_side
from wavechain.errors import SpecMismatchError
from wavechain.files import open_input
from wavechain.lastmile import deliver
from wavechain.output import OutputOptions
from wavechain.plan import Plan, check_output, find_writer
from wavechain.stream import Block, Spec


def residual_path(plan: Plan) -> Path | None:
    """Where the residual of *plan* goes: the file that was named, or in the folder that was named, under the output's
    name. Checked before anything runs.

    Raises  SpecMismatchError when input and output cannot be subtracted, OutputExistsError, UnwritableError
    """
    wanted = plan.options.residual
    if wanted is None:
        return None
    before, after = plan.origin.spec, plan.spec
    if (before.rate, before.shape) != (after.rate, after.shape) or str(plan.output) == "-":
        raise SpecMismatchError(
            f"{plan.source} is {before}, its output {after}: they cannot be subtracted.",
            hint="without --residual, or a chain that keeps rate and channels and writes a file.",
        )
    path = wanted / plan.output.name if wanted.is_dir() else wanted
    check_output(plan.source, path, overwrite=plan.options.overwrite)
    if path.absolute() == plan.output.absolute():
        check_output(path, path, overwrite=False)
    return path


def write_residual(plan: Plan, path: Path) -> None:
    """Subtract the finished output from the input, sample by sample, and write the difference at full precision.

    Raises  UnwritableError, leaving no file behind
    """
    one, two = open_input(plan.source), open_input(plan.output)
    length = one.spec.length
    spec = Spec.audio(one.spec.sample_rate, one.spec.channels, length)
    options = OutputOptions(tags=False)
    suffix = path.suffix.lower()
    writer = find_writer(suffix)
    encoding = writer.encoding(suffix, spec, one.media, options)
    deliver(
        _differences(side_by_side(one, two)),
        path,
        writer,
        encoding,
        spec,
        Media(),
        options,
        dither=encoding.bits is not None and encoding.bits < 24,
        seed=plan.options.seed,
        overwrite=plan.options.overwrite,
    )


def _differences(pairs: Iterator[tuple[Block, Block]]) -> Iterator[Block]:
    """Over the length that both have: a tail that the output has beyond the input was not taken away from anything."""
    for before, after in pairs:
        frames = min(before.shape[-1], after.shape[-1])
        if frames:
            yield np.ascontiguousarray(before[:, :frames] - after[:, :frames])
