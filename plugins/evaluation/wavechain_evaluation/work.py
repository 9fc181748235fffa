"""What a worker process does: make a pair, have a row repair it, measure. Nothing is shared but the plan."""

from __future__ import annotations

import math
import os
import re
import resource
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from wavechain.audio import Audio
from wavechain.errors import StageError, WavechainError
from wavechain.files import open_input
from wavechain.output import OutputOptions
from wavechain.registry import registry
from wavechain.stream import Block
from wavechain_evaluation.faults import Item, Pair, make_pair, noises_of
from wavechain_evaluation.metric import Metric, matching_gain
from wavechain_evaluation.rows import COMMAND_SECONDS, UNPROCESSED, CommandTimeoutError, Repaired, Row, restore

# Set before a worker starts: libraries read them once.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
SHORT_SECONDS, LONG_SECONDS = 1.0, 20.0
WANTED = "wanted"


@dataclass(frozen=True, slots=True)
class Plan:
    """All that workers need to know.

    examples         names of the items whose sounds are kept under *audio*
    command_seconds  what a program may take for one item
    """

    rows: tuple[Row, ...]
    items: Mapping[str, Item]
    seed: int = 0
    noise: Path | None = None
    examples: frozenset[str] = frozenset()
    audio: Path | None = None
    command_seconds: float = COMMAND_SECONDS


@dataclass(frozen=True, slots=True)
class Task:
    """One row, one fault; a program that takes folders has all items in one task.

    items  by name, each with the metrics that are asked about it
    """

    row: int
    fault: str
    items: Mapping[str, Sequence[str]]


@dataclass(slots=True)
class Outcome:
    """What came of one item.

    no_pair    whether that is no row's doing: the recording could not be read or worsened, as *error* says
    timed_out  the seconds for an item that were not enough; 0 where nothing was ended for taking long
    """

    row: int
    fault: str
    item: str
    scores: dict[str, float | None] = field(default_factory=dict)
    severity: dict[str, str] = field(default_factory=dict)
    delay: int = 0
    error: str = ""
    no_pair: bool = False
    timed_out: float = 0.0


Cost: TypeAlias = Mapping[str, Any]
"""``cpu_seconds_per_minute`` and ``start_cpu_seconds``, or why there are none: ``error``, ``timed_out``."""

_plan: Plan | None = None


def begin(plan: Plan) -> None:
    global _plan  # noqa: PLW0603 - a worker has one plan for life
    _plan = plan


def plan_of_this_worker() -> Plan:
    assert _plan is not None
    return _plan


def work(task: Task) -> list[Outcome]:
    """Errors are outcomes: one row or one file that fails must not end the bench."""
    plan = plan_of_this_worker()
    row = plan.rows[task.row]
    pairs: dict[str, Pair] = {}
    outcomes = []
    for name in task.items:
        try:
            pairs[name] = _pair(task.fault, name)
        except Exception as error:  # noqa: BLE001 - as above: a loader or degradation of somebody else's
            outcomes.append(Outcome(task.row, task.fault, name, error=_told(name, error), no_pair=True))
    if not pairs:
        return outcomes
    try:
        sounds = [(pair.degraded, pair.sample_rate) for pair in pairs.values()]
        repaired = restore(row, sounds, [sound for sound, _ in sounds], plan.seed, plan.command_seconds)
    except Exception as error:  # noqa: BLE001 - as above: a stage of somebody else's
        said, late = _told(row.name, error), plan.command_seconds if isinstance(error, CommandTimeoutError) else 0.0
        return [*outcomes, *(Outcome(task.row, task.fault, name, error=said, timed_out=late) for name in pairs)]
    found = zip(pairs.items(), repaired, strict=True)
    return [*outcomes, *(_measured(task, name, pair, made) for (name, pair), made in found)]


