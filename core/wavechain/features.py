"""Features of files: what ``wavechain features`` computes, keeps and shows.

Conventions
    An ``.npz`` file holds, to be read by `numpy.load` without pickles:
    features  float32, ``(channels, …, steps)``, time last, as blocks have it
    rate      steps per second, float64; step k is about the instant k / rate
    kind      ``"log_mel"``, ``"stft"`` …
    recipe    JSON: the transform with all its parameters, as `wavechain.chain.stage_from` takes it
    source    JSON: the file, its sample rate, channels, frames, and the stages before the transform
    rows_hz   float64, the frequency of each row; empty where rows are no frequencies
    The array lies in Fortran order, time being the slowest axis, so that it can be written as it comes. The same sound
    gives the same bytes.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from wavechain.chain import parse_stage, stage_to_dict
from wavechain.engine import Opening, prepare
from wavechain.errors import EmptyAudioError, UsageError, WavechainError
from wavechain.files import open_input
from wavechain.lastmile import part_file
from wavechain.origins import FileOrigin
from wavechain.registry import registry
from wavechain.spool import Spool
from wavechain.stages import FeatureTransform, Rows, Stage
from wavechain.stream import Block, Spec

PICTURE_COLUMNS = 2048
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip file knows


@dataclass(frozen=True)
class Features:
    """What was found in one file, but for the array itself.

    low, high, mean  of all values
    picture          ``(rows, columns)``: mean over channels, and over steps where they are more than
                     `PICTURE_COLUMNS`; powers where `rows` says amplitude or power; None unless asked for
    """

    path: str
    kind: str
    shape: tuple[int, ...]
    rate: Fraction
    seconds: float
    low: float
    high: float
    mean: float
    recipe: dict[str, Any]
    source: dict[str, Any]
    rows: Rows = field(repr=False)
    picture: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        names = ("path", "kind", "shape", "seconds", "low", "high", "mean", "recipe", "source")
        return {name: getattr(self, name) for name in names} | {"rate": float(self.rate)}


def transform_of(text: str, parameters: Sequence[str] = ()) -> FeatureTransform:
    """The transform ``log-mel`` or ``log-mel:n_fft=1024``, with further ``key=value``.

    Raises  UsageError for a stage that is no transform, and as `parse_stage`
    """
    if parameters:
        text += ("," if ":" in text else ":") + ",".join(parameters)
    stage = parse_stage(text)
    if not isinstance(stage, FeatureTransform):
        known = [spec for spec in registry().stages("transform") if spec.available]
        names = [spec.name for spec in known if issubclass(registry().load(spec.full_name), FeatureTransform)]
        raise UsageError(f"{text} turns no sound into features.", hint=f"one of {', '.join(names)}.")
    return stage


def extract(
    path: Path,
    transform: FeatureTransform,
    output: Path | None = None,
    *,
    before: Sequence[Stage] = (),
    overwrite: bool = False,
    picture: bool = False,
) -> Features:
    """Put one file through *before* and *transform*, in constant memory, and write the features to *output*.

    Raises  a WavechainError naming the file; then nothing appears under the name *output*
    """
    try:
        return _extract(path, transform, output, before, overwrite=overwrite, picture=picture)
    except WavechainError as error:
        raise error.at(str(path)) from error.__cause__


def _extract(
    path: Path,
    transform: FeatureTransform,
    output: Path | None,
    before: Sequence[Stage],
    *,
    overwrite: bool,
    picture: bool,
) -> Features:
    origin = open_input(path)
    prepared = prepare([*before, transform], origin, Opening(file_key=path.name))
    spec, heard = prepared.spec, prepared.spec.source or origin.spec
    rows = transform.rows(heard)
    tally, sketch = _Tally(), _Sketch(spec, rows) if picture else None
    spool = Spool(spec) if output is not None else None
    try:
        for block in prepared.blocks:
            tally.feed(block)
            if sketch is not None:
                sketch.feed(block)
            if spool is not None:
                spool.write(block)
        if not tally.count:
            raise EmptyAudioError("no features come out: the sound is too short.", hint="a longer file.")
        found = Features(
            path=str(path),
            kind=spec.kind,
            shape=(*spec.shape, tally.steps),
            rate=spec.rate,
            seconds=float(tally.steps / spec.rate),
            low=tally.low,
            high=tally.high,
            mean=tally.total / tally.count,
            recipe={"use": registry().name_of(type(transform)), **transform.model_dump(mode="json")},
            source=_source_facts(path, origin, before),
            rows=rows,
            picture=None if sketch is None else sketch.columns(),
        )
        if spool is not None and output is not None:
            with part_file(output, overwrite=overwrite) as part, zipfile.ZipFile(part, "w") as archive:
                _write(archive, found, spool)
        return found
    finally:
        if spool is not None:
            spool.close()


def _source_facts(path: Path, origin: FileOrigin, before: Sequence[Stage]) -> dict[str, Any]:
    return {
        "file": path.name,
        "sample_rate": origin.spec.sample_rate,
        "channels": origin.spec.channels,
        "frames": origin.spec.length,
        "container": origin.media.container,
        "codec": origin.media.codec,
        "stages": [stage_to_dict(stage) for stage in before],
    }


def _write(archive: zipfile.ZipFile, found: Features, spool: Spool) -> None:
    small: dict[str, Any] = {
        "rate": np.float64(found.rate),
        "kind": np.str_(found.kind),
        "recipe": np.str_(json.dumps(found.recipe)),
        "source": np.str_(json.dumps(found.source, ensure_ascii=False)),
        "rows_hz": np.array(found.rows.hz, np.float64),
    }
    for name, value in small.items():
        with _member(archive, name) as file:
            npy.write_array(file, np.asarray(value), allow_pickle=False)
    with _member(archive, "features") as file:
        npy.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": True, "shape": found.shape})
        for block in spool.blocks():
            file.write(block.astype("<f4", copy=False).tobytes(order="F"))


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    return archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True)


class _Tally:
    """Range and mean of what passes by."""

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self.total, self.count, self.steps = 0.0, 0, 0

    def feed(self, block: Block) -> None:
        if block.size:
            self.low, self.high = min(self.low, float(block.min())), max(self.high, float(block.max()))
            self.total += float(block.sum(dtype=np.float64))
            self.count += block.size
            self.steps += block.shape[-1]


class _Sketch:
    """A picture of features of any length: when its columns are full, neighbours are pooled."""

    def __init__(self, spec: Spec, rows: Rows) -> None:
        self._complex = len(spec.shape) == 3 and spec.shape[1] == 2
        self._square = rows.scale == "amplitude"
        self._sums = np.zeros((math.prod(spec.shape[2 if self._complex else 1 :]), PICTURE_COLUMNS), np.float32)
        self._per_column, self._steps = 1, 0

    def feed(self, block: Block) -> None:
        values = np.square(block) if self._square or self._complex else block
        if self._complex:
            values = values.sum(axis=1)
        values = values.mean(axis=0).reshape(len(self._sums), -1)
        while values.shape[-1]:
            if self._steps == PICTURE_COLUMNS * self._per_column:
                self._halve()
            column, filled = divmod(self._steps, self._per_column)
            part = values[:, : self._per_column - filled]
            self._sums[:, column] += part.sum(axis=-1)
            self._steps += part.shape[-1]
            values = values[:, part.shape[-1] :]

    def columns(self) -> NDArray[np.float32]:
        starts = np.arange(0, self._steps, self._per_column)
        counts = np.minimum(self._per_column, self._steps - starts).astype(np.float32)
        means: NDArray[np.float32] = self._sums[:, : starts.size] / counts
        return means

    def _halve(self) -> None:
        half = PICTURE_COLUMNS // 2
        self._sums[:, :half] = self._sums[:, 0::2] + self._sums[:, 1::2]
        self._sums[:, half:] = 0
        self._per_column *= 2
