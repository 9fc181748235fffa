"""What a recipe promises the trainer: whose turn it is, batches from chance that can be repeated, losses that teach.

Everything is called as the trainer calls it, on three clips, with networks fresh from one seed and nothing learnt.
"""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

from wavechain.errors import MissingDependencyError
from wavechain.recipes import Recipe, Surroundings, Turn
from wavechain.stream import Block
from wavechain.testing.promises import NotApplicable
from wavechain.testing.signals import music, speech
from wavechain.testing.subject import PartSubject

STEPS = 1_000
TRIED = (*range(0, STEPS, STEPS // 20), STEPS - 1)
LONGEST_SECONDS = 600.0
OTHERS = 20
RATES = range(1_000, 768_001)


@dataclass(eq=False)
class RecipeSubject(PartSubject):
    """A recipe, and what it is tried on."""

    stage: Recipe

    @cached_property
    def clips(self) -> list[Block]:
        """Music, music in stereo, and somebody talking, as long as the recipe wants them."""
        _first(clips_can_be_cut, self)
        rate, seconds = self.stage.sample_rate, self.stage.crop_seconds
        sounds = (
            music(sample_rate=rate, seconds=seconds, channels=1, seed=1),
            music(sample_rate=rate, seconds=seconds, channels=2, seed=2),
            speech(sample_rate=rate, seconds=seconds, seed=3),
        )
        return [sound.waveform for sound in sounds]

    def prepared(self, seed: int = 0) -> tuple[dict[str, Any], bool]:
        """A batch, and whether chance had to do with it."""
        rngs = [np.random.default_rng([seed, item]) for item in range(len(self.clips))]
        before = [rng.bit_generator.state for rng in rngs]
        batch = self.stage.prepare([clip.copy() for clip in self.clips], rngs, Surroundings())
        return batch, before != [rng.bit_generator.state for rng in rngs]

    @cached_property
    def batch(self) -> dict[str, Any]:
        _first(batch_in_form, self)
        return self.prepared()[0]

    def tensors(self) -> dict[str, Any]:
        return {name: _torch().tensor(array) for name, array in self.batch.items()}

    def made(self) -> dict[str, Any]:
        with _seeded():
            return self.stage.networks()

    def networks(self) -> dict[str, Any]:
        """The same ones each time, as fresh. Raises NotApplicable where there are none."""
        made = self.made()
        if _strange(made):
            raise NotApplicable("it breaks networks-from-the-seed, which is reported as such")
        return made

    def turns(self) -> list[Turn]:
        """Each that a run has, once."""
        _first(turns_name_networks, self)
        return list({turn.name: turn for step in TRIED for turn in self.stage.turns(step, STEPS)}.values())

    def lost(self, turn: Turn, networks: Mapping[str, Any]) -> dict[str, Any]:
        """The loss of *turn*, whose networks alone can move: last, for they may share weights with others."""
        for name in sorted(networks, key=lambda name: name in turn.networks):
            networks[name].requires_grad_(name in turn.networks)
        with _seeded():
            return self.stage.loss(turn, self.tensors(), networks)


def clips_can_be_cut(subject: RecipeSubject) -> None:
    faults = []
    rate: Any = subject.stage.sample_rate
    seconds = subject.stage.crop_seconds
    if not isinstance(rate, int) or rate not in RATES:
        faults.append(f"sample_rate is {rate!r}, not a whole number of Hz from {RATES[0]} to {RATES[-1]}.")
    elif not 1 / rate <= seconds <= LONGEST_SECONDS:
        faults.append(f"crop_seconds is {seconds!r}, not between a frame and {LONGEST_SECONDS:g} s.")
    if faults:
        raise subject.broken("clips-can-be-cut", *faults)


def networks_from_the_seed(subject: RecipeSubject) -> None:
    first, again = subject.made(), subject.made()
    if strange := _strange(first):
        raise subject.broken("networks-from-the-seed", strange)
    for name, network in first.items():
        others = again[name].state_dict() if name in again else {}
        for key, value in network.state_dict().items():
            if key not in others or not _torch().equal(value, others[key]):
                fact = f"{name}: {key} differs the second time, after the same torch.manual_seed."
                raise subject.broken("networks-from-the-seed", fact)


def _strange(networks: Mapping[str, Any]) -> str:
    """What is wrong with networks, whatever their weights, or nothing."""
    odd = [name for name, network in networks.items() if not isinstance(network, _torch().nn.Module)]
    return f"{', '.join(odd) or 'Nothing at all'}: no torch module." if odd or not networks else ""


def turns_name_networks(subject: RecipeSubject) -> None:
    known, moved = dict.fromkeys(subject.networks()), set()
    for step in TRIED:
        turns = subject.stage.turns(step, STEPS)
        where = f"Step {step} of {STEPS}"
        if not turns:
            raise subject.broken("turns-name-networks", f"{where} has no turn.")
        for turn in turns:
            if not turn.networks or turn.repeat < 1:
                raise subject.broken("turns-name-networks", f"{where}: {turn} moves nothing.")
            unknown = [name for name in turn.networks if name not in known]
            if unknown:
                fact = f"{where}: {turn} names {', '.join(unknown)}; networks() makes {', '.join(known)}."
                raise subject.broken("turns-name-networks", fact)
            moved |= set(turn.networks)
    idle = [name for name in known if name not in moved]
    if idle:
        raise subject.broken("turns-name-networks", f"No turn moves {', '.join(idle)}.")


def phases_ascend(subject: RecipeSubject) -> None:
    steps = [phase.step for phase in subject.stage.phases(STEPS)]
    if not steps:
        raise NotApplicable("it tells of no phases")
    if steps[0] != 0 or steps != sorted(set(steps)) or steps[-1] >= STEPS:
        raise subject.broken("phases-ascend", f"Of {STEPS} steps, phases begin at {', '.join(map(str, steps))}.")


def batch_in_form(subject: RecipeSubject) -> None:
    batch, faults = subject.prepared()[0], []
    for name, array in batch.items():
        if not isinstance(array, np.ndarray):
            faults.append(f"{name} is a {type(array).__name__}, not an array.")
        elif array.dtype != np.float32 and array.dtype.kind not in "iub":
            faults.append(f"{name} is of {array.dtype}.")
        elif array.shape[:1] != (len(subject.clips),):
            faults.append(f"{name} is of shape {array.shape}, out of {len(subject.clips)} clips.")
        elif not np.isfinite(array).all():
            faults.append(f"{name} is not finite: {np.count_nonzero(~np.isfinite(array))} of {array.size} values.")
    if faults or not batch:
        raise subject.broken("batch-in-form", *(faults or ["It is empty."]))


def chance_from_the_generators(subject: RecipeSubject) -> None:
    """A recipe that draws nothing gives the same whoever asks."""
    _first(batch_in_form, subject)
    batch, drawn = subject.prepared(0)
    if name := _unlike(batch, subject.prepared(0)[0]):
        raise subject.broken("chance-from-the-generators", f"{name} differs the second time, from the same seeds.")
    if drawn and not any(_unlike(batch, subject.prepared(seed)[0]) for seed in range(1, OTHERS)):
        fact = f"It draws from the generators, and makes the same batch from {OTHERS} seeds."
        raise subject.broken("chance-from-the-generators", fact)


def _unlike(batch: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The first array that is not the same in both, or nothing."""
    names = dict.fromkeys([*batch, *other])
    return next((name for name in names if not np.array_equal(batch.get(name, ()), other.get(name, ()))), "")


def input_untouched(subject: RecipeSubject) -> None:
    given = [clip.copy() for clip in subject.clips]
    subject.stage.prepare(given, [np.random.default_rng(item) for item in range(len(given))], Surroundings())
    for number, (before, after) in enumerate(zip(subject.clips, given, strict=True)):
        if not np.array_equal(before, after):
            raise subject.broken("input-untouched", f"prepare() changes clip {number} of those it is given.")


def loss_is_finite(subject: RecipeSubject) -> None:
    torch, faults = _torch(), []
    for turn in subject.turns():
        parts = subject.lost(turn, subject.networks())
        if all(name.startswith("_") for name in parts):
            faults.append(f"{turn.name}: nothing that counts is among {', '.join(parts) or 'no parts'}.")
        for name, part in parts.items():
            if not torch.is_tensor(part) or part.numel() != 1:
                said = f"of shape {tuple(part.shape)}" if torch.is_tensor(part) else f"a {type(part).__name__}"
                faults.append(f"{turn.name}/{name} is {said}, not a tensor with one number.")
            elif not math.isfinite(float(part.detach())):
                faults.append(f"{turn.name}/{name} is {float(part.detach())}.")
    if faults:
        raise subject.broken("loss-is-finite", *faults)


def loss_moves_its_networks(subject: RecipeSubject) -> None:
    _first(loss_is_finite, subject)
    torch, faults = _torch(), []
    for turn in subject.turns():
        networks = subject.networks()
        total = sum(part for name, part in subject.lost(turn, networks).items() if not name.startswith("_"))
        if not total.requires_grad:
            faults.append(f"{turn.name}: the loss does not depend on any weight of {', '.join(turn.networks)}.")
            continue
        total.backward()
        for name in turn.networks:
            slopes = [weight.grad for weight in networks[name].parameters() if weight.grad is not None]
            if not all(torch.isfinite(slope).all() for slope in slopes):
                faults.append(f"{turn.name}: the gradient in {name} is not finite.")
            elif not any(slope.any() for slope in slopes):
                faults.append(f"{turn.name}: the gradient in {name} is 0 everywhere.")
    if faults:
        raise subject.broken("loss-moves-its-networks", *faults)


def loss_repeats(subject: RecipeSubject) -> None:
    _first(networks_from_the_seed, subject)
    _first(loss_is_finite, subject)
    for turn in subject.turns():
        first, again = (
            {name: float(part.detach()) for name, part in subject.lost(turn, subject.networks()).items()}
            for _ in range(2)
        )
        if first != again:
            name = next(name for name in first | again if first.get(name) != again.get(name))
            fact = f"{turn.name}/{name} is {first.get(name)!r} the first time, {again.get(name)!r} the second."
            raise subject.broken("loss-repeats", fact)


def figures_are_finite(subject: RecipeSubject) -> None:
    figures = _still(subject, subject.stage.evaluate)
    faults = [
        f"{name} is {figure!r}."
        for name, figure in figures.items()
        if not isinstance(figure, Real) or not math.isfinite(figure)
    ]
    if faults:
        raise subject.broken("figures-are-finite", *faults)


def preview_is_sound(subject: RecipeSubject) -> None:
    faults = []
    for name, sound in _still(subject, subject.stage.preview).items():
        if not isinstance(sound, np.ndarray) or sound.dtype != np.float32:
            faults.append(f"{name} is {getattr(sound, 'dtype', type(sound).__name__)}, not a float32 array.")
        elif sound.ndim != 2 or 0 in sound.shape:
            faults.append(f"{name} is of shape {sound.shape}.")
        elif not np.isfinite(sound).all():
            faults.append(f"{name} is not finite.")
    if faults:
        raise subject.broken("preview-is-sound", *faults)


def _still(subject: RecipeSubject, ask: Callable[[Mapping[str, Any], Mapping[str, Any]], Any]) -> dict[str, Any]:
    """What *ask* answers when nothing is to be learnt. Raises NotApplicable for an empty answer."""
    batch = subject.tensors()
    networks = {name: network.eval() for name, network in subject.networks().items()}
    with _seeded() as torch, torch.no_grad():
        found: dict[str, Any] = ask(batch, networks)
    if not found:
        raise NotApplicable("it has none")
    return found


def _first(check: Callable[[RecipeSubject], None], subject: RecipeSubject) -> None:
    """Raises NotApplicable where *check* fails: that is then reported, and nothing that follows from it."""
    try:
        check(subject)
    except (MissingDependencyError, NotApplicable):
        raise
    except Exception:  # noqa: BLE001 - whatever it is, the check itself reports it
        raise NotApplicable(f"it breaks {check.__name__.replace('_', '-')}, which is reported as such") from None


@contextlib.contextmanager
def _seeded() -> Iterator[Any]:
    """Torch, whose generator begins anew for a while."""
    torch = _torch()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        yield torch


def _torch() -> Any:
    # By its name: the core imports no torch, and who has a recipe has it.
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError:
        raise MissingDependencyError("the contract of a recipe needs torch.", hint="pip install torch.") from None
