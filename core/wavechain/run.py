"""Running: carries out a plan in constant memory, or a chain on a signal in memory."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import wavechain
from wavechain.audio import Audio
from wavechain.engine import Opening, Prepared, prepare
from wavechain.errors import EmptyAudioError, SpecMismatchError, UnwritableError, WavechainError
from wavechain.lastmile import deliver, unwritable
from wavechain.nodes import Leaf
from wavechain.origins import AudioOrigin, Progress
from wavechain.seeds import derive_seed
from wavechain.stream import Block, Spec

if TYPE_CHECKING:
    from wavechain.chain import Chain
    from wavechain.output import OutputOptions
    from wavechain.plan import Plan


@dataclass(frozen=True)
class RunOptions:
    """How to run, as opposed to what.

    tail_seconds  None: let delays and reverbs ring out (to -60 dBFS, at most 10 s); a number: at most that; 0: cut
    measure       measure loudness and peaks before and after, for the report
    residual      also write input less output: into this file, or into this folder under the output's name
    """

    overwrite: bool = False
    seed: int = 0
    tail_seconds: float | None = None
    measure: bool = False
    residual: Path | None = None
    progress: Progress | None = None


@dataclass
class Report:
    """What was done to one file; `as_dict` is the JSON report."""

    source: str
    output: str
    spec: Spec
    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {"input": self.source, "output": self.output, **self.facts, "warnings": self.warnings}


def execute(plan: Plan) -> Report:
    """Carry out *plan*. Raises a WavechainError naming the file, and then leaves no output behind."""
    name = str(plan.source)
    try:
        return _execute(plan)
    except WavechainError as error:
        raise error.at(name) from error.__cause__


def _execute(plan: Plan) -> Report:
    options, chain = plan.options, plan.chain
    opening = Opening(seed=options.seed, file_key=plan.source.name, tail_seconds=options.tail_seconds)
    before = _Meters(plan.origin.spec) if options.measure else None
    after = _Meters(plan.spec) if options.measure else None
    plan.origin.progress = options.progress
    prepared = prepare(chain.stages, plan.origin, opening)
    blocks = _limited(prepared, plan) if chain.output.overs == "limit" else prepared.blocks
    if after is not None:
        blocks = after.tap(blocks)
    with _Destination(plan) as path:
        delivery = deliver(
            _not_empty(blocks, plan),
            path,
            plan.writer,
            plan.encoding,
            prepared.spec,
            plan.media,
            chain.output,
            dither=plan.dither,
            seed=derive_seed(options.seed, plan.source.name, "dither"),
            overwrite=options.overwrite,
        )
    report = Report(name_of(plan.source), name_of(plan.output), prepared.spec)
    report.warnings += delivery.warnings
    if plan.residual is not None:
        from wavechain.residual import write_residual

        report.warnings += write_residual(plan, plan.residual)
    for leaf in prepared.series.leaves():
        if isinstance(leaf, Leaf) and (warning := leaf.processor.report.get("warning")):
            report.warnings.append(f"{report.source}: {leaf.place}: {warning}")
        if isinstance(leaf, Leaf) and (reason := leaf.processor.report.get("left_alone")):
            report.warnings.append(f"{report.source}: {leaf.place} leaves it as it is: {reason}.")
    report.facts = {
        "seed": options.seed,
        "source": _facts(plan.origin.spec) | {"container": plan.media.container, "codec": plan.media.codec},
        "result": _facts(prepared.spec.with_length(delivery.frames))
        | {"container": plan.encoding.container, "codec": plan.encoding.codec, "bytes": delivery.size_bytes},
        "passes": prepared.passes,
        "dithered": delivery.dithered,
        "overs": delivery.overs,
        "verified": delivery.verified,
        "tags_lost": list(delivery.tags_lost),
        "stages": [_stage_facts(leaf) for leaf in prepared.series.leaves()],
        "versions": versions(),
    }
    if before is not None and after is not None:
        for block in plan.origin.read():
            before.feed(block)
        report.facts["before"], report.facts["after"] = before.facts(), after.facts()
    return report


def run_audio(chain: Chain, audio: Audio, *, seed: int = 0, tail_seconds: float | None = None) -> Audio:
    """Run *chain* on a signal in memory. The result carries the tags of the input.

    Raises  SpecMismatchError for a chain that ends in features
    """
    prepared = prepare(chain.stages, AudioOrigin(audio), Opening(seed=seed, tail_seconds=tail_seconds))
    if prepared.spec.kind != "audio":
        raise SpecMismatchError(f"the chain ends with {prepared.spec}, not with sound.", hint="inverse as last stage.")
    blocks = list(prepared.blocks)
    waveform = np.concatenate(blocks, axis=-1) if blocks else prepared.spec.zeros(0)
    return Audio(waveform, prepared.spec.sample_rate, audio.media)


def read_audio(path: Path) -> Audio:
    """A whole file in memory. Raises as loaders do."""
    from wavechain.files import open_input

    origin = open_input(path)
    blocks = list(origin.blocks())
    waveform = np.concatenate(blocks, axis=-1) if blocks else origin.spec.zeros(0)
    return Audio(waveform, origin.spec.sample_rate, origin.media)


def write_audio(audio: Audio, path: Path, output: OutputOptions | None = None, *, overwrite: bool = False) -> Path:
    """Write a signal to a file through the last mile."""
    from wavechain.output import OutputOptions
    from wavechain.plan import check_output, find_writer

    output = output or OutputOptions()
    check_output(Path("-"), path, overwrite=overwrite)
    suffix = f".{output.format}" if output.format else path.suffix.lower()
    writer = find_writer(suffix)
    encoding = writer.encoding(suffix, audio.spec, audio.media, output)
    deliver(
        AudioOrigin(audio).blocks(),
        path,
        writer,
        encoding,
        audio.spec,
        audio.media,
        output,
        dither=output.dither and encoding.bits is not None and encoding.bits < 32,
        seed=derive_seed(0, path.name, "dither"),
        overwrite=overwrite,
    )
    return path


def name_of(path: Path) -> str:
    return "standard input/output" if str(path) == "-" else str(path)


def versions() -> dict[str, str]:
    """What made the sound: enough to repeat it."""
    found = {"wavechain": wavechain.__version__, "python": platform.python_version(), "numpy": np.__version__}
    for package in ("soundfile", "soxr", "pedalboard", "av", "onnxruntime", "torch"):
        if package in sys.modules:
            found[package] = metadata.version(package)
    return found


def _limited(prepared: Prepared, plan: Plan) -> Iterator[Block]:
    """The sound with everything beyond full scale limited: the safety net of ``--overs limit``."""
    from wavechain.limiting import TruePeakLimiter

    node = Leaf("the writer's limiter", TruePeakLimiter(ceiling_db=-0.1).open(prepared.spec), prepared.spec, None)
    for block in prepared.blocks:
        yield node.push(block)
    yield from node.finish()


def _not_empty(blocks: Iterator[Block], plan: Plan) -> Iterator[Block]:
    frames = 0
    for block in blocks:
        frames += block.shape[-1]
        yield block
    if not frames:
        raise EmptyAudioError(
            "nothing is left after the chain: no output is written.", hint="wavechain plan shows where."
        )


class _Destination:
    """Where the file is written: the output itself, or for standard output a temporary file that is copied there."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Path:
        if str(self._plan.output) != "-":
            return self._plan.output
        self._folder = tempfile.TemporaryDirectory(prefix="wavechain-")
        return Path(self._folder.name) / f"stdout.{self._plan.chain.output.format or 'wav'}"

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._folder is None:
            return
        with self._folder as folder:
            if kind is not None:
                return
            if sys.stdout is None:
                raise UnwritableError("standard output: is closed.", hint="wavechain run in.wav out.wav.")
            try:
                with next(Path(folder).glob("stdout.*")).open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
                sys.stdout.buffer.flush()
            except BrokenPipeError:
                raise
            except OSError as error:
                raise unwritable(Path("standard output"), error) from None


