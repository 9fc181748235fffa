"""Batch: one chain over many files, in this process or in several.

Workers are disposable: a decoder that crashes takes one file with it, not the run. Failures are outcomes, not the end.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Literal

from wavechain import interrupts
from wavechain.errors import MediaError, StageError, UsageError, WavechainError
from wavechain.lastmile import remove_parts
from wavechain.naming import Job
from wavechain.plan import make_plan
from wavechain.run import Report, RunOptions, execute

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from wavechain.chain import Chain

PROGRESS_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one job.

    kind      start, progress (`done` of `total` frames in this pass), finished (`report`), skipped, failed (`error`)
    """

    kind: Literal["start", "progress", "finished", "skipped", "failed"]
    index: int
    job: Job
    done: int = 0
    total: int | None = None
    report: Report | None = None
    error: WavechainError | None = None


def run_batch(
    chain: Chain,
    jobs: Sequence[Job],
    options: RunOptions,
    *,
    workers: int = 1,
    skip_existing: bool = False,
) -> Generator[Event, None, None]:
    """Run *chain* on every job; yields what happens as it happens.

    Stop iterating (close the generator, or an exception in the caller) and the workers stop, leaving no partial file.
    """
    todo: list[tuple[int, Job]] = []
    for index, job in enumerate(jobs):
        if skip_existing and job.output.exists():
            yield Event("skipped", index, job)
        else:
            todo.append((index, job))
    if workers <= 1 or len(todo) <= 1:
        yield from _here(chain, todo, options)
    else:
        yield from _Supervisor(chain, todo, options, min(workers, len(todo))).events()


def _here(chain: Chain, todo: Sequence[tuple[int, Job]], options: RunOptions) -> Iterator[Event]:
    for index, job in todo:
        yield Event("start", index, job)
        yield _attempt(chain, index, job, options)


def _attempt(chain: Chain, index: int, job: Job, options: RunOptions) -> Event:
    if job.residual is not None:
        options = replace(options, residual=job.residual)
    try:
        return Event("finished", index, job, report=execute(make_plan(chain, job.source, job.output, options)))
    except WavechainError as error:
        return Event("failed", index, job, error=error)
    except BrokenPipeError:  # whoever read our standard output has gone
        raise
    except MemoryError:
        return Event("failed", index, job, error=MediaError(f"{job.source}: not enough memory.", hint="fewer --jobs."))
    except Exception as error:  # noqa: BLE001 - a fault of ours in one file must not end the run
        unexpected = StageError(
            f"{job.source}: unexpected {type(error).__name__}: {error}.", hint="--debug, and report it as a bug."
        )
        unexpected.__cause__ = error
        return Event("failed", index, job, error=unexpected)


class _Supervisor:
    """Keeps *count* workers busy, one job at a time each; replaces a worker that dies."""

    def __init__(self, chain: Chain, todo: Sequence[tuple[int, Job]], options: RunOptions, count: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._settings = (chain, replace(options, progress=None))
        self._todo = list(reversed(todo))
        self._count = count
        self._workers: dict[Connection, SpawnProcess] = {}
        self._busy: dict[Connection, tuple[int, Job]] = {}

    def events(self) -> Iterator[Event]:
        try:
            for _ in range(self._count):
                self._hire()
            while self._todo or self._busy:
                for connection in list(self._workers):
                    if self._todo and connection not in self._busy:
                        yield self._assign(connection)
                interrupts.heed()
                for connection in self._readable():
                    yield self._receive(connection)
        finally:
            self._dismiss()

    def _readable(self) -> list[Connection]:
        ready = wait(list(self._busy))
        return [connection for connection in self._busy if connection in ready]

    def _hire(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, *self._settings), daemon=True)
        process.start()
        theirs.close()
        self._workers[ours] = process

    def _assign(self, connection: Connection) -> Event:
        index, job = self._todo.pop()
        self._busy[connection] = (index, job)
        with contextlib.suppress(OSError):  # a worker that died meanwhile shows when it is read from
            connection.send((index, job))
        return Event("start", index, job)

    def _receive(self, connection: Connection) -> Event:
        try:
            event: Event = connection.recv()
        except (EOFError, OSError):
            return self._lost(connection)
        if event.kind != "progress":
            del self._busy[connection]
        return event

    def _lost(self, connection: Connection) -> Event:
        index, job = self._busy.pop(connection)
        process = self._workers.pop(connection)
        connection.close()
        process.join()
        if self._todo:
            self._hire()
        remove_parts(job.output, process.pid)
        code = process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        error = MediaError(
            f"{job.source}: the worker process died ({how}).", hint="that file alone, with --jobs 1 --debug."
        )
        return Event("failed", index, job, error=error)

    def _dismiss(self) -> None:
        for connection, process in self._workers.items():
            if connection in self._busy:
                process.terminate()
            connection.close()
        for process in self._workers.values():
            process.join(5)
            if process.is_alive():
                process.kill()


def _work(connection: Connection, chain: Chain, options: RunOptions) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    with contextlib.suppress(EOFError, BrokenPipeError, OSError, KeyboardInterrupt), interrupts.heard():
        while True:
            index, job = connection.recv()
            connection.send(_attempt(chain, index, job, replace(options, progress=_Throttle(connection, index, job))))


class _Throttle:
    """Sends progress ten times a second, whatever the block size."""

    def __init__(self, connection: Connection, index: int, job: Job) -> None:
        self._connection, self._index, self._job = connection, index, job
        self._next = 0.0

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PROGRESS_SECONDS
            self._connection.send(Event("progress", self._index, self._job, done, total))


def worker_count(text: str | int) -> int:
    """``auto`` (one for each core) or a number from 1 to 256."""
    import os

    if text == "auto":
        return os.cpu_count() or 1
    try:
        count = int(text)
    except ValueError:
        count = 0
    if not 1 <= count <= 256:
        raise UsageError(f"--jobs {text} is out of range.", hint="auto, or 1 to 256.")
    return count


def total_seconds(reports: Sequence[Report]) -> float:
    """Seconds of audio in what was made."""
    return sum((report.spec.seconds or 0.0) for report in reports)
