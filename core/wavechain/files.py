"""Opening inputs: which loader reads a path, and what is said when none can."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from wavechain.errors import DamagedError, EmptyAudioError, MissingDependencyError, UnreadableError, WavechainError
from wavechain.origins import FileOrigin
from wavechain.registry import registry
from wavechain.spool import no_room
from wavechain.stages import Loader, Source

STDIO = Path("-")


def open_input(path: Path) -> FileOrigin:
    """The first loader that understands *path*: those registered for its suffix, then the others.

    Raises  UnreadableError naming the file: missing, a folder, not permitted, empty, or not audio
    """
    if path == STDIO:
        if sys.stdin is None:
            raise UnreadableError("standard input: is closed.", hint="wavechain run - out.wav < in.wav.")
        return _open_with_any(_parked(sys.stdin.buffer, "standard input"), "standard input")
    name = str(path)
    try:
        if path.is_dir():
            raise UnreadableError(f"{name}: is a folder.", hint=f"{name}/*.flac, or -o FOLDER to process a folder.")
        if path.exists() and not path.is_file():
            return _open_with_any(_parked(path.open("rb"), name), name)
        with path.open("rb") as file:
            if not file.read(1):
                raise UnreadableError(f"{name}: is empty (0 bytes).", hint="copy the file again from its origin.")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UnreadableError(f"{name}: {reason}.", hint="check the name and its permissions.") from None
    return _open_with_any(path, name)


def open_source(path: str | Path) -> Source:
    """Open a file with whichever loader reads it: for a stage that reads other files, as a playlist does.

    >>> with open_source("song.flac") as source:  # doctest: +SKIP
    ...     block = source.read(1000)

    Raises  as `open_input`
    """
    path = Path(path)
    return open_input(path).loader.open(path)


def _open_with_any(path: Path, name: str) -> FileOrigin:
    reg = registry()
    suffix = path.suffix.lower()
    mine = reg.loaders_for(suffix)
    others = [spec for spec in reg.stages("loader") if spec.available and spec not in mine]
    first: WavechainError | None = None
    for spec in (*mine, *reg.unavailable_for("loader", suffix), *others):
        try:
            loader = reg.load(spec)()
            assert isinstance(loader, Loader)
            return FileOrigin(loader, path, name)
        except DamagedError as error:
            raise error.at(name) from None
        except (MissingDependencyError, UnreadableError) as error:
            first = first or error
        except EmptyAudioError:
            if first is None:
                raise
    raise (first or UnreadableError(f"{name}: no loader is installed.", hint="wavechain plugins list.")).at(name)


def _parked(stream: BinaryIO, name: str) -> Path:
    """A pipe as a file: decoders seek, pipes do not. Removed when the process ends."""
    handle = tempfile.NamedTemporaryFile(prefix="wavechain-pipe-", delete=False)  # noqa: SIM115 - outlives this call
    path = Path(handle.name)
    atexit.register(path.unlink, missing_ok=True)
    try:
        with handle, stream:
            shutil.copyfileobj(stream, handle, 1 << 20)
    except OSError as error:
        raise no_room(error) from error
    if not path.stat().st_size:
        raise UnreadableError(f"{name}: is empty (0 bytes).", hint="check what writes into it.")
    return path
