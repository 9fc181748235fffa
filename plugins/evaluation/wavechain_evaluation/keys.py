"""What the results of a chain depend on besides its settings: code, and the files and models they name, as digests."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from wavechain.errors import WavechainError
from wavechain.models import CONFIG, find_model
from wavechain.registry import registry

_WEIGHTS = (".safetensors", ".onnx")


def files_of(settings: object) -> list[Path]:
    """Files and folders that settings name; of a model what computes, as its folder grows while it is trained."""
    found: set[Path] = set()
    for text in _texts(settings):
        with contextlib.suppress(WavechainError, OSError):
            folder = find_model(text).path
            found |= {file for file in folder.iterdir() if file.name == CONFIG or file.suffix in _WEIGHTS}
            continue
        with contextlib.suppress(OSError):  # a text that is too long for a name
            if Path(text).is_file() or ("/" in text and Path(text).is_dir()):
                found.add(Path(text))
    return sorted(found)


def _texts(settings: object) -> Iterator[str]:
    """Every text in them, however deep: stages hold chains of others."""
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, Mapping | list):
        for value in settings.values() if isinstance(settings, Mapping) else settings:
            yield from _texts(value)


@cache
def code_key() -> str:
    """Changes with the core and every plugin that brings stages for chains: a stage may run those of other plugins."""
    names = {
        record.entry.partition(":")[0].partition(".")[0]
        for record in registry().plugins()
        if any(stage.kind != "trainer" for stage in record.stages)
    }
    specs = [spec for spec in map(importlib.util.find_spec, sorted(names)) if spec is not None]
    places = [place for spec in specs for place in spec.submodule_search_locations or [spec.origin or ""]]
    return "".join(content_key(Path(place)) for place in places if place)


def digest(*words: str) -> str:
    return hashlib.blake2b("\x1f".join(words).encode(), digest_size=12).hexdigest()


def content_key(path: Path) -> str:
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    told = hashlib.blake2b(digest_size=12)
    for file in files:
        if "__pycache__" not in file.parts:
            told.update(file.name.encode() + file.read_bytes())
    return told.hexdigest()
