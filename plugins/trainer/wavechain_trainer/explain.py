"""What a run would do, before it does it: recordings, networks, work, memory, phases. Nothing is trained.

Conventions: multiply-adds are those of the forward pass, counted while a batch of noise goes through the recipe's own
loss; Fourier transforms are not among them. Memory is that of the CPU or GPU that trains: weights, gradients, two
moments of AdamW, averages, and what the backward pass keeps of a batch. It leaves out what torch itself takes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from wavechain.models import find_model
from wavechain.recipes import Phase, Recipe, Surroundings
from wavechain_trainer.clips import gather, generator
from wavechain_trainer.loop import begin_with, gather_noise
from wavechain_trainer.pages import data_rows

if TYPE_CHECKING:
    from wavechain_trainer.training import Training

BYTES = 4
DUMMY = 2  # items in the batch that is measured


@dataclass(frozen=True, slots=True)
class Section:
    """One table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(slots=True)
class Seen:
    """One network while the batch went through."""

    calls: int = 0
    work: int = 0
    shapes: dict[str, str] = field(default_factory=dict)


def explain(training: Training, data: Sequence[Path], cache: Path) -> list[Section]:
    """Raises what `loop.run` raises for the same recipe, recordings, noise and start."""
    recipe = training.make_recipe()
    sections = []
    if data:
        gathered = gather(data, recipe.sample_rate, cache, validation=training.validation_share)
        rows = [*data_rows(gathered), *((each.path.name, "left out", each.reason, "") for each in gathered.left)]
        sections.append(Section("recordings", ("folder", "trained on", "validated on", ""), tuple(rows)))
    gather_noise(training, recipe, cache, lambda line: None)
    torch.manual_seed(training.seed)
    networks: dict[str, nn.Module] = recipe.networks()
    if training.start:
        begin_with(find_model(training.start), recipe, networks)
    seen, kept = _watched(training, recipe, networks)
    seconds = DUMMY * recipe.crop_seconds
    rows = []
    for name, network in networks.items():
        watched = seen[name]
        for inner, module in (("", network), *network.named_children()):
            rows.append(
                (
                    f"  {inner}" if inner else name,
                    type(module).__name__,
                    f"{_parameters(module):,}",
                    watched.shapes.get(inner, ""),
                    f"{watched.work / max(1, watched.calls) / seconds / 1e6:,.1f}" if not inner else "",
                )
            )
    columns = (
        "network",
        "class",
        "parameters>",
        f"gives, for {DUMMY} clips",
        "million multiply-adds a second of sound>",
    )
    sections.append(Section("networks", columns, tuple(rows)))
    sections.append(Section("memory", ("what", "MB>"), _memory(training, networks, kept)))
    sections.append(Section("phases", ("from step>", "what happens", "who moves"), _phases(training, recipe)))
    return sections


def _watched(training: Training, recipe: Recipe, networks: Mapping[str, nn.Module]) -> tuple[dict[str, Seen], int]:
    """What each network did in every kind of turn, and the bytes that the hungriest of them kept for going back."""
    frames = round(recipe.crop_seconds * recipe.sample_rate)
    rngs = [generator(training.seed, "explain", item) for item in range(DUMMY)]
    clips = [0.1 * rng.standard_normal((1, frames)).astype(np.float32) for rng in rngs]
    batch = {
        name: torch.from_numpy(np.ascontiguousarray(array))
        for name, array in recipe.prepare(clips, rngs, Surroundings()).items()
    }
    seen = {name: Seen() for name in networks}
    turns = {t.name: t for step in (0, training.steps - 1) for t in recipe.turns(step, training.steps)}
    most = 0
    with ExitStack() as stack:
        for name, network in networks.items():
            stack.enter_context(_watching(network, seen[name]))
        for turn in turns.values():
            kept: dict[int, int] = {}
            with torch.autograd.graph.saved_tensors_hooks(_keeper(kept), lambda tensor: tensor):
                recipe.loss(turn, batch, networks)
            most = max(most, sum(kept.values()))
    return seen, most


@contextmanager
def _watching(network: nn.Module, seen: Seen) -> Iterator[None]:
    counters: list[FlopCounterMode] = []

    def enter(module: nn.Module, inputs: Any) -> None:
        counters.append(FlopCounterMode(display=False))
        counters[-1].__enter__()  # type: ignore[no-untyped-call]

    def leave(module: nn.Module, inputs: Any, outputs: Any) -> None:
        counter = counters.pop()
        counter.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        seen.calls += 1
        seen.work += counter.get_total_flops() // 2
        seen.shapes[""] = _shapes(outputs)

    def child(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def tell(module: nn.Module, inputs: Any, outputs: Any) -> None:
            seen.shapes[name] = _shapes(outputs)

        return tell

    handles = [network.register_forward_pre_hook(enter), network.register_forward_hook(leave)]
    handles += [module.register_forward_hook(child(name)) for name, module in network.named_children()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _keeper(kept: dict[int, int]) -> Callable[[Tensor], Tensor]:
    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    return keep


def _memory(training: Training, networks: Mapping[str, nn.Module], kept: int) -> tuple[tuple[str, ...], ...]:
    parameters = sum(map(_parameters, networks.values()))
    state = BYTES * parameters
    parts = {
        "weights, gradients, moments": 4 * state,
        "averages": state * (1 + training.average_last),
        f"a batch of {training.batch} on its way": kept * training.batch // DUMMY,
    }
    rows = [*parts.items(), ("together", sum(parts.values()))]
    return tuple((name, f"{size / 1e6:,.0f}") for name, size in rows)


def _phases(training: Training, recipe: Recipe) -> tuple[tuple[str, ...], ...]:
    phases = list(recipe.phases(training.steps)) or [Phase(0, "training")]
    rows = []
    for phase, after in itertools.zip_longest(phases, phases[1:]):
        if phase.step >= training.steps or (after is not None and after.step == phase.step):
            continue
        turns = recipe.turns(phase.step, training.steps)
        moves = "; ".join(f"{t.name}: {', '.join(t.networks)}{f' x {t.repeat}' if t.repeat > 1 else ''}" for t in turns)
        rows.append((str(phase.step), phase.text, moves))
    warm, share = training.warmup_steps, training.final_learning_rate
    rate = (
        f"learning rate up to {training.learning_rate:g} in {warm} steps, then a half cosine down to {share:.0%} of it"
    )
    rows.append(("", rate, ""))
    rows.append(
        ("", f"validation, preview, checkpoint every {training.validate_every} steps; end at {training.steps}", "")
    )
    return tuple(rows)


def _parameters(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _shapes(value: Any) -> str:
    if isinstance(value, Tensor):
        return "x".join(map(str, value.shape)) or "1"
    if isinstance(value, (list, tuple)):
        told = [_shapes(each) for each in value]
        return ", ".join(told[:4]) + (" ..." if len(told) > 4 else "")
    return ""
