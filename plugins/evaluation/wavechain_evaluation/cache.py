"""What was measured before: a later bench with one new row runs that row alone.

A figure is taken from the cache when the row (its settings, the files and weights they name, the code of core and
plugins), the recording, what worsens it, and the metrics are what they were. A program is known by its command line
alone: after changing what lies behind it, say ``--fresh NAME``. That a program took too long is remembered with the
seconds it had, and holds until it may take more; nothing else that failed is.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from wavechain.lastmile import part_file
from wavechain.registry import registry
from wavechain_evaluation.faults import SEVERITIES, Item
from wavechain_evaluation.keys import digest
from wavechain_evaluation.rows import COMMAND_SECONDS, Row
from wavechain_evaluation.work import Cost, Outcome

_VERSION = 2


class Cache:
    """One JSON file a row, and beside it the sounds that were kept. *folder* None: remembers nothing."""

    def __init__(
        self, folder: Path | None, rows: Iterable[Row], data_key: str, command_seconds: float = COMMAND_SECONDS
    ) -> None:
        self._folder = folder
        self._data_key = data_key
        self._command_seconds = command_seconds
        self._keys = {index: row.key() for index, row in enumerate(rows)}
        self._entries: dict[str, dict[str, Any]] = {}
        self._changed: set[str] = set()

    def forget(self, row: int) -> None:
        """As if the row had never been run."""
        self._entries[self._keys[row]] = {}

    def outcome(self, row: int, fault: str, item: Item, metrics: Iterable[str]) -> Outcome | None:
        """What was found then, if all of *metrics* were asked about; or that it took too long."""
        found = self._of(row).get(self._place(fault, item), {})
        if "asked" in found and all(found["asked"].get(name) == _part_key("metric", name) for name in metrics):
            scores = {name: found["scores"][name] for name in metrics if name in found["scores"]}
            return Outcome(row, fault, item.name, scores, found["severity"], found["delay"])
        if self._still_late(found):
            return Outcome(row, fault, item.name, error=found["error"], timed_out=found["timed_out"])
        return None

    def add(self, outcome: Outcome, item: Item, metrics: Iterable[str]) -> None:
        place = self._place(outcome.fault, item)
        if outcome.timed_out:  # what was measured when it had more time stays beside it
            late = {"timed_out": outcome.timed_out, "error": outcome.error}
            self._put(outcome.row, place, self._of(outcome.row).get(place, {}) | late)
        elif not outcome.error:
            told = {key: value for key, value in asdict(outcome).items() if key in ("scores", "severity", "delay")}
            asked = {name: _part_key("metric", name) for name in metrics}
            self._put(outcome.row, place, told | {"asked": asked})

    def cost(self, row: int) -> Cost | None:
        found: Cost | None = self._of(row).get("cost")
        return None if found is None or ("timed_out" in found and not self._still_late(found)) else found

    def add_cost(self, row: int, found: Cost) -> None:
        if "error" not in found or "timed_out" in found:
            self._put(row, "cost", dict(found))

    def sound_from(self, row: int, fault: str, item: Item, name: str, target: Path) -> bool:
        """Copy a kept sound to *target*; False where there is none."""
        source = self._sound(row, fault, item, name)
        if source is None or not source.is_file():
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return True

    def keep_sound(self, row: int, fault: str, item: Item, name: str, source: Path) -> None:
        target = self._sound(row, fault, item, name)
        if target is not None and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            with part_file(target, overwrite=True) as part:
                shutil.copyfile(source, part)

    def save(self) -> None:
        """Write what is new. Raises UnwritableError."""
        if self._folder is None or not self._changed:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        for key in self._changed:
            path = self._folder / f"{key}.json"
            with part_file(path, overwrite=True) as part:
                part.write_text(json.dumps(self._entries[key]), encoding="utf-8")
        self._changed.clear()

    def _still_late(self, found: Mapping[str, Any]) -> bool:
        return bool(found.get("timed_out", 0.0) >= self._command_seconds)

    def _of(self, row: int) -> dict[str, Any]:
        key = self._keys[row]
        if key not in self._entries:
            self._entries[key] = {}
            if self._folder is not None:
                with contextlib.suppress(OSError, ValueError):  # none, or a torn one: measure again
                    self._entries[key] = json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8"))
        return self._entries[key]

    def _put(self, row: int, place: str, what: dict[str, Any]) -> None:
        self._of(row)[place] = what
        self._changed.add(self._keys[row])

    def _place(self, fault: str, item: Item) -> str:
        return digest(self._data_key, fault, item.name, *_file_key(item.path), *_file_key(item.degraded))

    def _sound(self, row: int, fault: str, item: Item, name: str) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / "audio" / self._keys[row] / f"{self._place(fault, item)}-{digest(name)}.flac"


def data_key(seed: int, noise: Path | None) -> str:
    """Changes when the same recordings would be worsened differently."""
    told = [str(_VERSION), str(seed), json.dumps(SEVERITIES, sort_keys=True)]
    for part in sorted(registry().parts("degradation"), key=lambda part: part.full_name):
        told += [part.name, _part_key("degradation", part.full_name)]
    if noise is not None:
        told += [word for path in sorted(noise.rglob("*")) if path.is_file() for word in _file_key(path)]
    return digest(*told)


@cache
def _part_key(kind: str, name: str) -> str:
    """Changes with the code beside the part."""
    found = importlib.util.find_spec(registry().part(kind, name).target.partition(":")[0])
    if found is None or not found.origin:
        return ""
    return digest(*(path.read_text(encoding="utf-8") for path in sorted(Path(found.origin).parent.glob("*.py"))))


def _file_key(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    facts = path.stat()
    return path.name, str(facts.st_size), str(facts.st_mtime_ns)