class _Meters:
    """Loudness and peaks of a stream that passes by."""

    def __init__(self, spec: Spec) -> None:
        from wavechain.dsp.loudness import LoudnessMeter
        from wavechain.dsp.true_peak import TruePeakMeter

        self._loudness = LoudnessMeter(spec.sample_rate, spec.channels)
        self._peak = TruePeakMeter(spec.sample_rate, spec.channels)

    def feed(self, block: Block) -> None:
        self._loudness.feed(block)
        self._peak.feed(block)

    def tap(self, blocks: Iterator[Block]) -> Iterator[Block]:
        for block in blocks:
            self.feed(block)
            yield block

    def facts(self) -> dict[str, float | None]:
        self._peak.finish()
        found = {
            "integrated_lufs": self._loudness.integrated_lufs(),
            "loudness_range_lu": self._loudness.loudness_range_lu(),
            "true_peak_dbtp": self._peak.true_peak_dbtp,
        }
        return {key: round(value, 3) if np.isfinite(value) else None for key, value in found.items()}


def _facts(spec: Spec) -> dict[str, Any]:
    return {"sample_rate": spec.sample_rate, "channels": spec.channels, "frames": spec.length}


def _stage_facts(leaf: Any) -> dict[str, Any]:
    facts = {"place": leaf.place, "latency": leaf.latency, "tail": int(leaf.tail)}
    if isinstance(leaf, Leaf):
        facts |= leaf.processor.report
    return facts
