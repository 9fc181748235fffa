"""The plan: everything that can be known before a byte is written.

`make_plan` opens the input's header, opens every stage on paper, settles the output format, and checks names. What it
returns is what `wavechain plan` prints and what `wavechain.run.execute` carries out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavechain.chain import Chain, plain
from wavechain.combinators import Combinator
from wavechain.engine import Opening
from wavechain.errors import (
    OutputExistsError,
    SpecMismatchError,
    TooLargeError,
    UnwritableError,
    UsageError,
    WavechainError,
    nearest,
)
from wavechain.files import STDIO, open_input
from wavechain.lastmile import unwritable
from wavechain.nodes import Leaf, Listen
from wavechain.output import MAX_CHANNELS
from wavechain.registry import registry
from wavechain.stages import Encoding, MeasuredEffect, Stage, StreamStage, Writer
from wavechain.stream import Spec

if TYPE_CHECKING:
    from wavechain.audio import Media
    from wavechain.origins import FileOrigin
    from wavechain.residual import Residual
    from wavechain.run import RunOptions

MAX_HOURS = 100.0


@dataclass(frozen=True)
class Step:
    """One row of a plan."""

    place: str
    parameters: dict[str, Any]
    spec: Spec
    latency: int
    tail: float
    measured: bool


@dataclass(frozen=True)
class Plan:
    """A chain resolved against one input and one output."""

    chain: Chain
    source: Path
    output: Path
    origin: FileOrigin
    steps: tuple[Step, ...]
    spec: Spec
    writer: Writer
    encoding: Encoding
    options: RunOptions
    dither: bool
    residual: Residual | None = None
    warnings: tuple[str, ...] = field(default_factory=tuple)

    @property
    def media(self) -> Media:
        return self.origin.media

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return {
            "input": str(self.source),
            "output": str(self.output),
            "source": str(self.origin.spec),
            "steps": [
                {
                    "place": step.place,
                    "parameters": step.parameters,
                    "out": str(step.spec),
                    "latency": step.latency,
                    "tail": "until silent" if step.tail == float("inf") else int(step.tail),
                    "measured": step.measured,
                }
                for step in self.steps
            ],
            "result": str(self.spec),
            "format": {"container": self.encoding.container, "codec": self.encoding.codec, "dither": self.dither},
            "warnings": list(self.warnings),
        }


def make_plan(chain: Chain, source: Path, output: Path, options: RunOptions, *, makes_folders: bool = False) -> Plan:
    """Resolve *chain* for one file. Raises before anything is written; every message names the file or the stage.

    makes_folders  those that are to hold what is written need not be there yet
    """
    check_output(source, output, overwrite=options.overwrite, makes_folders=makes_folders)
    plan = _resolved(chain, source, output, open_input(source), options)
    if options.residual is None:
        return plan
    from wavechain.residual import settle_residual

    try:
        return replace(plan, residual=settle_residual(plan, options.residual, makes_folders=makes_folders))
    except WavechainError as error:
        raise error.at(str(source)) from error.__cause__


def _resolved(chain: Chain, source: Path, output: Path, origin: FileOrigin, options: RunOptions) -> Plan:
    _refuse_huge(source, origin.spec)
    opening = Opening(seed=options.seed, file_key=source.name, tail_seconds=options.tail_seconds, planning=True)
    try:
        series = opening.series(chain.stages, origin.spec)
        spec = series.spec
        if spec.channels > MAX_CHANNELS:
            raise SpecMismatchError(
                f"the chain ends with {spec.channels} channels; the limit is {MAX_CHANNELS}.", hint="fewer channels."
            )
        if spec.kind != "audio":
            raise SpecMismatchError(
                f"the chain ends with {spec}, which no file can hold.", hint="inverse as last stage."
            )
        suffix = _suffix(chain, output)
        writer = find_writer(suffix)
        encoding = writer.encoding(suffix, spec, origin.media, chain.output)
    except WavechainError as error:
        raise error.at(str(source)) from error.__cause__
    steps = tuple(_step(leaf, chain) for leaf in series.leaves())
    return Plan(
        chain, source, output, origin, steps, spec, writer, encoding, options, _dithers(chain, origin, encoding)
    )


def _step(leaf: Leaf | Listen, chain: Chain) -> Step:
    stage = stage_at(chain.stages, leaf.place)
    parameters = plain(stage) if stage is not None else {}
    measured = isinstance(stage, MeasuredEffect)
    return Step(leaf.place, parameters, leaf.spec, leaf.latency, leaf.tail, measured)


def stage_at(stages: tuple[Stage, ...], place: str) -> Stage | None:
    """The stage that ``stage 2.wet.1 (reverb)`` names."""
    path = place.removeprefix("stage ").partition(" ")[0].split(".")
    while True:
        stage = stages[int(path[0]) - 1]
        if len(path) < 3 or not isinstance(stage, Combinator):
            return stage
        stages = dict(stage.chains())[path[1]]
        path = path[2:]


def _dithers(chain: Chain, origin: FileOrigin, encoding: Encoding) -> bool:
    """Whether samples may lie between the output's steps: then rounding them needs dither."""
    if encoding.bits is None or not chain.output.dither or encoding.bits >= 32:
        return False
    untouched = all(isinstance(stage, StreamStage) and stage.keeps_samples for stage in chain.stages)
    return not (untouched and origin.media.bits is not None and origin.media.bits <= encoding.bits)


