"""The loop: turns of declared networks on declared losses, watched, saved and resumed exactly.

What a step is made of, in this order: for each turn of the recipe, a batch drawn for (seed, step, turn, repeat), the
sum of its losses, gradients for the turn's networks alone, clipped, one move of their optimiser; then the averages.

Exact resume
    A checkpoint holds networks, averages, optimisers and torch's random state; everything else follows from the step
    (learning rate, batches, turns). On the CPU a run that was cut anywhere and resumed ends with the same bits as one
    that was not, given the same number of threads.
When a loss is not finite
    The step is undone by going back to the last checkpoint, and the batches that follow are drawn anew (`detour` counts
    how often, and is part of every seed). After too many detours the run stops and says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wavechain.errors import MissingDependencyError, StageError, UnreadableError, UsageError
from wavechain.models import ModelFolder, find_model, load_network
from wavechain.recipes import Recipe, Surroundings, Turn
from wavechain_trainer import checkpoint
from wavechain_trainer.averages import Averages, LastWeights
from wavechain_trainer.clips import Data, gather, generator
from wavechain_trainer.folder import RunFolder
from wavechain_trainer.pages import data_rows
from wavechain_trainer.training import Training

DETOURS = 5
SELF_TEST_STEPS = 10
NOISE_SECONDS = 60.0


def run(
    training: Training,
    data: Sequence[Path],
    output: Path,
    *,
    resume: bool = False,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
    say: Callable[[str], None] = lambda line: None,
    command: str = "",
) -> Path:
    """Train until the steps are done, the time is up or someone asks to stop; give back the model's folder.

    progress  called after every step with (step, steps, losses)
    say       called with lines for a person: what was left out, what validation found
    command   what was typed, for the model's card
    Raises    UsageError, UnreadableError (a checkpoint that cannot be used), UnwritableError, StageError (not finite);
              KeyboardInterrupt, with a line about it, when it was asked to stop and has saved
    """
    recipe = training.make_recipe()
    _device(training.device)
    folder = RunFolder(output)
    folder.claim(training, resume=resume, command=command)
    gathered = gather(data, recipe.sample_rate, folder.cache, validation=training.validation_share)
    for left in gathered.left:
        say(f"left out: {left.path}: {left.reason}")
    for name, trained, held, low in data_rows(gathered):
        say(f"{name}: {trained}; to validate on: {held}{f'; {low}' if low else ''}")
    folder.write_left(gathered.left)
    surroundings = gather_noise(training, recipe, folder.cache, say)
    loop = Loop(training, recipe, gathered, surroundings, folder)
    if resume:
        loop.load()
        folder.cut_logs(loop.step)
        say(f"resumed at step {loop.step} of {training.steps}")
    else:
        loop.self_test()
    with _asked_to_stop() as asked:
        loop.train(asked, progress, say)
    if asked.is_set() and loop.step < training.steps:
        raise KeyboardInterrupt(f"{folder.path}: {loop.state}")
    return folder.path


class Loop:
    """One run in memory."""

    def __init__(
        self, training: Training, recipe: Recipe, data: Data, surroundings: Surroundings, folder: RunFolder
    ) -> None:
        self.training, self.recipe, self.data, self.folder = training, recipe, data, folder
        self._surroundings = surroundings
        self._frames = round(recipe.crop_seconds * recipe.sample_rate)
        self.device = torch.device(_device(training.device))
        self.step = self.detour = 0
        self.best = -math.inf
        torch.manual_seed(training.seed)
        self.networks: dict[str, nn.Module] = {
            name: network.to(self.device) for name, network in recipe.networks().items()
        }
        if training.start:
            begin_with(find_model(training.start), recipe, self.networks)
        self.averages = Averages(self.networks, training.average)
        self.last = LastWeights(training.average_last) if training.average_last else None
        self._board = _Board(folder) if training.tensorboard else None
        narrow = _narrow(training.precision, self.device)
        for network in self.networks.values() if narrow else ():
            _narrowed(network, self.device.type)
        self._optimizers: dict[tuple[str, ...], torch.optim.Optimizer] = {}

    @property
    def state(self) -> str:
        return f"stopped at step {self.step} of {self.training.steps}; the same command with --resume goes on"

    def shipped(self, name: str) -> dict[str, Tensor]:
        """The weights of one network as the model has them."""
        return (self.last.of(name) if self.last else {}) or self.averages.of(name)

    # One step.

    def advance(self, batches: Batches) -> dict[str, float]:
        """Take one step. Raises NotFiniteError, having changed nothing that a checkpoint would not bring back."""
        said: dict[str, float] = {}
        for turn in self.recipe.turns(self.step, self.training.steps):
            for repeat in range(turn.repeat):
                said |= self._move(turn, batches.take(self.step, turn.name, repeat))
        self.averages.update(self.networks, self.step)
        self.step += 1
        return said

    def _move(self, turn: Turn, batch: Mapping[str, Tensor]) -> dict[str, float]:
        moving = {id(weight) for name in turn.networks for weight in self.networks[name].parameters()}
        for network in self.networks.values():
            for weight in network.parameters():
                weight.requires_grad_(id(weight) in moving)
        optimizer = self._optimizer(turn.networks)
        optimizer.zero_grad(set_to_none=True)
        parts = self.recipe.loss(turn, batch, self.networks)
        total = sum(
            (part for name, part in parts.items() if not name.startswith("_")), torch.zeros((), device=self.device)
        )
        total.backward()
        weights = [weight for name in turn.networks for weight in self.networks[name].parameters()]
        length = float(nn.utils.clip_grad_norm_(weights, self.training.clip_norm))
        if not math.isfinite(length) or not math.isfinite(float(total.detach())):
            raise NotFiniteError(turn.name, {name: float(part.detach()) for name, part in parts.items()})
        for group in optimizer.param_groups:
            group["lr"] = self._learning_rate()
        optimizer.step()
        return {f"{turn.name}/{name.lstrip('_')}": float(part.detach()) for name, part in parts.items()} | {
            f"{turn.name}/gradient": length
        }

    def _optimizer(self, names: tuple[str, ...]) -> torch.optim.Optimizer:
        """One for each set of networks that moves together, made when it first does."""
        if names not in self._optimizers:
            weights = [weight for name in names for weight in self.networks[name].parameters()]
            self._optimizers[names] = torch.optim.AdamW(
                weights, betas=self.training.betas, weight_decay=self.training.weight_decay
            )
        return self._optimizers[names]

    def _learning_rate(self) -> float:
        """Linear warm-up, then a half cosine down."""
        training = self.training
        warm = min(1.0, (self.step + 1) / (training.warmup_steps + 1))
        turn = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / training.steps)))
        return (
            training.learning_rate * warm * (training.final_learning_rate + (1 - training.final_learning_rate) * turn)
        )

    # Batches.

    def prepare(self, step: int, turn: str, repeat: int, pools: str = "training", size: int = 0) -> dict[str, Any]:
        """A batch of NumPy arrays: pure, so that it can be made ahead in another thread."""
        place = (self.detour, step, turn, repeat) if pools == "training" else (pools,)
        rngs = [generator(self.training.seed, *place, item) for item in range(size or self.training.batch)]
        drawn = self.data.training if pools == "training" else self.data.validation
        clips = [self.data.clip(drawn, self._frames, rng) for rng in rngs]
        return self.recipe.prepare(clips, rngs, self._surroundings)

    def tensors(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        return {name: torch.from_numpy(np.ascontiguousarray(array)).to(self.device) for name, array in batch.items()}

    # The run.

    def self_test(self) -> None:
        """Some steps before the run, undone: what is wrong with shapes, settings or memory shows now, not tonight."""
        before = self._state()
        batches = Batches(self)
        try:
            for _ in range(min(SELF_TEST_STEPS, self.training.steps)):
                self.advance(batches)
            for turn in self.recipe.turns(self.training.steps - 1, self.training.steps):  # and of the last phase
                self._move(turn, self.tensors(self.prepare(0, turn.name, 0)))
            with torch.no_grad():
                batch = self.tensors(self.prepare(0, "validate", 0, "validation", 2))
                self.recipe.evaluate(batch, self.networks)
                self.recipe.preview(batch, self.networks)
        except NotFiniteError as error:
            raise StageError(
                f"{self.folder.path}: the self-test failed: {error}.", hint="a lower learning_rate."
            ) from None
        finally:
            batches.close()
        self._restore(*before)

    def train(
        self,
        asked: threading.Event,
        progress: Callable[[int, int, Mapping[str, float]], None] | None,
        say: Callable[[str], None],
    ) -> None:
        began = time.monotonic()
        limit = math.inf if self.training.minutes is None else 60 * self.training.minutes
        batches = Batches(self)
        if self.step == 0:
            self.save()
        try:
            while self.step < self.training.steps and not asked.is_set() and time.monotonic() - began < limit:
                try:
                    said = self.advance(batches)
                except NotFiniteError as error:
                    batches = self._detour(error, batches, say)
                    continue
                self.folder.log(self.step, said, self._learning_rate())
                if self._board:
                    self._board.add(self.step, said)
                if progress is not None:
                    progress(self.step, self.training.steps, said)
                if self.step % self.training.validate_every == 0 or self.step == self.training.steps:
                    say(self.validate())
                    self.save()
        finally:
            batches.close()
            if self._board:
                self._board.close()
        self.save(final=True, say=say)
        if self.step < self.training.steps and not asked.is_set():
            say(f"the time is up: {self.state}")

    def _detour(self, error: NotFiniteError, batches: Batches, say: Callable[[str], None]) -> Batches:
        batches.close()
        detour, step = self.detour + 1, self.step
        if detour > DETOURS:
            raise StageError(
                f"{self.folder.path}: {error} at step {step}, for the {detour}th time.", hint="a lower learning_rate."
            )
        self.load()
        self.detour = detour
        self.folder.cut_logs(self.step)
        say(f"{error} at step {step}: back to step {self.step}, with other batches")
        return Batches(self)

    @torch.no_grad()
    def validate(self) -> str:
        """Figures of the averaged weights on the same clips each time, and previews of the first of them."""
        before = {
            name: {key: value.clone() for key, value in n.state_dict().items()} for name, n in self.networks.items()
        }
        random = self._random()
        torch.manual_seed(self.training.seed)
        if self.last is not None:
            self.last.keep(self.networks)
        for name, network in self.networks.items():
            network.load_state_dict(self.shipped(name))
            network.eval()
        try:
            batch = self.tensors(self.prepare(0, "validate", 0, "validation", self.training.validation_clips))
            figures = self.recipe.evaluate(batch, self.networks)
            self.folder.preview(self.step, self.recipe.preview(batch, self.networks), self.recipe.sample_rate)
        finally:
            for name, network in self.networks.items():
                network.load_state_dict(before[name])
                network.train()
            self._set_random(random)
        self.folder.log_validation(self.step, figures)
        if self._board:
            self._board.add(self.step, {f"validation/{name}": value for name, value in figures.items()})
        if figures.get("score", -math.inf) > self.best:
            self.best = figures["score"]
            self.folder.write_model(self.recipe, self.networks, self.shipped, self.training, self.step, best=True)
        told = ", ".join(f"{name} {value:.3g}" for name, value in figures.items() if name != "score")
        return f"step {self.step}: {told}"

    # Saving and going on.

    def save(self, *, final: bool = False, say: Callable[[str], None] = lambda line: None) -> None:
        """Checkpoint and model, each there whole or as it was before; what inference needs beside it in the end."""
        tensors, facts = self._state()
        checkpoint.write(self.folder.checkpoint, tensors, facts)
        try:
            self.folder.write_model(self.recipe, self.networks, self.shipped, self.training, self.step, final=final)
        except MissingDependencyError as error:  # the weights are there; what is lacking can be exported later
            say(str(error))
        self.folder.write_pages(self.data, self.recipe, self.training, self.step)

    def load(self) -> None:
        """Raises UnreadableError for what is no checkpoint of this recipe, UsageError for one of other recordings."""
        tensors, facts = checkpoint.read(self.folder.checkpoint)
        self._check(tensors, facts)
        try:
            self._restore(tensors, facts)
        except (RuntimeError, ValueError, TypeError) as error:  # torch's own state, which only torch can judge
            raise UnreadableError(
                f"{self.folder.checkpoint}: cannot be gone on from ({error}).", hint="an older copy of it."
            ) from error

    def _check(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        path = self.folder.checkpoint
        rate = facts.get("sample_rate", self.recipe.sample_rate)
        if rate != self.recipe.sample_rate:
            told = f"{path}: is of {rate} Hz, the recipe of {self.recipe.sample_rate} Hz."
            raise UnreadableError(told, hint=checkpoint.OTHER)
        known = ("network/", "average/", "random/torch")
        wanted = {name: value for name, value in self._state()[0].items() if name.startswith(known)}
        checkpoint.check(path, tensors, facts, wanted, self.networks)
        if facts["data"] != self.data.digest:
            raise UsageError(
                f"{path}: was made on other recordings than these.",
                hint="the same folders, unchanged, or a new run without --resume.",
            )
        noise = _digest(self._surroundings)
        if facts.get("noise", noise) != noise:
            raise UsageError(f"{path}: was made with other noise.", hint="the same --noise folders, unchanged.")

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {
            f"network/{name}/{key}": value.clone()
            for name, network in self.networks.items()
            for key, value in network.state_dict().items()
        }
        tensors |= {f"average/{key}": value.clone() for key, value in self.averages.values.items()}
        for names, optimizer in self._optimizers.items():
            for index, state in optimizer.state_dict()["state"].items():
                for key, value in state.items():
                    tensors[f"optimizer/{'+'.join(names)}/{index}/{key}"] = torch.as_tensor(value).clone()
        for index, kept in enumerate(self.last.kept if self.last else ()):
            tensors |= {f"recent/{index}/{key}": value.clone() for key, value in kept.items()}
        tensors |= self._random()
        facts = {"step": self.step, "detour": self.detour, "best": self.best, "data": self.data.digest}
        facts["optimizers"] = [list(names) for names in self._optimizers]
        facts |= {"sample_rate": self.recipe.sample_rate, "noise": _digest(self._surroundings)}
        return tensors, facts

    def _random(self) -> dict[str, Tensor]:
        state = {"random/torch": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["random/cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def _set_random(self, state: Mapping[str, Tensor]) -> None:
        torch.set_rng_state(state["random/torch"].cpu())
        if "random/cuda" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random/cuda"].cpu(), self.device)

    def _restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        self.step, self.detour, self.best = facts["step"], facts["detour"], facts["best"]
        for name, network in self.networks.items():
            network.load_state_dict(_below(tensors, f"network/{name}/"))
        for key, value in self.averages.values.items():
            value.copy_(tensors[f"average/{key}"])
        if self.last is not None:
            kept: dict[int, dict[str, Tensor]] = {}
            for key, value in _below(tensors, "recent/").items():
                place, name = key.split("/", 1)
                kept.setdefault(int(place), {})[name] = value.to(self.device)
            self.last.restore(kept[place] for place in sorted(kept))
        self._optimizers.clear()
        for names in facts["optimizers"]:
            optimizer = self._optimizer(tuple(names))
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in _below(tensors, f"optimizer/{'+'.join(names)}/").items():
                index, field = key.split("/", 1)
                state.setdefault(int(index), {})[field] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self._set_random(tensors)


class Batches:
    """Batches made a step ahead in another thread. What is made does not depend on when."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._worker = ThreadPoolExecutor(1)
        self._ahead: dict[tuple[int, str, int], Future[dict[str, Any]]] = {}

    def take(self, step: int, turn: str, repeat: int) -> dict[str, Tensor]:
        place = (step, turn, repeat)
        made = self._ahead.pop(place, None) or self._worker.submit(self._loop.prepare, *place)
        for soon in self._next(step):
            if soon not in self._ahead:
                self._ahead[soon] = self._worker.submit(self._loop.prepare, *soon)
        return self._loop.tensors(made.result())

    def _next(self, step: int) -> Iterator[tuple[int, str, int]]:
        steps = self._loop.training.steps
        if step + 1 < steps:
            for turn in self._loop.recipe.turns(step + 1, steps):
                for repeat in range(turn.repeat):
                    yield (step + 1, turn.name, repeat)

    def close(self) -> None:
        self._worker.shutdown(cancel_futures=True)


