"""``wavechain run`` and ``plan``: a request into jobs, jobs into events, events onto the terminal."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from wavechain.batch import Event, run_batch, worker_count
from wavechain.chain import Chain, parse_stage, replace_stages, with_output
from wavechain.errors import EXIT_FILES_FAILED, EXIT_OK, OutputExistsError, UsageError, WavechainError
from wavechain.lastmile import unwritable
from wavechain.naming import Job, collect, jobs_for, make_folders, makes_folders, root_of
from wavechain.plan import make_plan
from wavechain.registry import registry
from wavechain.run import Report, RunOptions
from wavechain_cli.guard import complain, debugging

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@dataclass
class Request:
    """What a person asked for."""

    inputs: list[str]
    output: str | None = None
    stages: list[str] = field(default_factory=list)
    chain: Path | None = None
    preset: str | None = None
    jobs: str = "1"
    existing: str = "fail"
    format: str | None = None
    bit_depth: str | None = None
    quality: float | None = None
    bitrate_kbps: int | None = None
    dither: bool | None = None
    overs: str | None = None
    tags: bool | None = None
    verify: bool | None = None
    seed: int = 0
    tail_seconds: float | None = None
    residual: Path | None = None
    report: Path | None = None
    json: bool = False
    quiet: bool = False


def run_request(request: Request, *, dry_run: bool) -> int:
    """Returns the exit code. Raises WavechainError when nothing could be started."""
    if not request.quiet:
        for problem in registry().problems():
            complain(problem, kind="warning")
    chain = build_chain(request)
    jobs = _jobs(request, chain)
    options = RunOptions(
        overwrite=request.existing == "overwrite",
        seed=request.seed,
        tail_seconds=request.tail_seconds,
        measure=request.report is not None,
    )
    new_folders = makes_folders(request.output or request.inputs[-1])
    if dry_run:
        return _show_plans(chain, jobs, options, makes_folders=new_folders, as_json=request.json)
    if request.json and any(str(job.output) == "-" for job in jobs):
        raise UsageError("--json and audio cannot share standard output.", hint="-o FILE, or leave out --json.")
    _refuse_existing(jobs, request.existing)
    if request.report is not None:
        _check_report(request.report, jobs, request.existing)
    if new_folders:
        make_folders(jobs)
    return _run(chain, jobs, options, request)


def build_chain(request: Request) -> Chain:
    """Preset, then chain file, then the stages of the command line; options override the chain's own output table."""
    chain = Chain()
    for part in (
        Chain.preset(request.preset) if request.preset else None,
        Chain.load(request.chain) if request.chain else None,
    ):
        if part is not None:
            chain = Chain((*chain.stages, *part.stages), name=part.name, output=part.output)
    chain = replace_stages(chain, [*chain.stages, *(parse_stage(text) for text in request.stages)])
    names = ("format", "bit_depth", "quality", "bitrate_kbps", "dither", "overs", "tags", "verify")
    return with_output(chain, **{name: getattr(request, name) for name in names})


def _jobs(request: Request, chain: Chain) -> list[Job]:
    arguments, output = list(request.inputs), request.output
    if output is None:
        if len(arguments) < 2:
            raise UsageError("no output is named.", hint=f"wavechain run {arguments[0]} OUTPUT, or -o FOLDER/.")
        output = arguments.pop()
        if len(arguments) > 1 and not (output.endswith("/") or Path(output).is_dir() or "{" in output):
            raise UsageError(f"{output} is not a folder, and there are {len(arguments)} inputs.", hint=f"-o {output}/.")
    jobs = jobs_for(collect(arguments), output, chain.output.format)
    return jobs if request.residual is None else _with_residuals(jobs, output, request.residual)


def _with_residuals(jobs: list[Job], output: str, target: Path) -> list[Job]:
    """The jobs with their residuals: one in the file *target*, or in the folder *target* where the outputs lie below
    theirs.
    """
    from wavechain.residual import identity, refuse_audio

    if target.is_dir():
        jobs = [replace(job, residual=target / job.output.relative_to(root_of(output))) for job in jobs]
    elif len(jobs) > 1:
        raise UsageError(f"--residual {target}: is no folder, and there are {len(jobs)} inputs.", hint="mkdir.")
    else:
        jobs = [replace(jobs[0], residual=target)]
    audio = {identity(path) for job in jobs for path in (job.source, job.output)}
    for job in jobs:
        if job.residual is not None:
            refuse_audio(job.residual, audio)
    return jobs


def _refuse_existing(jobs: list[Job], policy: str) -> None:
    if policy != "fail" or len(jobs) < 2:
        return
    existing = [job.output for job in jobs if job.output.exists()]
    if existing:
        raise OutputExistsError(
            f"{len(existing)} of {len(jobs)} outputs exist already, {existing[0]} first.", hint="--skip or --overwrite."
        )


