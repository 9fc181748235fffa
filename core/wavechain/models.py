"""Model folders: trained weights and what is needed to use them.

    my-model/
    ├── model.safetensors   the weights
    ├── config.json         ``format``, ``part`` (the network, by its registered name), ``settings``, ``sample_rate`` …
    ├── card.md             what it was trained on, how well it does, where it fails
    └── train/              only where it may be trained on

Nothing in such a folder can run: weights are plain numbers with a JSON header, and the config names a network that
some installed plugin brings. This module reads headers without torch, so that listing models costs nothing.

Source  the safetensors format: an 8-byte little-endian length, that many bytes of JSON, the numbers
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavechain.errors import ChainError, OutputExistsError, UnreadableError, UnwritableError
from wavechain.lastmile import unwritable
from wavechain.registry import registry
from wavechain.registry.register import is_name

FORMAT = "wavechain-model/1"
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "card.md"
_REQUIRED = {"format": str, "part": str, "settings": dict, "sample_rate": int, "capabilities": list}
_HEADER_LIMIT = 100_000_000


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model on disk, its config checked and its weights known to be whole."""

    path: Path
    config: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def part(self) -> str:
        """The network's registered name."""
        return str(self.config["part"])

    @property
    def settings(self) -> Mapping[str, Any]:
        settings: Mapping[str, Any] = self.config["settings"]
        return settings

    @property
    def sample_rate(self) -> int:
        return int(self.config["sample_rate"])

    @property
    def weights(self) -> Path:
        return self.path / WEIGHTS

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        count = 0
        for shape in self.shapes.values():
            size = 1
            for length in shape:
                size *= length
            count += size
        return count

    @property
    def card(self) -> str:
        path = self.path / CARD
        return path.read_text(encoding="utf-8") if path.exists() else ""


def find_model(name: str | Path) -> ModelFolder:
    """The model of that name (some plugin brings it), or else in that folder.

    Raises  ChainError for an unknown name, UnreadableError for a folder that holds no whole model
    """
    path = Path(name)
    if os.sep in str(name) or "/" in str(name):
        return open_model(path)
    try:
        folder = registry().model(str(name)).folder
    except ChainError:
        folder = path
        if not path.is_dir():
            raise
    return open_model(folder)


def open_model(folder: Path) -> ModelFolder:
    """Read and check a model folder; the weights themselves are not loaded.

    Raises  UnreadableError, naming the file and what is wrong with it
    """
    config = _config(folder / CONFIG)
    return ModelFolder(folder, config, _shapes(folder / WEIGHTS))


