"""The folder of a report: there whole or not at all, and never in the place of anything but an earlier report."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wavechain.errors import OutputExistsError, UsageError
from wavechain.lastmile import unwritable

RESULTS, PAGE, AUDIO = "results.json", "report.html", "audio"


def check_output(output: Path, overwrite: bool, needed: Iterable[Path]) -> None:
    """Whether a report may be put there.

    needed  folders that the bench reads or fills, none of which may lie inside
    Raises  OutputExistsError where something is that may not be replaced, or is no report; UsageError for *needed*
    """
    if output.exists() and not overwrite:
        raise OutputExistsError(f"{output}: exists already.", hint="--overwrite, or another name.")
    for folder in needed:
        if folder.resolve().is_relative_to(output.resolve()):
            raise UsageError(f"{output}: would be replaced by the report, with {folder} in it.", hint="another name.")
    foreign = _foreign(output.resolve())
    if foreign is not None:
        raise OutputExistsError(f"{foreign}: is not of a report, and would be lost.", hint="another name.")


@contextmanager
def report_folder(output: Path | None, overwrite: bool, needed: Iterable[Path]) -> Iterator[Path | None]:
    """A folder beside *output* that gets its name when the body succeeds, and is removed when it does not.

    Raises  as `check_output`, which is asked again then; UnwritableError
    """
    if output is None:
        yield None
        return
    place = output.resolve()
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
    except OSError as error:
        raise unwritable(output, error) from None
    try:
        yield part
        check_output(output, overwrite, needed)
        _put(part, place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put(part: Path, place: Path) -> None:
    """Rename; the old report is removed after that, or has its name again when it fails."""
    old = place.with_name(f".{place.name}.{os.getpid()}.old")
    try:
        if place.exists():
            place.rename(old)
        try:
            part.rename(place)
        except OSError:
            if old.exists():
                old.rename(place)
            raise
    except OSError as error:
        raise unwritable(place, error) from error
    shutil.rmtree(old, ignore_errors=True)


def _foreign(place: Path) -> Path | None:
    """Something there that no bench wrote; None where there is nothing, or a report and nothing else."""
    if not place.exists():
        return None
    if not place.is_dir():
        return place
    files = [path for path in sorted(place.rglob("*")) if path.is_symlink() or not path.is_dir()]
    if files and not _is_ours(place / RESULTS):
        return files[0]
    return next((path for path in files if not _belongs(path.relative_to(place))), None)


def _is_ours(results: Path) -> bool:
    try:
        found = json.loads(results.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {"version", "metrics", "rows", "faults", "items"} <= found.keys()


def _belongs(path: Path) -> bool:
    if path.parts[0] == AUDIO:  # audio/FAULT/ITEM/ROW.flac
        return len(path.parts) == 4 and path.suffix == ".flac"
    return path.as_posix() in (RESULTS, PAGE)
