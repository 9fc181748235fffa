"""Reading lists of files: text, size limits, and names as they are written on other systems."""

from __future__ import annotations

import re
from pathlib import Path

from wavechain.errors import DamagedError, UnreadableError

MAX_BYTES = 1 << 20
MAX_FILES = 10_000
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def read_lines(path: Path) -> list[str]:
    """Lines of a list, UTF-8 or, as the old ones are, Latin-1. Raises UnreadableError for what is no text."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableError(f"{path}: {(error.strerror or str(error)).lower()}.", hint="check the name.") from None
    if len(data) > MAX_BYTES or b"\0" in data:
        raise UnreadableError(f"{path}: is not a list of files.", hint="a text file of at most 1 MiB.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.splitlines()


def member(path: Path, name: str, place: str) -> Path:
    """The file that a list at *path* means by *name*. Backslashes separate folders where no such file is."""
    if ADDRESS.match(name):
        raise DamagedError(f"{place}: {name} is an address, not a file.", hint="download it first.")
    found = path.parent / name
    if "\\" in name and not found.exists():
        found = path.parent / name.replace("\\", "/")
    return found