class NotFiniteError(Exception):
    def __init__(self, turn: str, parts: Mapping[str, float]) -> None:
        bad = [name for name, value in parts.items() if not math.isfinite(value)] or ["the gradient"]
        super().__init__(f"turn {turn}: {', '.join(bad)} is not finite")


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """SIGTERM and the first Ctrl+C let the step end and save; a second Ctrl+C does not wait."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        if asked.is_set() and signum == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def begin_with(model: ModelFolder, recipe: Recipe, networks: Mapping[str, nn.Module]) -> None:
    """Raises UsageError for a model of another network, UnreadableError for weights that are no good."""
    told = recipe.describe()
    if model.part != told.get("part"):
        mine = f"trains a {told['part']}" if told else "keeps no network"
        raise UsageError(
            f"start: {model.path} holds a {model.part}; the recipe {mine}.",
            hint="wavechain models list.",
        )
    try:
        networks[told["network"]].load_state_dict(load_network(model).state_dict())
    except RuntimeError as error:
        raise UsageError(
            f"start: {model.path} is of another size than the recipe's network.", hint="wavechain models show."
        ) from error


def gather_noise(training: Training, recipe: Recipe, cache: Path, say: Callable[[str], None]) -> Surroundings:
    """Noise to mix in: every folder's recordings, mono, the first minute of each."""
    if not training.noise:
        return Surroundings()
    data = gather(training.noise, recipe.sample_rate, cache, validation=0.0)
    for left in data.left:
        say(f"left out: {left.path}: {left.reason}")
    frames = round(NOISE_SECONDS * recipe.sample_rate)
    noises = [r.read(0, frames).mean(axis=0) for pool in data.training for r in pool.recordings]
    return Surroundings(tuple(noises))