def _suffix(chain: Chain, output: Path) -> str:
    """What the name says; where it says nothing that can be written, what the options say."""
    suffix = output.suffix.lower()
    known = {extension for spec in registry().stages("writer") for extension in spec.extensions}
    wanted = f".{chain.output.format.lower().lstrip('.')}" if chain.output.format else ""
    if wanted and (suffix not in known or wanted not in known):
        return wanted
    return ".wav" if output == STDIO else suffix


def find_writer(suffix: str) -> Writer:
    """The best writer for a file suffix. Raises UsageError (none known) or MissingDependencyError (not installed)."""
    reg = registry()
    for spec in (*reg.writers_for(suffix), *reg.unavailable_for("writer", suffix)):
        writer = reg.load(spec)()
        assert isinstance(writer, Writer)
        return writer
    known = reg.suffixes("writer")
    if not suffix:
        raise UsageError("the output name has no suffix that says its format.", hint=f"one of {' '.join(known)}.")
    guess = nearest(suffix, known)
    raise UsageError(f"no writer for {suffix!r} files.", hint=f"{guess}." if guess else f"one of {' '.join(known)}.")


def check_output(source: Path, output: Path, *, overwrite: bool, makes_folders: bool = False) -> None:
    """Refuse an output that is the input, exists already, or lies where nothing can be written."""
    if output == STDIO:
        return
    try:
        _check_output(source, output, overwrite=overwrite, makes_folders=makes_folders)
    except OSError as error:
        raise unwritable(output, error) from None


def _check_output(source: Path, output: Path, *, overwrite: bool, makes_folders: bool) -> None:
    if output.is_symlink() and not output.exists():
        raise UsageError(f"{output}: is a link to nothing.", hint="another name, or mend the link.")
    if source != STDIO and output.exists() and source.exists() and os.path.samefile(source, output):
        raise OutputExistsError(f"{output}: is the input itself.", hint="another name for the output.")
    if output.is_dir():
        raise UsageError(f"{output}: is a folder.", hint=f"-o {output}/ to put the output into it.")
    if output.exists() and not output.is_file():
        raise UsageError(f"{output}: is a device or a pipe, not a file.", hint=f"-o - > {output}.")
    if output.exists() and not overwrite:
        raise OutputExistsError(f"{output}: exists already.", hint="--overwrite, --skip, or another name.")
    folder = output.parent
    if makes_folders:
        folder = next((each for each in output.parents if each.exists()), folder)
    if not folder.exists():
        raise UnwritableError(f"{output}: its folder {folder} does not exist.", hint=f"mkdir -p {folder}.")
    if not os.access(folder, os.W_OK):
        raise UnwritableError(f"{output}: the folder {folder} is read-only.", hint="a folder that you may write to.")


def _refuse_huge(source: Path, spec: Spec) -> None:
    if spec.seconds is not None and spec.seconds > MAX_HOURS * 3600:
        raise TooLargeError(
            f"{source}: its header says {spec.seconds / 3600:.0f} hours; the limit is {MAX_HOURS:.0f}.",
            hint="split the file, if it is really that long.",
        )
