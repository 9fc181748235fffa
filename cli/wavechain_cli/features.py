"""``wavechain features``: files into arrays of features, pictures of them, or a table that says what they are."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wavechain.chain import parse_stage
from wavechain.errors import EXIT_FILES_FAILED, EXIT_OK, OutputExistsError, UsageError, WavechainError
from wavechain.features import extract, transform_of
from wavechain.files import STDIO
from wavechain.naming import Input, Job, collect, jobs_for, make_folders, makes_folders, picture_names
from wavechain.plan import check_output
from wavechain_cli.guard import complain, debugging
from wavechain_cli.tables import print_table

if TYPE_CHECKING:
    from wavechain.features import Features

COLUMNS = ("file", "kind", "shape", "steps/s>", "seconds>", "lowest>", "mean>", "highest>")


@dataclass
class Request:
    """What a person asked for."""

    files: list[str]
    transform: str
    parameters: list[str] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    output: str | None = None
    plot: Path | None = None
    overwrite: bool = False
    json: bool = False


def extract_features(request: Request) -> int:
    """Returns the exit code: a file that fails is reported and the others go on."""
    transform = transform_of(request.transform, request.parameters)
    before = [parse_stage(text) for text in request.stages]
    inputs = collect(request.files)
    jobs = _jobs(request, inputs)
    pictures = _pictures(request, inputs, jobs)
    found: list[Features] = []
    for job, picture in zip(jobs, pictures, strict=True):
        output = None if request.output is None else job.output
        try:
            features = extract(
                job.source,
                transform,
                output,
                before=before,
                overwrite=request.overwrite,
                picture=picture is not None,
            )
            if picture is not None:
                from wavechain.plots import plot_features

                plot_features(features, picture)
        except WavechainError as error:
            if len(jobs) == 1 or debugging():
                raise
            complain(str(error))
            continue
        found.append(features)
        if request.json:
            print(jsonlib.dumps(features.as_dict(), ensure_ascii=False), flush=True)
        for made in (output, picture):
            if made is not None:
                print(f"{job.source} -> {made}", file=sys.stderr)
    if found and not request.json and request.output is None and request.plot is None:
        print_table("", COLUMNS, [_row(features) for features in found])
    return EXIT_OK if len(found) == len(jobs) else EXIT_FILES_FAILED


def _jobs(request: Request, inputs: Sequence[Input]) -> list[Job]:
    """What to make of which file. Raises UsageError or OutputExistsError before any work."""
    if request.output is None:
        return [Job(item.path, item.path) for item in inputs]
    if not makes_folders(request.output) and Path(request.output).suffix != ".npz":
        raise UsageError(
            f"-o {request.output}: features are kept in .npz files.", hint=f"-o {Path(request.output).stem}.npz."
        )
    jobs = jobs_for(inputs, request.output, "npz")
    if makes_folders(request.output):
        make_folders(jobs)
    for job in jobs:
        _check(job.output, jobs, request)
    return jobs


def _pictures(request: Request, inputs: Sequence[Input], jobs: Sequence[Job]) -> list[Path | None]:
    if request.plot is None:
        return [None] * len(jobs)
    found = picture_names(inputs, request.plot)
    for path in found:
        _check(path, jobs, request)
    return list(found)


def _check(path: Path, jobs: Sequence[Job], request: Request) -> None:
    if path.resolve() in {job.source.resolve() for job in jobs}:
        raise OutputExistsError(f"{path}: is one of the audio files.", hint="another name.")
    if path.exists() and not request.overwrite:
        raise OutputExistsError(f"{path}: exists already.", hint="--overwrite, or another name.")
    check_output(STDIO, path, overwrite=True)


def _row(features: Features) -> list[str]:
    shape = " × ".join(map(str, features.shape))
    numbers = (features.low, features.mean, features.high)
    return [
        features.path,
        features.kind,
        shape,
        f"{float(features.rate):g}",
        f"{features.seconds:.3f}",
        *(f"{number:.4g}" for number in numbers),
    ]