def _check_report(report: Path, jobs: list[Job], policy: str) -> None:
    """The report must not fall on audio: neither on an input or output, nor on any file without --overwrite."""
    for job in jobs:
        for path in filter(None, (job.source, job.output, job.residual)):
            if path.absolute() == report.absolute() or (path.exists() and report.exists() and path.samefile(report)):
                raise OutputExistsError(f"--report {report}: is one of the audio files.", hint="another name.")
    if report.is_file() and policy != "overwrite" and report.suffix not in (".json", ".jsonl"):
        raise OutputExistsError(f"--report {report}: exists already.", hint="a name that ends in .jsonl.")


def _show_plans(chain: Chain, jobs: list[Job], options: RunOptions, *, makes_folders: bool, as_json: bool) -> int:
    worst = EXIT_OK
    for job in jobs:
        try:
            options = replace(options, residual=job.residual)
            plan = make_plan(chain, job.source, job.output, options, makes_folders=makes_folders)
        except WavechainError as error:
            if len(jobs) == 1 or debugging():
                raise
            complain(str(error))
            worst = EXIT_FILES_FAILED
            continue
        if as_json:
            print(json.dumps(plan.as_dict(), ensure_ascii=False))
        else:
            from wavechain_cli.tables import print_plan

            print_plan(plan)
    return worst


def _run(chain: Chain, jobs: list[Job], options: RunOptions, request: Request) -> int:
    workers = worker_count(request.jobs)
    failed: list[WavechainError] = []
    finished = skipped = 0
    with contextlib.ExitStack() as stack:
        view = stack.enter_context(_view(request, len(jobs)))
        report_file = stack.enter_context(_report_file(request.report)) if request.report else None
        if workers <= 1:
            options = replace(options, progress=view.progress)
        events = stack.enter_context(
            contextlib.closing(
                run_batch(chain, jobs, options, workers=workers, skip_existing=request.existing == "skip")
            )
        )
        for event in events:
            view.show(event)
            if event.kind == "finished" and event.report is not None:
                finished += 1
                if report_file is not None:
                    _append(report_file, event.report)
            elif event.kind == "failed" and event.error is not None:
                failed.append(event.error)
                if debugging():
                    raise event.error
            skipped += event.kind == "skipped"
    view.close(finished, len(failed), skipped)
    if not failed:
        return EXIT_OK
    return failed[0].exit_code if len(jobs) == 1 else EXIT_FILES_FAILED


def _append(file: TextIO, report: Report) -> None:
    try:
        file.write(json.dumps(report.as_dict()) + "\n")
        file.flush()
    except OSError as error:
        raise unwritable(Path(file.name), error) from None


def _report_file(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise unwritable(path, error) from None


class _Quiet:
    """Warnings and errors only."""

    def progress(self, done: int, total: int | None) -> None:
        return

    def show(self, event: Event) -> None:
        if event.kind == "failed":
            complain(str(event.error))
        for warning in event.report.warnings if event.report else ():
            complain(warning, kind="warning")

    def close(self, finished: int, failed: int, skipped: int) -> None:
        return


class _Json(_Quiet):
    """One object a line on standard output; people's lines stay on standard error."""

    def show(self, event: Event) -> None:
        data: dict[str, Any] = {"event": event.kind, "input": str(event.job.source), "output": str(event.job.output)}
        if event.kind == "progress":
            data |= {"done": event.done, "total": event.total}
        if event.report is not None:
            data["report"] = event.report.as_dict()
        if event.error is not None:
            data |= {"error": type(event.error).__name__, "message": event.error.message, "try": event.error.hint}
        print(json.dumps(data, ensure_ascii=False), flush=True)

    def close(self, finished: int, failed: int, skipped: int) -> None:
        print(json.dumps({"event": "summary", "finished": finished, "failed": failed, "skipped": skipped}), flush=True)


class _Bars(_Quiet):
    """A bar for the run and one for each file at work, on a terminal."""

    def __init__(self, progress: Progress, count: int) -> None:
        self._bars = progress
        self._all = progress.add_task("files", total=count) if count > 1 else None
        self._tasks: dict[int, TaskID] = {}
        self._current = 0

    def progress(self, done: int, total: int | None) -> None:
        self._bars.update(self._tasks[self._current], completed=done, total=total)

    def show(self, event: Event) -> None:
        if event.kind == "start":
            self._current = event.index
            self._tasks[event.index] = self._bars.add_task(event.job.source.name, total=None)
        elif event.kind == "progress":
            self._bars.update(self._tasks[event.index], completed=event.done, total=event.total)
        else:
            if event.index in self._tasks:
                self._bars.remove_task(self._tasks.pop(event.index))
            if self._all is not None:
                self._bars.advance(self._all)
            super().show(event)


class _Lines(_Quiet):
    """A line for each finished file."""

    def show(self, event: Event) -> None:
        super().show(event)
        if event.report is not None:
            print(f"{event.job.source} -> {event.job.output}", file=sys.stderr)

    def close(self, finished: int, failed: int, skipped: int) -> None:
        if finished + failed + skipped > 1:
            print(f"{finished} finished, {failed} failed, {skipped} skipped", file=sys.stderr)


@contextlib.contextmanager
def _view(request: Request, count: int) -> Iterator[_Quiet]:
    if request.json:
        yield _Json()
    elif request.quiet:
        yield _Quiet()
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            yield _Bars(progress, count)
    else:
        yield _Lines()
