"""What a run leaves on disk.

    runs/x/
    ├── model.safetensors   the averaged weights, for inference
    ├── config.json         what rebuilds the network: names and numbers, never code
    ├── card.md             what it was trained on and how
    ├── …                   what the recipe adds: an ONNX graph
    └── train/              for going on
        ├── training.json   the settings
        ├── checkpoint.safetensors
        ├── log.csv, validation.csv, left-out.csv
        ├── previews/       sounds of the validation, step by step
        └── clips/          decoded recordings; may be deleted
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from wavechain.audio import Audio
from wavechain.errors import OutputExistsError, UnreadableError, UsageError
from wavechain.models import write_model
from wavechain.recipes import Recipe
from wavechain.stream import Block
from wavechain_trainer.averages import Averages
from wavechain_trainer.clips import Left

if TYPE_CHECKING:
    from wavechain_trainer.training import Training

# Settings that may differ from one stretch of a run to the next.
FREE = ("minutes", "device", "noise")


class RunFolder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.train = path / "train"
        self.cache = self.train / "clips"
        self.checkpoint = self.train / "checkpoint.safetensors"

    def claim(self, training: Training, *, resume: bool) -> None:
        """Make the folder, or check that it is the run that *training* describes.

        Raises  OutputExistsError, UnreadableError, UsageError for settings that differ
        """
        settings = self.train / "training.json"
        said = training.model_dump(mode="json")
        if not resume:
            if self.checkpoint.exists():
                raise OutputExistsError(f"{self.path}: holds a run already.", hint="--resume to go on, or another -o.")
            self.train.mkdir(parents=True, exist_ok=True)
            _replace(settings, json.dumps(said, indent=2) + "\n")
            return
        if not self.checkpoint.exists():
            raise UnreadableError(f"{self.path}: there is no run to resume.", hint="without --resume.")
        stored = json.loads(settings.read_text(encoding="utf-8"))
        for name, value in said.items():
            if name not in FREE and stored.get(name) != value:
                raise UsageError(
                    f"{self.path}: this run was begun with {name} = {stored.get(name)}, not {value}.",
                    hint="the recipe it was begun with, or another -o.",
                )
        self._cut_logs()

    def _cut_logs(self) -> None:
        """Leave out of the tables what was done after the last checkpoint: it will be done again."""
        from wavechain_trainer import checkpoint

        step = checkpoint.read(self.checkpoint)[1]["step"]
        for path in (self.train / "log.csv", self.train / "validation.csv"):
            if path.exists():
                head, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
                kept = [row for row in rows if row.split(",", 1)[0].isdigit() and int(row.split(",", 1)[0]) <= step]
                _replace(path, "".join([head, *kept]))

    def log(self, step: int, said: Mapping[str, float], learning_rate: float) -> None:
        _append(self.train / "log.csv", step, {"learning_rate": learning_rate, **said})

    def log_validation(self, step: int, figures: Mapping[str, float]) -> None:
        _append(self.train / "validation.csv", step, figures)

    def write_left(self, left: Sequence[Left]) -> None:
        """The files that are not trained on, and why."""
        with (self.train / "left-out.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("file", "reason"), *((each.path, each.reason) for each in left)])

    def preview(self, step: int, sounds: Mapping[str, Block], sample_rate: int) -> None:
        folder = self.train / "previews"
        folder.mkdir(exist_ok=True)
        for name, sound in sounds.items():
            Audio.of(sound, sample_rate).write(folder / f"{step:07d}-{name}.flac", overwrite=True)

    def write_model(
        self,
        recipe: Recipe,
        networks: Mapping[str, nn.Module],
        averages: Averages,
        training: Training,
        step: int,
        *,
        final: bool,
    ) -> None:
        config: dict[str, Any] = dict(recipe.describe())
        if not config:
            return
        name = config.pop("network")
        config["trained"] = {"recipe": training.recipe["name"], "steps": step, "of": training.steps, "seed": training.seed}
        write_model(self.path, averages.of(name), config)
        if final:
            network = networks[name]
            before = {key: value.clone() for key, value in network.state_dict().items()}
            network.load_state_dict(averages.of(name))
            network.eval()
            try:
                recipe.export({name: network}, self.path)
            finally:
                network.load_state_dict(before)
                network.train()


def _append(path: Path, step: int, row: Mapping[str, float]) -> None:
    """One row of ``step,name,value`` triples: what is logged may differ from phase to phase."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        if new:
            table.writerow(("step", "name", "value"))
        table.writerows((step, name, f"{value:.6g}") for name, value in row.items())


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