def write_model(folder: Path, weights: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Write weights (torch tensors by name) and config, each there whole or not at all.

    Raises  UnwritableError
    """
    from safetensors import SafetensorError
    from safetensors.torch import save

    temporary = folder / f".{WEIGHTS}.{os.getpid()}.tmp"
    text = folder / f".{CONFIG}.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text.write_text(json.dumps({"format": FORMAT, **config}, indent=2) + "\n", encoding="utf-8")
        temporary.write_bytes(save({name: weight.detach().cpu().contiguous() for name, weight in weights.items()}))
        temporary.replace(folder / WEIGHTS)
        text.replace(folder / CONFIG)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        raise UnwritableError(f"{folder}: the model cannot be written ({why}).", hint="make room.") from error
    finally:
        temporary.unlink(missing_ok=True)
        text.unlink(missing_ok=True)


def export_model(model: ModelFolder, folder: Path, *, onnx: bool = False) -> list[Path]:
    """Copy what inference needs into *folder*; with *onnx*, also what the recipe that made it can export.

    Raises  OutputExistsError, UnwritableError; UnreadableError when the network cannot take the weights or there is
            nothing to export; MissingDependencyError
    """
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise OutputExistsError(f"{folder}: is there already, and not empty.", hint="another -o.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(model.path.iterdir()):
            if path.is_file() and not path.name.startswith(".") and path.name != "report.html":
                shutil.copyfile(path, folder / path.name)
        if onnx:
            _export_graph(model, folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    return sorted(folder.iterdir())


def _export_graph(model: ModelFolder, folder: Path) -> None:
    network = load_network(model)
    trained = model.config.get("trained")
    recipe = registry().load_part("recipe", str(trained["recipe"]))() if isinstance(trained, dict) else None
    name = recipe.describe().get("network") if recipe is not None else None
    before = set(folder.iterdir())
    if recipe is not None and name is not None:
        recipe.export({name: network}, folder)
    if set(folder.iterdir()) == before and not list(folder.glob("*.onnx")):
        raise UnreadableError(f"{model.path}: its recipe exports no graph.", hint="without --onnx.")


def load_network(model: ModelFolder) -> Any:
    """The network with its weights: a torch module, ready to be used.

    Raises  ChainError, MissingDependencyError, ParameterError; UnreadableError for settings or weights that are not its
            own, or no numbers
    """
    hint = "the folder as it was written: copy it again."
    made = registry().load_part("network", model.part)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        network = made(**model.settings)
    except (TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise UnreadableError(
            f"{model.path / CONFIG}: its settings make no {model.part} ({error}).", hint=hint
        ) from error

    wanted = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    for name in (*wanted, *model.shapes):
        here, there = wanted.get(name), model.shapes.get(name)
        if here != there:
            told = (
                "is unknown to"
                if here is None
                else "is lacking, of"
                if there is None
                else f"is {there}, not {here}, in"
            )
            raise UnreadableError(f"{model.weights}: {name} {told} {model.part}.", hint=hint)
    try:
        weights = load_file(model.weights)
        network.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise UnreadableError(f"{model.weights}: cannot be read ({error}).", hint=hint) from error
    for name, weight in weights.items():
        if not bool(weight.isfinite().all()):
            raise UnreadableError(f"{model.weights}: {name} holds what is not a number.", hint=hint)
    return network.eval()


def _config(path: Path) -> dict[str, Any]:
    hint = "a folder that wavechain train wrote (wavechain models list)."
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnreadableError(f"{path.parent}: is not a model: it has no {path.name}.", hint=hint) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableError(f"{path}: cannot be read as JSON ({error}).", hint=hint) from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        told = config.get("format") if isinstance(config, dict) else type(config).__name__
        raise UnreadableError(f"{path}: its format is {told!r}, and this wavechain reads {FORMAT!r}.", hint=hint)
    for key, kind in _REQUIRED.items():
        value = config.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise UnreadableError(f"{path}: {key} = {value!r} is not a {kind.__name__}.", hint=hint)
    if config["sample_rate"] < 1:
        raise UnreadableError(f"{path}: sample_rate = {config['sample_rate']} is not a rate.", hint=hint)
    if not is_name(config["part"].rpartition(".")[2]):
        raise UnreadableError(f"{path}: part = {config['part']!r} is not a name; a config never names code.", hint=hint)
    return config


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes from the header; the file's size says whether all the numbers are there."""
    hint = "the folder as it was written: copy it again."
    try:
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            if length > _HEADER_LIMIT:
                raise ValueError("its header has an impossible length")
            header = json.loads(file.read(length))
            size = file.seek(0, os.SEEK_END)
        header.pop("__metadata__", None)
        shapes = {name: tuple(map(int, entry["shape"])) for name, entry in header.items()}
        end = max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
    except FileNotFoundError:
        raise UnreadableError(f"{path.parent}: is not a model: it has no {path.name}.", hint=hint) from None
    except (
        OSError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError, RecursionError, struct.error
    ) as error:  # fmt: skip
        raise UnreadableError(f"{path}: is truncated or not a safetensors file ({error}).", hint=hint) from error
    if size != 8 + length + end:
        raise UnreadableError(f"{path}: is truncated: {size} bytes of {8 + length + end}.", hint=hint)
    return shapes
