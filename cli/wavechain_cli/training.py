"""``wavechain train`` and ``models``: a recipe, folders and a bar; what models there are."""

from __future__ import annotations

import contextlib
import json as jsonlib
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavechain.errors import EXIT_INTERRUPTED, EXIT_OK, UsageError, WavechainError
from wavechain.models import ModelFolder, export_model, find_model, open_model
from wavechain.recipes import read_recipe
from wavechain.registry import registry
from wavechain_cli.guard import complain, debugging
from wavechain_cli.tables import print_table

Progress = Callable[[int, int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Request:
    """What a person asked for."""

    recipe: str
    data: list[Path]
    output: Path | None
    noise: list[Path]
    start: str | None
    resume: bool
    explain: bool
    device: str | None
    minutes: float | None
    steps: int | None

    @property
    def command(self) -> str:
        """What was typed, without --resume: the line that makes the model."""
        words = ["wavechain", "train", self.recipe, *map(str, self.data), "-o", str(self.output)]
        words += [word for folder in self.noise for word in ("--noise", str(folder))]
        words += ["--start", self.start] if self.start else []
        return shlex.join(words + (["--steps", str(self.steps)] if self.steps else []))


def train(request: Request) -> int:
    """Returns the exit code. Raises WavechainError."""
    settings = read_recipe(request.recipe)
    said = {"device": request.device, "minutes": request.minutes, "steps": request.steps, "start": request.start}
    settings |= {name: value for name, value in said.items() if value is not None}
    if request.noise:
        settings["noise"] = [str(folder) for folder in request.noise]
    training: Any = registry().load("training")(**settings)
    if request.explain:
        with tempfile.TemporaryDirectory(prefix="wavechain-explain-") as cache:
            for section in training.explain(request.data, Path(cache)):
                print_table(section.title, section.columns, section.rows)
                print()
        return EXIT_OK
    if request.output is None:
        raise UsageError("no output is named.", hint="-o runs/NAME.")
    if not request.data:
        raise UsageError("there is nothing to train on.", hint="a folder of recordings, after the recipe.")
    try:
        with _watch() as (progress, say):
            training.train(
                request.data,
                request.output,
                resume=request.resume,
                progress=progress,
                say=say,
                command=request.command,
            )
    except KeyboardInterrupt as stopped:
        if not stopped.args or debugging():
            raise
        complain(str(stopped.args[0]), kind="warning")
        return EXIT_INTERRUPTED
    print(f"{request.output}: model.safetensors, card.md, report.html")
    return EXIT_OK


@contextlib.contextmanager
def _watch() -> Iterator[tuple[Progress, Callable[[str], None]]]:
    """A bar with the losses under the lines on a terminal, else the lines alone."""
    if not sys.stderr.isatty():
        yield (lambda step, steps, losses: None), (lambda line: print(line, file=sys.stderr, flush=True))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("[dim]{task.fields[losses]}"))
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None, losses="reading the recordings")

        def progress(step: int, steps: int, losses: Mapping[str, float]) -> None:
            told = "  ".join(f"{name.rpartition('/')[2]} {value:.3g}" for name, value in losses.items())
            bars.update(task, completed=step, total=steps, losses=escape(told))

        yield progress, lambda line: bars.console.print(escape(line), highlight=False)


def list_models(folders: list[Path], *, json: bool) -> None:
    """Models of plugins, and those in *folders* or one level below them."""
    found: list[tuple[str, str, ModelFolder | WavechainError]] = []
    for spec in registry().models():
        try:
            found.append((spec.name, spec.summary, open_model(spec.folder)))
        except WavechainError as error:
            found.append((spec.name, spec.summary, error))
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder.", hint="the folder of a run, or one that holds runs.")
        for path in (folder, *sorted(folder.iterdir())):
            if (path / "config.json").is_file():
                try:
                    found.append((str(path), "", open_model(path)))
                except WavechainError as error:
                    found.append((str(path), "", error))
    if json:
        print(jsonlib.dumps([_facts(name, summary, model) for name, summary, model in found], indent=2))
        return
    rows = [
        (name, model.part, f"{model.parameters:,}", f"{model.sample_rate} Hz", summary)
        if isinstance(model, ModelFolder)
        else (name, "", "", "", str(model))
        for name, summary, model in found
    ]
    if not rows:
        print("No plugin brings a model. Try: wavechain train RECIPE FOLDER -o runs/NAME.")
        return
    print_table("", ("model", "network", "parameters>", "rate>", "what it does"), rows)


def show_model(name: str, *, json: bool) -> None:
    """Network, settings, rate and shapes of one model."""
    model = find_model(name)
    if json:
        facts = _facts(name, "", model)
        print(jsonlib.dumps(facts | {"shapes": {key: list(shape) for key, shape in model.shapes.items()}}, indent=2))
        return
    rows = [("folder", str(model.path)), ("network", model.part), ("rate", f"{model.sample_rate} Hz")]
    rows += [("parameters", f"{model.parameters:,}"), ("can", ", ".join(map(str, model.config["capabilities"])))]
    rows += [(f"settings.{key}", str(value)) for key, value in model.settings.items()]
    trained = model.config.get("trained")
    rows += [(f"trained.{key}", str(value)) for key, value in trained.items()] if isinstance(trained, dict) else []
    print_table("", ("", ""), rows)
    print()
    print_table(
        "", ("weight", "shape"), [(key, "x".join(map(str, shape)) or "1") for key, shape in model.shapes.items()]
    )


def show_card(name: str) -> None:
    """The model's card, as it was written."""
    model = find_model(name)
    if not model.card:
        raise UsageError(f"{model.path}: has no card.", hint="wavechain models show.")
    print(model.card, end="")


def export(name: str, output: Path, *, onnx: bool) -> None:
    """Copy a model, perhaps with a graph for ONNX Runtime."""
    for path in export_model(find_model(name), output, onnx=onnx):
        print(path)


def _facts(name: str, summary: str, model: ModelFolder | WavechainError) -> dict[str, Any]:
    if not isinstance(model, ModelFolder):
        return {"name": name, "summary": summary, "error": str(model)}
    return {
        "name": name,
        "summary": summary,
        "folder": str(model.path),
        "parameters": model.parameters,
        **{key: value for key, value in model.config.items() if key != "format"},
    }
