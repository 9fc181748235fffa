"""The faults of the bench: how severe they come, and the pairs that are made of clean recordings.

Every pair depends on (seed, fault, file name) alone: the same for every row, on every machine, however many files
there are. A fault comes in two or three fixed severities, one of which is drawn for each file and kept in the results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wavechain.audio import Audio
from wavechain.errors import SpecMismatchError, UsageError, nearest
from wavechain.naming import collect
from wavechain.recipes import Degradation, Surroundings
from wavechain.registry import registry
from wavechain.seeds import derive_seed
from wavechain.stream import Block
from wavechain_evaluation.metric import resampled

CLEAN, MIXED, GIVEN = "clean", "mixed", "given"

# Settings that pin a degradation down; what they leave open is drawn as in training. A degradation that is not listed
# is used as it comes.
SEVERITIES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "add-noise": {
        "20 dB": {"snr_db": (20.0, 20.0)},
        "10 dB": {"snr_db": (10.0, 10.0)},
        "0 dB": {"snr_db": (0.0, 0.0)},
    },
    "room": {
        "0.3 s": {"decay_seconds": (0.3, 0.3), "direct_db": (8.0, 8.0)},
        "0.6 s": {"decay_seconds": (0.6, 0.6), "direct_db": (2.0, 2.0)},
    },
    "clip": {
        "20 dB": {"by_damage": 1.0, "snr_db": (20.0, 20.0)},
        "10 dB": {"by_damage": 1.0, "snr_db": (10.0, 10.0)},
        "5 dB": {"by_damage": 1.0, "snr_db": (5.0, 5.0)},
    },
    "codec": {"0.6": {"squeeze": (0.6, 0.6)}, "1.0": {"squeeze": (1.0, 1.0)}},
    "band-limit": {
        "8 kHz": {"cutoff_hz": (8000.0, 8000.0)},
        "4 kHz": {"cutoff_hz": (4000.0, 4000.0)},
    },
    "clicks": {
        "1 a second": {"per_second": (1.0, 1.0)},
        "5 a second": {"per_second": (5.0, 5.0)},
        "20 a second": {"per_second": (20.0, 20.0)},
    },
    "dropouts": {"10 ms": {"length_ms": (10.0, 10.0)}, "40 ms": {"length_ms": (40.0, 40.0)}},
    "hum": {
        "-35 dB": {"level_db": (-35.0, -35.0)},
        "-20 dB": {"level_db": (-20.0, -20.0)},
        "-10 dB": {"level_db": (-10.0, -10.0)},
    },
}

# What decides a fault. Where the truth cannot be known but something plausible can, waveforms are not compared.
MAIN: Mapping[str, tuple[str, ...]] = {
    CLEAN: ("change-db",),
    MIXED: ("si-sdr", "mr-stft"),
    "codec": ("lsd",),
    "band-limit": ("lsd",),
}
DEFAULT_MAIN = ("si-sdr",)


def main_metrics(fault: str) -> tuple[str, ...]:
    return MAIN.get(fault, DEFAULT_MAIN)


@dataclass(frozen=True, slots=True)
class Item:
    """One clean recording. *content* is ``speech``, ``music`` …: the first word of its file's or folder's name."""

    name: str
    path: Path
    content: str
    degraded: Path | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """What a row is given and what it should give back. Shapes (channels, frames)."""

    degraded: Block
    wanted: Block
    sample_rate: int
    severity: Mapping[str, str] = field(default_factory=dict)


def fault_names(wanted: str) -> tuple[str, ...]:
    """``all``, or names with commas between: degradations that plugins registered, ``clean`` and ``mixed``.

    ``noise`` stands for ``add-noise``. Raises UsageError for a name that nothing has.
    """
    parts = {part.name: part for part in registry().parts("degradation")}
    known = (CLEAN, *parts, MIXED)
    if wanted == "all":
        return tuple(name for name in known if name not in parts or not parts[name].missing)
    names = []
    for word in filter(None, map(str.strip, wanted.split(","))):
        name = f"add-{word}" if f"add-{word}" in parts else word
        if name not in known:
            guess = nearest(word, known)
            raise UsageError(f"no fault is called {word!r}.", hint=f"{guess or 'one of ' + ', '.join(known)}.")
        names.append(name)
    if not names:
        raise UsageError("--degradations names no fault.", hint="all, or some of " + ", ".join(known) + ".")
    return tuple(dict.fromkeys(names))


def clean_items(folder: Path, content: str = "auto") -> list[Item]:
    """Every recording under *folder*, by name. Raises UsageError when there is none."""
    items = []
    for found in collect([str(folder)]):
        relative = found.path.relative_to(folder) if found.path.is_relative_to(folder) else Path(found.path.name)
        word = "".join(char for char in relative.parts[0].split(".")[0].split("_")[0] if char.isalpha()).lower()
        items.append(Item(relative.as_posix(), found.path, content if content != "auto" else word or "any"))
    return sorted(items, key=lambda item: item.name)


def given_items(clean: Sequence[Item], folder: Path) -> list[Item]:
    """The clean recordings beside what was made of them, by equal names.

    Raises  UsageError for a file without its partner
    """
    others = {item.name: item.path for item in clean_items(folder)}
    for item in clean:
        if item.name not in others:
            raise UsageError(f"{item.path}: has no partner {folder / item.name}.", hint="pairs have the same names.")
    extra = sorted(others.keys() - {item.name for item in clean})
    if extra:
        raise UsageError(f"{folder / extra[0]}: has no clean partner.", hint="pairs have the same names.")
    return [Item(item.name, item.path, item.content, others[item.name]) for item in clean]


def chosen(items: Sequence[Item], count: int | None, seed: int) -> list[Item]:
    """*count* of the items, as equally from each content as can be; all for None. Order as given."""
    if count is None or count >= len(items):
        return list(items)
    by_content: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda item: derive_seed(seed, "item", item.name)):
        by_content.setdefault(item.content, []).append(item)
    taken: set[str] = set()
    while len(taken) < count:
        for queue in by_content.values():
            if queue and len(taken) < count:
                taken.add(queue.pop().name)
    return [item for item in items if item.name in taken]


def noises_of(folder: Path | None, sample_rate: int) -> tuple[Block, ...]:
    """Recordings of noise as mono at one rate."""
    if folder is None:
        return ()
    found = []
    for file in collect([str(folder)]):
        audio = Audio.read(file.path)
        mono = audio.waveform.mean(axis=0, keepdims=True)
        found.append(np.ascontiguousarray(resampled(mono, audio.sample_rate, sample_rate)[0], np.float32))
    return tuple(found)


def make_pair(fault: str, item: Item, seed: int, noises: Sequence[Block]) -> Pair:
    """Read the item and worsen it. Raises as loaders do; SpecMismatchError for a given pair that does not match."""
    audio = Audio.read(item.path)
    clean, rate = audio.waveform, audio.sample_rate
    if item.degraded is not None:
        return _given(item, audio)
    rng = np.random.default_rng(derive_seed(seed, "pair", fault, item.name))
    surroundings = Surroundings(noises=noises)
    degraded = wanted = clean
    severity = {}
    for name in _applied(fault, rng):
        label, degradation = _drawn(name, rng)
        severity[name] = label
        degraded, target = degradation.apply(degraded, rate, rng, surroundings)
        if degradation.changes_wanted:
            wanted = target
    return Pair(np.ascontiguousarray(degraded, np.float32), wanted, rate, severity)


def _applied(fault: str, rng: np.random.Generator) -> list[str]:
    """Which degradations, in order: what changes the wanted sound (a room) comes first, as in life, and once."""
    if fault == CLEAN:
        return []
    if fault != MIXED:
        return [fault]
    known = sorted(part.name for part in registry().parts("degradation") if not part.missing)
    count = min(len(known), int(rng.integers(2, 4)))
    names = [known[index] for index in rng.choice(len(known), count, replace=False)]
    before = [name for name in names if registry().load_part("degradation", name).changes_wanted]
    return [*before[:1], *(name for name in names if name not in before)]


def _drawn(name: str, rng: np.random.Generator) -> tuple[str, Degradation]:
    settings = SEVERITIES.get(name, {"as it comes": {}})
    label = list(settings)[int(rng.integers(len(settings)))]
    degradation: Degradation = registry().load_part("degradation", name)(**settings[label])
    return label, degradation


def _given(item: Item, clean: Audio) -> Pair:
    assert item.degraded is not None
    other = Audio.read(item.degraded)
    for what, one, two in (
        ("Hz", clean.sample_rate, other.sample_rate),
        ("channels", clean.channels, other.channels),
        ("frames", clean.frames, other.frames),
    ):
        if one != two:
            raise SpecMismatchError(
                f"{item.degraded}: has {two} {what}, and {item.path} has {one}.", hint="pairs made frame by frame."
            )
    return Pair(other.waveform, clean.waveform, clean.sample_rate)
