"""The bench behind ``wavechain evaluate``: the same worsened recordings for every row, measured the same way.

    items x faults -> pairs -> rows repair them -> metrics -> medians, gains, intervals -> tables, JSON, page

Found as the part ``restoration`` of kind ``bench``.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from wavechain.errors import EXIT_FILES_FAILED, EXIT_OK, StageError, UsageError
from wavechain.params import param
from wavechain.registry import registry
from wavechain.seeds import derive_seed
from wavechain.stages import Stage
from wavechain_evaluation.cache import Cache, data_key
from wavechain_evaluation.faults import CLEAN, GIVEN, Item, chosen, clean_items, fault_names, given_items, make_pair
from wavechain_evaluation.page import page
from wavechain_evaluation.report import AUDIO, PAGE, RESULTS, check_output, report_folder
from wavechain_evaluation.results import Asked, results
from wavechain_evaluation.rows import COMMAND_SECONDS, UNPROCESSED, Row, chain_row, command_row, unprocessed
from wavechain_evaluation.tables import Table, notes, tables
from wavechain_evaluation.work import WANTED, Cost, Outcome, Plan, Task, begin, cost, sound_name, with_one_thread, work

Progress = Callable[[int, int, str], None]
_COST_ITEMS = 6
_SAVE_EVERY = 50
_SPEECH = ("speech", "voice")


class RestorationBench(Stage):
    """What to compare, and on what. `run` does it; the rest is for showing what it found."""

    clean: Path = param(help="A folder of clean recordings.")
    noise: Path | None = param(None, help="A folder of noises to mix in; else noise is made.")
    pairs: Path | None = param(None, help="A folder of worsened recordings, named as the clean ones.")
    degradations: str = param("all", help="Faults, with commas between; clean and mixed are among them.")
    chains: tuple[str, ...] = param(
        (), help="NAME=CHAINFILE or NAME=STAGE|STAGE; NAME@FAULT,FAULT=... for some faults."
    )
    commands: tuple[str, ...] = param((), help="NAME=PROGRAM with {input} {output}, or {input_folder} {output_folder}.")
    command_seconds: float = param(
        COMMAND_SECONDS,
        unit="s",
        gt=0,
        help="How long a program may take for one recording; with folders, times the number of recordings.",
    )
    output: Path | None = param(None, help="A folder for the report.")
    overwrite: bool = param(False, help="Replace a report that is there.")
    cache: Path | None = param(None, help="A folder that remembers what was measured.")
    fresh: tuple[str, ...] = param((), help="Rows to run again, whatever the cache says.")
    metrics: str = param("all", help="Metrics, with commas between.")
    content: str = param("auto", help="What the recordings are: speech, music; auto: the first word of their names.")
    seed: int = param(0, help="Of everything drawn: items, severities, faults, intervals.")
    items: int | None = param(None, ge=1, help="How many recordings of each fault; all by default.")
    costly_items: int = param(8, ge=0, help="How many of them the slow metrics are asked about.")
    examples: int = param(1, ge=0, help="How many of them can be listened to in the report.")
    jobs: int = param(1, ge=1, le=64, help="Processes. CPU time is measured afterwards, in one.")
    cpu: bool = param(True, help="Measure CPU time.")

    def run(self, progress: Progress | None = None) -> dict[str, Any]:
        """Measure everything; write the report when there is an *output*. The results as plain data.

        Raises  UsageError, ChainError, MediaError before any work; what fails on the way is in the results
        """
        needed = [folder for folder in (self.clean, self.noise, self.pairs, self.cache) if folder is not None]
        if self.output is not None:
            check_output(self.output, self.overwrite, needed)
        asked = self._asked()
        with report_folder(self.output, self.overwrite, needed) as folder:
            examples = self._some(asked.items, self.examples, "example")
            plan = Plan(
                rows=tuple(asked.rows),
                items={item.name: item for item in asked.items},
                seed=self.seed,
                noise=self.noise,
                examples=frozenset(examples),
                audio=None if folder is None else folder / AUDIO,
                command_seconds=self.command_seconds,
            )
            cache = Cache(self.cache, asked.rows, data_key(self.seed, self.noise), self.command_seconds)
            for index, row in enumerate(asked.rows):
                if row.name in self.fresh:
                    cache.forget(index)
            costly = frozenset(self._some(asked.items, self.costly_items, "costly"))
            session = _Session(plan, asked, costly, cache, progress)
            outcomes, costs = session.run(self.jobs, cpu=self.cpu)
            found = results(asked, outcomes, costs)
            if folder is not None:
                (folder / RESULTS).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                (folder / PAGE).write_text(page(found, examples, folder), encoding="utf-8")
        return found

    @staticmethod
    def tables(found: dict[str, Any]) -> Iterable[Table]:
        return tables(found)

    @staticmethod
    def notes(found: dict[str, Any]) -> list[str]:
        return notes(found)

    @staticmethod
    def exit_code(found: dict[str, Any]) -> int:
        """1 when a row failed on a recording, or one could not be read or worsened."""
        failed = any(row["failed"] for row in found["rows"]) or any(item["failure"] for item in found["items"])
        return EXIT_FILES_FAILED if failed else EXIT_OK

    def _asked(self) -> Asked:
        given = self.pairs is not None
        if given and self.degradations != "all":
            raise UsageError("--pairs and --degradations exclude one another.", hint="one of them.")
        for folder in filter(None, (self.clean, self.noise, self.pairs)):
            if not folder.is_dir():
                raise UsageError(f"{folder}: is no folder.", hint="a folder of recordings.")
        faults = (GIVEN,) if given else fault_names(self.degradations)
        everything = clean_items(self.clean, self.content)
        if self.pairs is not None:
            everything = given_items(everything, self.pairs)
        items = chosen(everything, self.items, self.seed)
        if given:
            for item in items:
                make_pair(GIVEN, item, self.seed, ())  # a pair that does not match is said now, not at the end
        elif not items:
            raise UsageError(f"{self.clean}: holds no recording.", hint="a folder of recordings.")
        rows = [unprocessed(), *map(chain_row, self.chains), *map(command_row, self.commands)]
        rows = [replace(row, faults=fault_names(",".join(row.faults)) if row.faults else ()) for row in rows]
        _one_for_each(rows, faults)
        names = [row.name for row in rows]
        for name in self.fresh:
            if name not in names:
                raise UsageError(f"--fresh {name}: no row is called that.", hint=", ".join(dict.fromkeys(names)) + ".")
        metrics, missing = self._metrics()
        return Asked(items, faults, rows, metrics, self.seed, missing)

    def _metrics(self) -> tuple[list[str], dict[str, str]]:
        parts = {part.name: part for part in registry().parts("metric")}
        wanted = list(parts) if self.metrics == "all" else [word.strip() for word in self.metrics.split(",")]
        found = [registry().part("metric", name) for name in wanted]
        missing = {part.name: str(part.missing_error()) for part in found if part.missing}
        return [part.name for part in found if not part.missing], missing

    def _some(self, items: Sequence[Item], count: int, purpose: str) -> list[str]:
        return [item.name for item in chosen(items, count, derive_seed(self.seed, purpose))] if count else []


class _Session:
    """One run of the bench: what is in the cache is taken from there, the rest goes to workers.

    costly  names of the items that costly metrics are asked about
    """

    def __init__(
        self, plan: Plan, asked: Asked, costly: Collection[str], cache: Cache, progress: Progress | None
    ) -> None:
        self.plan, self.asked, self.cache = plan, asked, cache
        self._metrics = {item.name: self._metrics_for(item, costly) for item in asked.items}
        self._progress = progress or (lambda done, total, text: None)
        self._outcomes: list[Outcome] = []
        self._costs: dict[int, Cost] = {}

    def run(self, jobs: int, *, cpu: bool) -> tuple[list[Outcome], dict[int, Cost]]:
        tasks = list(self.tasks())
        if tasks:
            with_one_thread(lambda: self._measure(tasks, jobs))
        if cpu:
            with_one_thread(self._time)
        return self._outcomes, self._costs

    def tasks(self) -> Iterator[Task]:
        """What the cache does not hold; items outermost, so that a worker makes a pair once for all rows."""
        for fault in self.asked.faults:
            by_folder: dict[int, dict[str, list[str]]] = {}
            for item in self.asked.items:
                metrics = self._metrics[item.name]
                for index, row in enumerate(self.asked.rows):
                    if not row.serves(fault):
                        continue
                    outcome = self._known(index, fault, item, metrics)
                    if outcome is not None:
                        self._outcomes.append(outcome)
                    elif row.by_folder:
                        by_folder.setdefault(index, {})[item.name] = metrics
                    else:
                        yield Task(index, fault, {item.name: metrics})
            for index, items in by_folder.items():
                yield Task(index, fault, items)

    def _known(self, index: int, fault: str, item: Item, metrics: Sequence[str]) -> Outcome | None:
        outcome = self.cache.outcome(index, fault, item, metrics)
        if outcome is None or outcome.error:
            return outcome
        if self.plan.audio is not None and item.name in self.plan.examples:
            for name in self._sounds(index):
                target = self.plan.audio / fault / sound_name(item.name, name)
                if not self.cache.sound_from(index, fault, item, name, target):
                    return None
        return outcome

    def _sounds(self, index: int) -> tuple[str, ...]:
        name = self.asked.rows[index].name
        return (name, WANTED) if name == UNPROCESSED else (name,)

    def _metrics_for(self, item: Item, costly: Collection[str]) -> list[str]:
        """Those that are asked about this item."""
        found = []
        for name in self.asked.metrics:
            metric = registry().load_part("metric", name)
            speech_only = metric.content == "speech" and item.content not in _SPEECH
            too_costly = getattr(metric, "costly", False) and item.name not in costly
            if not speech_only and not too_costly:
                found.append(name)
        return found

    def _measure(self, tasks: Sequence[Task], jobs: int) -> None:
        total, done = sum(len(task.items) for task in tasks), 0
        try:
            with _pool(self.plan, min(jobs, len(tasks))) as pool:
                for future in as_completed([pool.submit(work, task) for task in tasks]):
                    for outcome in future.result():
                        self._take(outcome)
                        done += 1
                        self._progress(done, total, f"{outcome.fault}: {self.asked.rows[outcome.row].name}")
                        if done % _SAVE_EVERY == 0:
                            self.cache.save()
        except BrokenProcessPool:
            raise StageError("a worker process died.", hint="--jobs 1, and one row at a time.") from None
        finally:
            self.cache.save()

    def _take(self, outcome: Outcome) -> None:
        item = self.plan.items[outcome.item]
        self._outcomes.append(outcome)
        self.cache.add(outcome, item, self._metrics[item.name])
        if self.plan.audio is not None and outcome.item in self.plan.examples and not outcome.error:
            for name in self._sounds(outcome.row):
                source = self.plan.audio / outcome.fault / sound_name(outcome.item, name)
                self.cache.keep_sound(outcome.row, outcome.fault, item, name, source)

    def _time(self) -> None:
        """One row after the other, each in a process of its own, with one thread."""
        todo = []
        for index, row in enumerate(self.asked.rows):
            known = self.cache.cost(index)
            mine = [outcome for outcome in self._outcomes if outcome.row == index and not outcome.no_pair]
            if known is not None:
                self._costs[index] = known
            elif mine and row.name != UNPROCESSED and not any(outcome.error for outcome in mine):
                served = {outcome.fault for outcome in mine} - {CLEAN}
                fault = next((fault for fault in self.asked.faults if fault in served), CLEAN)
                names = sorted(outcome.item for outcome in mine if outcome.fault == fault)
                todo.append((index, fault, names[:_COST_ITEMS]))
        for count, (index, fault, names) in enumerate(todo, 1):
            self._progress(count, len(todo), f"CPU time: {self.asked.rows[index].name}")
            try:
                with _pool(self.plan, 1) as pool:
                    self._costs[index] = pool.submit(cost, index, fault, names).result()
            except BrokenProcessPool:
                self._costs[index] = {"error": "the process died."}
            self.cache.add_cost(index, self._costs[index])
        self.cache.save()


@contextmanager
def _pool(plan: Plan, jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Workers that end with the body, also when it is interrupted."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=begin, initargs=(plan,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _one_for_each(rows: Sequence[Row], faults: Sequence[str]) -> None:
    """Raises UsageError when two rows of one name serve the same fault, or a name is reserved."""
    for fault in faults:
        seen: set[str] = set()
        for row in rows:
            if row.serves(fault):
                if row.name == WANTED:
                    raise UsageError(f"a row is called {WANTED!r}, as what is wanted is.", hint="another name.")
                if row.name in seen:
                    raise UsageError(f"two rows are called {row.name!r} ({fault}).", hint="another name.")
                seen.add(row.name)
