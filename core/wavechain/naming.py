"""Names of outputs: which files to process, and where each result goes.

A template names the output of each input with fields in braces:

    {folder}  the input's folder, relative to the folder that was given     {stem}, {ext}, {name}  parts of its name
    {index}   its number in the run                                         {title}, {artist} …    its tags

Tags come from strangers: whatever they hold, a field becomes one harmless path component.
"""

from __future__ import annotations

import glob
import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wavechain.errors import OutputExistsError, UnreadableError, UsageError, nearest
from wavechain.lastmile import unwritable
from wavechain.registry import registry

PATH_FIELDS = ("folder", "stem", "ext", "name", "index")
TAG_FIELDS = ("title", "artist", "album", "albumartist", "date", "genre", "tracknumber", "discnumber", "composer")
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


@dataclass(frozen=True, slots=True)
class Job:
    """One file to make, and where the residual goes that is asked for with it."""

    source: Path
    output: Path
    residual: Path | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """A file to process, and the folder that was named to find it."""

    path: Path
    root: Path


def collect(arguments: Sequence[str]) -> list[Input]:
    """Files for what a person names: files, folders (all audio in them, sorted), patterns such as ``**/*.flac``.

    Raises  UnreadableError for a folder or pattern without any audio. A missing file is found when it is its turn.
    """
    found: dict[Path, Input] = {}
    for argument in arguments:
        if not argument:
            raise UsageError("an input has an empty name.", hint="check the variable that should hold it.")
        path = Path(argument)
        if argument == "-":
            inputs = [Input(path, path)]
        elif path.is_dir():
            inputs = [Input(file, path) for file in audio_below(path)]
            if not inputs:
                raise UnreadableError(f"{argument}: holds no audio files.", hint="another folder.")
        elif not path.exists() and glob.has_magic(argument):
            files = sorted(Path(name) for name in glob.glob(argument, recursive=True) if Path(name).is_file())
            root = Path(re.split(r"[*?\[]", argument)[0] + "x").parent
            inputs = [Input(file, root) for file in files]
            if not inputs:
                raise UnreadableError(f"{argument}: no file matches.", hint="quotes around a pattern with **.")
        else:
            inputs = [Input(path, path.parent)]
        for item in inputs:
            found.setdefault(item.path, item)
    return list(found.values())


def audio_below(folder: Path) -> list[Path]:
    """Every file in *folder* and below that some loader reads, sorted; hidden ones are left out."""
    suffixes = registry().suffixes("loader")
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )


def jobs_for(inputs: Sequence[Input], target: str, extension: str | None) -> list[Job]:
    """Where each input's result goes.

    target     a file (one input only), a folder (ending in / or existing: the tree below it mirrors the input's), or
               a template
    extension  of outputs that go to a folder, where another format was asked for

    Raises  OutputExistsError when two inputs would make the same file, UsageError for a bad template
    """
    if not target:
        raise UsageError("the output has an empty name.", hint="check the variable that should hold it.")
    if not makes_folders(target):
        if len(inputs) > 1:
            raise UsageError(f"{len(inputs)} inputs cannot all become {target!r}.", hint=f"-o {target}/ for a folder.")
        return [Job(inputs[0].path, Path(target))]
    if any(str(item.path) == "-" for item in inputs):
        raise UsageError("standard input has no name to make an output name from.", hint="-o FILE, or -o -.")
    if _is_folder(target):
        target = f"{target.rstrip('/')}/{{folder}}/{{stem}}.{{ext}}"
    jobs = [Job(item.path, _fill(target, item, index, extension)) for index, item in enumerate(inputs, 1)]
    _refuse_collisions(jobs)
    return jobs


def make_folders(jobs: Iterable[Job]) -> None:
    """Create the folders that folder and template targets imply."""
    for path in (path for job in jobs for path in (job.output, job.residual) if path is not None):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(path.parent, error) from None


def picture_names(inputs: Sequence[Input], target: Path) -> list[Path]:
    """Where the picture of each input goes: *target*, or below that folder as the input lies below its own.

    Raises  UsageError when many would go into one file, OutputExistsError when two would get the same name
    """
    if not target.is_dir():
        if len(inputs) == 1:
            return [target]
        if target.suffix:
            raise UsageError(f"{target} is one picture, and there are several files.", hint="--plot FOLDER.")
    jobs = [Job(item.path, target / _fill("{folder}/{name}.png", item, 0, None)) for item in inputs]
    _refuse_collisions(jobs)
    make_folders(jobs)
    return [job.output for job in jobs]


def makes_folders(target: str) -> bool:
    """Whether *target* is a folder or a template, not one file."""
    return target != "-" and (_is_folder(target) or bool(_fields(target)))


def root_of(target: str) -> Path:
    """The folder that outputs which are named by *target* lie in or below."""
    return Path(target) if _is_folder(target) else Path(target.partition("{")[0] + "x").parent


def _is_folder(target: str) -> bool:
    return target != "-" and (target.endswith("/") or (not _fields(target) and Path(target).is_dir()))


def _fields(template: str) -> list[str]:
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(f"output template {template!r}: {error}.", hint="{folder}/{stem}.{ext}.") from None
    fields = []
    for _, field, spec, conversion in parsed:
        if field is None:
            continue
        known = (*PATH_FIELDS, *TAG_FIELDS)
        if field not in known or conversion or (spec and not re.fullmatch(r"0?\d{1,2}", spec)):
            guess = nearest(field, known)
            raise UsageError(
                f"output template {template!r}: no field {{{field}}}.",
                hint=f"{{{guess}}}." if guess else f"one of {', '.join(known)}.",
            )
        fields.append(field)
    return fields


def _fill(template: str, item: Input, index: int, extension: str | None) -> Path:
    needed = _fields(template)
    values: dict[str, object] = {
        "folder": "/".join(_component(part) for part in _relative_folder(item).parts) or ".",
        "stem": _component(item.path.stem),
        "ext": _component((extension or item.path.suffix).lstrip(".")),
        "name": _component(item.path.name),
        "index": index,
    }
    if set(needed) & set(TAG_FIELDS):
        from wavechain.tags import read

        tags, _ = read(item.path)
        values |= {field: _component((tags.get(field) or ("unknown",))[0]) for field in TAG_FIELDS}
    text = "".join(
        literal
        + (
            format(values[field], spec or "")
            if field is not None and isinstance(values[field], int)
            else str(values[field])
            if field is not None
            else ""
        )
        for literal, field, spec, _ in string.Formatter().parse(template)
    )
    return Path(text)


def _relative_folder(item: Input) -> Path:
    try:
        return item.path.parent.relative_to(item.root)
    except ValueError:
        return Path()


def _component(text: str) -> str:
    """One path component that cannot climb, hide, or upset a file system."""
    clean = _FORBIDDEN.sub("_", text).strip(" .")[:120].rstrip(" .")
    if not clean or clean.split(".")[0].lower() in _RESERVED:
        clean = f"_{clean}"
    return clean


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    seen: dict[str, Job] = {}
    for job in jobs:
        other = seen.setdefault(str(job.output).casefold(), job)
        if other is not job:
            raise OutputExistsError(
                f"{other.source} and {job.source} would both become {job.output}.",
                hint="process them apart, or -o 'OUT/{folder}/{name}.{ext}'.",
            )