def cost(row_index: int, fault: str, names: Sequence[str]) -> Cost:
    """CPU-seconds a minute of a channel, and those that starting takes (programs): this process's and its children's.

    The difference between a long and a short sound is taken, so that starting does not count as work. They have the
    channels of the first recording: some stages take stereo alone. Where the row fails on them there is no figure but
    its ``error``, and ``timed_out`` as in `Outcome`.
    """
    plan = plan_of_this_worker()
    row = plan.rows[row_index]
    pairs = [_pair(fault, name) for name in names]
    rate = pairs[0].sample_rate
    channels = pairs[0].degraded.shape[0]
    alike = [pair.degraded for pair in pairs if (pair.sample_rate, pair.degraded.shape[0]) == (rate, channels)]
    frames, sound = int(LONG_SECONDS * rate), np.concatenate(alike, axis=-1)
    long = np.ascontiguousarray(np.tile(sound, math.ceil(frames / sound.shape[-1]))[:, :frames])
    short = np.ascontiguousarray(long[:, : int(SHORT_SECONDS * rate)])

    def seconds(sound: Block) -> float:
        before = _cpu_seconds()
        restore(row, [(sound, rate)], [sound], plan.seed, plan.command_seconds)
        return _cpu_seconds() - before

    try:
        if not row.outside:
            seconds(short)  # imports and caches
        starting, whole = seconds(short), seconds(long)
    except Exception as error:  # noqa: BLE001 - as in `work`
        late = {"timed_out": plan.command_seconds} if isinstance(error, CommandTimeoutError) else {}
        return {"error": _told(row.name, error), **late}
    a_minute = max(0.0, whole - starting) * 60 / (LONG_SECONDS - SHORT_SECONDS) / channels
    return {"cpu_seconds_per_minute": round(a_minute, 4), "start_cpu_seconds": round(starting, 4)}


def sound_name(item: str, what: str) -> str:
    """Where a kept sound lies below its fault's folder."""
    return f"{_slug(item)}/{_slug(what)}.flac"


def keep(path: Path, waveform: Block, sample_rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Audio(np.ascontiguousarray(waveform), sample_rate).write(path, OutputOptions(bit_depth="16"), overwrite=True)


def _measured(task: Task, name: str, pair: Pair, found: Repaired) -> Outcome:
    plan = plan_of_this_worker()
    row = plan.rows[task.row]
    outcome = Outcome(task.row, task.fault, name, severity=dict(pair.severity), delay=found.delay)
    if not np.isfinite(found.waveform).all():
        outcome.error = f"{row.name}: {name}: returned values that are not finite."
        return outcome
    matched = found.waveform
    if row.outside:
        matched = matched * np.float32(matching_gain(pair.wanted, matched))
    for metric_name in task.items[name]:
        metric = _metric(metric_name)
        estimate = found.waveform if getattr(metric, "keeps_level", False) else matched
        value = metric(pair.wanted, estimate, pair.sample_rate)
        outcome.scores[metric_name] = round(value, 6) if np.isfinite(value) else None
    if plan.audio is not None and name in plan.examples:
        folder = plan.audio / task.fault
        keep(folder / sound_name(name, row.name), matched, pair.sample_rate)
        if row.name == UNPROCESSED:
            keep(folder / sound_name(name, WANTED), pair.wanted, pair.sample_rate)
    return outcome


@lru_cache(maxsize=8)
def _pair(fault: str, name: str) -> Pair:
    plan = plan_of_this_worker()
    item = plan.items[name]
    noises = () if plan.noise is None or item.degraded else _noises(open_input(item.path).spec.sample_rate)
    return make_pair(fault, item, plan.seed, noises)


@lru_cache(maxsize=4)
def _noises(sample_rate: int) -> tuple[Block, ...]:
    return noises_of(plan_of_this_worker().noise, sample_rate)


@lru_cache(maxsize=64)
def _metric(name: str) -> Metric:
    metric: Metric = registry().load_part("metric", name)()
    return metric


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _told(who: str, error: Exception) -> str:
    """In one line, whatever it is."""
    if isinstance(error, WavechainError):
        return str(error)
    return str(StageError(f"{who}: unexpected {type(error).__name__}: {error}."))


def _slug(text: str) -> str:
    """A name for a file; what could not stay as it is has a mark of its own, so that no two texts share a name."""
    slug = re.sub(r"[^\w.-]+", "-", text).strip("-.")
    return slug if slug == text else f"{slug}-{zlib.crc32(text.encode()):08x}".lstrip("-")


def with_one_thread(call: Callable[[], None]) -> None:
    """Run *call*, which starts workers, while the environment says one thread."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        call()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
