"""How a network is trained: the interfaces between a recipe, the trainer that runs it, and the parts it is built from.

    Recipe          what is trained, on what, towards what: settings that stand in a TOML file
    Turn            one optimiser moving some of the networks for a few steps
    Degradation     worsens a clean recording as the world does; training and benches use the same ones
    Surroundings    what a degradation may draw from: other people's noise

The trainer never asks what family a recipe belongs to. A GAN has two turns, a VAE or a diffusion model one, WGAN-GP
five of one and one of the other; a vocoder, a WaveNet and a repair network differ in `prepare` and `loss` alone.

Networks, losses, discriminators and degradations are *parts*: a plugin registers them by name, a recipe asks for them
by name (`part`), and no settings file ever names code.

Conventions
    Tensors are torch's, written Any here: this module imports no torch, and a recipe's own module does so when it is
    loaded. Waveform batches are (batch, channels, frames) float32.
    Randomness: whatever `prepare` and `Degradation.apply` draw comes from the NumPy generator they are given, which
    depends on (seed, item) alone, so that a resumed run sees what an uninterrupted one would have seen. Inside `loss`,
    torch's own generator may be used: the trainer saves and restores it.
"""

from __future__ import annotations

import importlib.util
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from wavechain.audio import Audio
from wavechain.errors import UnreadableError, UsageError, nearest
from wavechain.registry import registry
from wavechain.stages import Stage
from wavechain.stream import Block


def part(kind: str, name: str, settings: Mapping[str, Any] | None = None) -> Any:
    """A part by its name, made with *settings*: ``part("loss", "multi-resolution-stft", {"sizes": [512, 2048]})``.

    Raises  ChainError for an unknown name, ParameterError for wrong settings, MissingDependencyError
    """
    return registry().load_part(kind, name)(**(settings or {}))


def recipe_files() -> dict[str, Path]:
    """Recipe files that came with plugins, by name: every ``recipes/NAME.toml`` in the package of a plugin that
    registers a part of kind ``recipe``."""
    files: dict[str, Path] = {}
    for package in dict.fromkeys(spec.target.partition(".")[0] for spec in registry().parts("recipe")):
        found = importlib.util.find_spec(package)
        for folder in found.submodule_search_locations or () if found else ():
            for path in sorted(Path(folder, "recipes").glob("*.toml")):
                files.setdefault(path.stem, path)
    return files


def read_recipe(name: str) -> dict[str, Any]:
    """The settings of a run: from a file, or from one that came with a plugin, by its name.

    Raises  UsageError for a name that nothing answers to, UnreadableError for a file that is no TOML
    """
    path = Path(name)
    if path.suffix != ".toml" and not path.is_file():
        files = recipe_files()
        if name not in files:
            guess = nearest(name, files)
            near = f"; the nearest is {guess!r}" if guess else ""
            raise UsageError(f"no recipe is called {name!r}{near}.", hint=f"a file, or {', '.join(files) or 'none'}.")
        path = files[name]
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UnreadableError(f"{path}: {why}.", hint=f"one of {', '.join(recipe_files())}, or a file.") from None
    except ValueError as error:
        raise UnreadableError(
            f"{path}: is not TOML ({error}).", hint="a recipe file, as docs/train.md shows."
        ) from None


@dataclass(frozen=True, slots=True)
class Turn:
    """One optimiser's step: `networks` move, the others stand still. Done *repeat* times, on a new batch each time."""

    name: str
    networks: tuple[str, ...]
    repeat: int = 1


@dataclass(frozen=True, slots=True)
class Phase:
    """From this step on: one line for ``train --explain``."""

    step: int
    text: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Sounds that a degradation may mix in: waveforms (frames,), at the rate of the recipe. Empty: it makes its own."""

    noises: Sequence[Block] = field(default=())


class Degradation(Stage, ABC):
    """Worsens a waveform the way recordings are worsened. Time exact: what stays lies where it lay.

    changes_wanted  True where `apply` gives back a *wanted* of its own, because not all of the change is to be undone:
                    a room, whose first reflections stay. Who applies several degradations takes what is wanted from
                    this one alone, applies it before the others, and no second one of its sort.
    """

    changes_wanted: ClassVar[bool] = False

    @abstractmethod
    def apply(
        self, waveform: Block, sample_rate: int, rng: np.random.Generator, surroundings: Surroundings
    ) -> tuple[Block, Block]:
        """(worsened, wanted): what a repair is given and what it should give back, which is *waveform* itself for most.

        Shape   (channels, frames) -> twice (channels, frames), float32; *waveform* is not edited
        """

    def __call__(self, audio: Audio, *, seed: int = 0) -> Audio:
        """*audio* worsened, to try a repair on: the same *seed* draws the same damage."""
        rng = np.random.default_rng(seed)
        worse, _ = self.apply(audio.waveform, audio.sample_rate, rng, Surroundings())
        return replace(audio, waveform=worse)


class Recipe(Stage, ABC):
    """What is trained, and how. A subclass is registered as a part of kind ``recipe``; its parameters stand in the
    ``[recipe]`` table of the file that ``wavechain train`` is given.

    The trainer calls, in this order: `networks`, `turns`, then for each turn of each step `prepare` and `loss`; now and
    then `evaluate` with averaged weights; at the end `export`.
    """

    @property
    @abstractmethod
    def sample_rate(self) -> int:
        """What the clips are brought to before `prepare` sees them, in Hz."""

    @property
    @abstractmethod
    def crop_seconds(self) -> float:
        """Length of a training clip."""

    @abstractmethod
    def networks(self) -> dict[str, Any]:
        """The torch modules by name, initialised from torch's generator. All are trained, saved and resumed."""

    @abstractmethod
    def turns(self, step: int, steps: int) -> Sequence[Turn]:
        """Who moves in this step out of *steps*."""

    @abstractmethod
    def prepare(
        self, clips: Sequence[Block], rngs: Sequence[np.random.Generator], surroundings: Surroundings
    ) -> dict[str, Any]:
        """A batch out of clips (channels, frames), one generator each: NumPy arrays with the batch first. Degradations
        live here. The trainer makes tensors of them."""

    @abstractmethod
    def loss(self, turn: Turn, batch: Mapping[str, Any], networks: Mapping[str, Any]) -> dict[str, Any]:
        """The parts of the loss by name, already weighted; the trainer adds them up. Those whose names begin with ``_``
        are only shown."""

    def evaluate(self, batch: Mapping[str, Any], networks: Mapping[str, Any]) -> dict[str, float]:
        """Figures on a validation batch, without gradients; ``score`` among them decides which weights are the best."""
        return {}

    def preview(self, batch: Mapping[str, Any], networks: Mapping[str, Any]) -> dict[str, Block]:
        """Sounds to listen to, by name: (channels, frames) each, of the batch's first item."""
        return {}

    def phases(self, steps: int) -> Sequence[Phase]:
        """What changes on the way, for ``train --explain``."""
        return ()

    def describe(self) -> Mapping[str, Any]:
        """What ``model.safetensors`` needs to be used: the networks to export and the settings that rebuild them.

        ``{"network": "generator", "part": "repairnet", "settings": {...}, "capabilities": ["process"]}``
        """
        return {}

    def export(self, networks: Mapping[str, Any], folder: Any) -> None:
        """Write what inference needs beside ``model.safetensors``, an ONNX graph perhaps. Nothing by default."""
