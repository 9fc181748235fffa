"""What a run leaves on disk.

runs/x/
├── model.safetensors   the averaged weights, for inference
├── config.json         what rebuilds the network: names and numbers, never code
├── card.md             what it was trained on and how
├── report.html         curves, sounds and settings, to look at while it runs
├── …                   what the recipe adds: an ONNX graph
└── train/              for going on
    ├── training.json   the settings
    ├── checkpoint.safetensors
    ├── log.csv, validation.csv, left-out.csv
    ├── best/           the model as it was when it validated best
    ├── previews/       sounds of the validation and their spectrograms, step by step
    ├── tensorboard/    only where asked for
    └── clips/          decoded recordings; may be deleted
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from wavechain.audio import Audio
from wavechain.errors import OutputExistsError, UnreadableError, UsageError
from wavechain.lastmile import unwritable
from wavechain.models import CONFIG, WEIGHTS, write_model
from wavechain.recipes import Recipe
from wavechain.stream import Block
from wavechain_trainer.clips import Data, Left
from wavechain_trainer.pages import Facts, card, report
from wavechain_trainer.pictures import spectrogram_png

if TYPE_CHECKING:
    from wavechain_trainer.training import Training

# Settings that may differ from one stretch of a run to the next.
FREE = ("minutes", "device", "noise", "precision", "tensorboard", "licence")


class RunFolder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.train = path / "train"
        self.cache = self.train / "clips"
        self.checkpoint = self.train / "checkpoint.safetensors"
        self.command = ""

    def claim(self, training: Training, *, resume: bool, command: str = "") -> None:
        """Make the folder, or check that it is the run that *training* describes.

        Raises  OutputExistsError, UnreadableError, UnwritableError, UsageError for settings that differ
        """
        settings = self.train / "training.json"
        said = training.model_dump(mode="json")
        if not resume:
            if self.checkpoint.exists():
                raise OutputExistsError(f"{self.path}: holds a run already.", hint="--resume to go on, or another -o.")
            if any((self.path / name).exists() for name in (CONFIG, WEIGHTS)):
                raise OutputExistsError(f"{self.path}: holds a model already.", hint="another folder for -o.")
            self.command = command
            try:
                self.train.mkdir(parents=True, exist_ok=True)
                for path in (self.train / "log.csv", self.train / "validation.csv"):
                    path.unlink(missing_ok=True)  # of a run that never reached its first checkpoint
            except OSError as error:
                raise unwritable(self.path, error) from error
            _replace(settings, json.dumps({**said, "command": command}, indent=2) + "\n")
            return
        if not self.checkpoint.exists():
            raise UnreadableError(f"{self.path}: there is no run to resume.", hint="without --resume.")
        for folder in (self.path, self.train, self.train / "best", self.train / "previews"):
            for path in folder.glob(".*.tmp"):  # what a kill left half written
                path.unlink(missing_ok=True)
        try:
            stored = json.loads(settings.read_text(encoding="utf-8"))
            # A setting that this program has learned since the run began stands at its default.
            begun = {**type(training)(recipe=training.recipe).model_dump(mode="json"), **stored}
        except (OSError, ValueError, TypeError) as error:
            raise UnreadableError(f"{settings}: cannot be read ({error}).", hint="a copy of it.") from error
        differing = [
            (f"{name}{inner}", was, now)
            for name, value in said.items()
            if name not in FREE
            for inner, was, now in _differences(begun.get(name), value)
        ]
        if differing:
            raise UsageError(
                f"{self.path}: this run was begun {_told(*differing[0])}.",
                hint="the recipe and options it was begun with, or another -o.",
            )
        self.command = str(stored.get("command", "")) or command

    def cut_logs(self, step: int) -> None:
        """Leave out of the tables what was done after the last checkpoint: it will be done again."""
        for path in (self.train / "log.csv", self.train / "validation.csv"):
            if path.exists():
                head, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
                kept = [row for row in rows if row.split(",", 1)[0].isdigit() and int(row.split(",", 1)[0]) <= step]
                _replace(path, "".join([head, *kept]))

    def log(self, step: int, said: Mapping[str, float], learning_rate: float) -> None:
        _append(self.train / "log.csv", step, {"learning_rate": learning_rate, **said})

    def log_validation(self, step: int, figures: Mapping[str, float]) -> None:
        _append(self.train / "validation.csv", step, figures)

    def figures(self, table: str) -> dict[str, list[tuple[int, float]]]:
        """Curves by name, out of ``log`` or ``validation``: (step, value) in order."""
        curves: dict[str, list[tuple[int, float]]] = {}
        path = self.train / f"{table}.csv"
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.reader(file):
                    if len(row) == 3 and row[0].isdigit():
                        curves.setdefault(row[1], []).append((int(row[0]), float(row[2])))
        return curves

    def write_left(self, left: Sequence[Left]) -> None:
        """The files that are not trained on, and why."""
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(
            [("file", "reason"), *((each.path, each.reason) for each in left)]
        )
        _replace(self.train / "left-out.csv", text.getvalue())

    def preview(self, step: int, sounds: Mapping[str, Block], sample_rate: int) -> None:
        """Sounds, with a spectrogram each."""
        folder = self.train / "previews"
        for name, sound in sounds.items():
            try:
                folder.mkdir(exist_ok=True)
                Audio.of(sound, sample_rate).write(folder / f"{step:07d}-{name}.flac", overwrite=True)
                replace_bytes(folder / f"{step:07d}-{name}.png", spectrogram_png(sound.mean(axis=0)))
            except OSError as error:
                raise unwritable(folder, error) from error

    def write_pages(self, data: Data, recipe: Recipe, training: Training, step: int) -> None:
        """card.md and report.html, as things stand."""
        facts = Facts(data, recipe, training, step, self.command)
        curves, validation = self.figures("log"), self.figures("validation")
        if recipe.describe():
            _replace(self.path / "card.md", card(facts, validation))
        _replace(self.path / "report.html", report(facts, curves, validation, self.train / "previews"))

    def write_model(
        self,
        recipe: Recipe,
        networks: Mapping[str, nn.Module],
        weights: Callable[[str], dict[str, Tensor]],
        training: Training,
        step: int,
        *,
        final: bool = False,
        best: bool = False,
    ) -> None:
        """The network that the recipe describes, with those *weights*; what inference needs beside it when *final*."""
        config: dict[str, Any] = dict(recipe.describe())
        if not config:
            return
        name = config.pop("network")
        config["trained"] = {
            "recipe": training.recipe["name"],
            "steps": step,
            "of": training.steps,
            "seed": training.seed,
        }
        write_model(self.train / "best" if best else self.path, weights(name), config)
        if final:
            network = networks[name]
            before = {key: value.clone() for key, value in network.state_dict().items()}
            device = next(iter(before.values())).device
            network.load_state_dict(weights(name))
            network.eval()
            narrow = network.__dict__.pop("forward", None)  # a graph is exported at full precision
            try:
                recipe.export({name: network}, self.path)
            except OSError as error:
                raise unwritable(self.path, error) from error
            finally:
                if narrow is not None:
                    network.__dict__["forward"] = narrow
                network.to(device)
                network.load_state_dict(before)
                network.train()


def _differences(was: Any, now: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two settings differ: (``.network.size``, "xs", "s")."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*was, *now)):
            yield from _differences(was.get(key), now.get(key), f"{place}.{key}")
    elif was != now:
        yield place, was, now


def _told(name: str, was: Any, now: Any) -> str:
    if was == "":
        return f"without {name}, not with {name} = {now}"
    return f"with {name} = {was}, not {'without' if now == '' else now}"


def _append(path: Path, step: int, row: Mapping[str, float]) -> None:
    """One row of ``step,name,value`` triples: what is logged may differ from phase to phase."""
    try:
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            if new:
                table.writerow(("step", "name", "value"))
            table.writerows((step, name, f"{value:.6g}") for name, value in row.items())
    except OSError as error:
        raise unwritable(path, error) from error


def _replace(path: Path, text: str) -> None:
    replace_bytes(path, text.encode("utf-8", "surrogateescape"))


def replace_bytes(path: Path, content: bytes) -> None:
    """Write a file that is there whole or as it was before. Raises UnwritableError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
