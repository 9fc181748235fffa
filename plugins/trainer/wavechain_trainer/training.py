"""Training: the settings of a run, as they stand in a recipe file.

steps = 4000
batch = 8

[recipe]
name = "repair"
untouched = 0.2
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from wavechain.errors import ParameterError
from wavechain.params import param
from wavechain.recipes import Recipe, part
from wavechain.stages import Trainer

if TYPE_CHECKING:
    from wavechain_trainer.explain import Section


class Training(Trainer):
    recipe: dict[str, Any] = Field(description="What is trained and how: the `name` of a recipe, and its settings.")
    steps: int = param(4_000, ge=1, help="Steps in all.")
    batch: int = param(8, ge=1, le=4_096, help="Clips in a step.")
    seed: int = param(0, ge=0, help="Where all randomness comes from.")
    learning_rate: float = param(1e-3, gt=0, le=1, help="The highest step size of the optimisers.")
    final_learning_rate: float = param(0.02, ge=0, le=1, help="Share of it that is left at the end of the cosine.")
    warmup_steps: int = param(200, ge=0, help="Steps over which it rises from nothing.")
    weight_decay: float = param(0.01, ge=0, help="AdamW's pull of the weights towards zero.")
    betas: tuple[float, float] = param((0.8, 0.99), help="AdamW's memory of gradients and of their squares.")
    clip_norm: float = param(5.0, gt=0, help="Longest gradient that is followed at full length.")
    average: float = param(0.999, ge=0, lt=1, help="Decay of the averaged weights, which are what is shipped.")
    average_last: int = param(
        0, ge=0, le=100, help="Ship the mean of the weights at so many last validations instead; 0: the decayed one."
    )
    validate_every: int = param(250, ge=1, help="Steps from one validation, preview and checkpoint to the next.")
    validation_share: float = param(0.05, gt=0, lt=1, help="Share of the files kept for validation.")
    validation_clips: int = param(32, ge=1, help="Clips of one validation; the same ones each time.")
    noise: tuple[Path, ...] = param((), help="Folders of noise that degradations may mix in.")
    start: str = param("", help="A model, by name or folder, whose weights to begin with instead of chance.")
    device: str = param("auto", help="cpu, cuda, or auto: a GPU where there is one.")
    precision: Literal["auto", "float32", "bf16"] = param(
        "auto", help="Of the networks' insides, transforms and losses aside; auto: bf16 on a GPU that has it."
    )
    tensorboard: bool = param(False, help="Write metrics for TensorBoard too.")
    licence: str = param("", help="Of the recordings, for the model's card.")
    minutes: float | None = param(None, unit="min", gt=0, help="Stop after this long, ready to be resumed.")

    @field_validator("betas")
    @classmethod
    def _forgets(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError("both must be at least 0 and below 1")
        return betas

    def make_recipe(self) -> Recipe:
        """Raises ParameterError, ChainError, MissingDependencyError for a recipe that cannot be made."""
        settings = dict(self.recipe)
        name = settings.pop("name", None)
        if not isinstance(name, str):
            raise ParameterError("training: the recipe has no name.", hint='[recipe] with name = "repair".')
        recipe: Recipe = part("recipe", name, settings)
        return recipe

    def train(
        self,
        data: Sequence[Path],
        output: Path,
        *,
        resume: bool = False,
        progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
        say: Callable[[str], None] = lambda line: None,
        command: str = "",
    ) -> Path:
        """Train, or go on; as `wavechain_trainer.loop.run`. *command* is what was typed, for the model's card."""
        from wavechain_trainer.loop import run

        return run(self, data, output, resume=resume, progress=progress, say=say, command=command)

    def explain(self, data: Sequence[Path], cache: Path) -> list[Section]:
        """What a run would do, as tables: data, networks, memory, phases. Nothing is trained."""
        from wavechain_trainer.explain import explain

        return explain(self, data, cache)