def _digest(surroundings: Surroundings) -> str:
    """Changes when a noise is another one: some thousand samples of each tell."""
    digest = hashlib.blake2b(digest_size=16)
    for noise in surroundings.noises:
        digest.update(noise[:: max(1, noise.size // 1_000)].tobytes() + str(noise.size).encode())
    return digest.hexdigest()


def _narrow(precision: str, device: torch.device) -> bool:
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bf16"


def _narrowed(network: nn.Module, device: str) -> None:
    """Let the inside of *network* run in bfloat16; what goes in and comes out stays float32, and so do its weights."""
    forward = network.forward

    def narrow(*inputs: Any, **named: Any) -> Any:
        with torch.autocast(device, torch.bfloat16):
            return _widened(forward(*inputs, **named))

    network.forward = narrow


def _widened(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.dtype == torch.bfloat16 else value
    if isinstance(value, (list, tuple)):
        return type(value)(_widened(each) for each in value)
    return value


class _Board:
    """Metrics for TensorBoard, beside the tables."""

    def __init__(self, folder: RunFolder) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingDependencyError(
                "tensorboard = true needs tensorboard.", hint="pip install tensorboard"
            ) from None
        self._writer = SummaryWriter(str(folder.train / "tensorboard"))

    def add(self, step: int, said: Mapping[str, float]) -> None:
        for name, value in said.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


def _device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device = {wanted!r}: there is no GPU that torch can use here.", hint="device=cpu, or auto.")
    try:
        torch.device(wanted)
    except RuntimeError as error:
        raise UsageError(f"device = {wanted!r} is not a device of torch.", hint="cpu, cuda, or auto.") from error
    return wanted


def _below(tensors: Mapping[str, Tensor], start: str) -> dict[str, Tensor]:
    return {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}
