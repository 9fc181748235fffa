r"""Fits the door of the network (`wavechain_gan_repair.door`) and writes its weights.

    python plugins/gan_repair/tools/fit_door.py corpus/train/music=900 ear-synths=200 corpus/train/rendered/bands=100 \
        drums=200 --noise corpus/train/noise

So many stretches of up to eight seconds are drawn from each folder, a package (a file's name up to the last two dashes)
by the root of what there is of it; worsened, or left clean; mended by the classical stages and repaired by the network.
At each place it is noted what the door hears there, and what letting in a share of the change would do to the error.
The weights are those that leave the least error in a stretch, in decibels above -40 dB, where what is made worse counts
`DAMAGE` times. Prints, of packages that the door was not fitted to, the mean of that for each kind of sound, and how
many stretches become worse by more than 1 dB; then fits to all and writes.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fit_ear import HOP_LENGTH, N_FFT, RATE, Drawn, packed, stretch
from numpy.typing import NDArray

from wavechain.models import find_model
from wavechain.recipes import Surroundings, part
from wavechain.stream import Block, Spec
from wavechain_gan_repair import door, ear
from wavechain_gan_repair.classical import Classical, installed
from wavechain_gan_repair.columns import Columns
from wavechain_gan_repair.engine import Repairing
from wavechain_gan_repair.network_session import HOPS
from wavechain_gan_repair.repair import SETTINGS, Repair

WORSENED: list[tuple[str, ...]] = [
    *[(), (), ("noise",), ("noise",), ("noise",), ("hum",), ("clicks",), ("clip",), ("hum", "noise")],
    *[("noise", "clicks"), ("dropouts",), ("codec",)],
]
SETTINGS_OF: dict[str, dict[str, Any]] = {"noise": {"snr_db": [-2.0, 30.0], "generated": 0.3}}
HIDDEN, STEPS, BATCH, LEARNING_RATE, DECAY, DROPOUT, ROUNDS = 8, 1500, 128, 3e-3, 0.1, 0.1, 3
DAMAGE = 3.0
MATTERS = 1e-4  # of a stretch: less error is none
FOLDS = 5


class Example(Drawn):
    @property
    def group(self) -> str:
        """What it is printed under."""
        fault = "clean" if not self.faults else "noise" if "noise" in self.faults else "other faults"
        return f"{self.path.parent.name}, {fault}"


@dataclass(frozen=True)
class Heard:
    """What the door heard at the places of a stretch, and what there was to gain."""

    traits: NDArray[np.float32]  # (places, traits)
    errors: NDArray[np.float64]  # (places, 4): error, error x change, change, wanted; powers


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER=COUNT")
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("-o", type=Path, default=Path(door.__file__).with_suffix(".json"))
    options = parser.parse_args()
    noises = sorted(options.noise.rglob("*.flac"))
    drawn = list(examples(options.folders))
    with ProcessPoolExecutor() as pool:
        heard = list(pool.map(partial(hear, noises=noises), drawn, chunksize=8))
    about = [example for example, found in zip(drawn, heard, strict=True) if found is not None]
    places = Places.of([found for found in heard if found is not None], about)
    print(f"{len(about)} stretches. Of packages that the door was not fitted to, error in dB, and worse by 1 dB:")
    print_held_out(about, places)
    weights = {name: np.round(values, 4).tolist() for name, values in fit(places, ROUNDS).items()}
    options.o.write_text(json.dumps(weights, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"wrote {options.o}")


# Hearing --------------------------------------------------------------------------------------------------------------


def examples(folders: list[str]) -> Iterator[Example]:
    for given in folders:
        folder, _, count = given.rpartition("=")
        files = sorted(Path(folder).rglob("*.flac"))
        random = np.random.default_rng(zlib.crc32(Path(folder).name.encode()))
        packages = [Example(file, (), 0).package for file in files]
        often = np.array([Counter(packages)[package] ** -0.5 for package in packages])
        for index, which in enumerate(random.choice(len(files), int(count), p=often / often.sum())):
            yield Example(files[which], WORSENED[index % len(WORSENED)], int(random.integers(1 << 31)))


def hear(example: Example, noises: list[Path]) -> Heard | None:
    """None of what is too short or silent."""
    torch.set_num_threads(1)
    random = np.random.default_rng(example.seed)
    clip = stretch(example.path, random)
    if clip.shape[1] < 3 * RATE or np.abs(clip).max() < 1e-3:
        return None
    clip *= np.float32(10 ** (random.uniform(-20, -1) / 20) / np.abs(clip).max())
    around = Surroundings([stretch(noises[int(random.integers(len(noises)))], random)[0]])
    wanted = clip
    for fault in example.faults:
        worsen = part("degradation", {"noise": "add-noise"}.get(fault, fault), SETTINGS_OF.get(fault, {}))
        clip, target = worsen.apply(clip, RATE, random, around)
        if worsen.changes_wanted:
            wanted = target
    spec = Spec.audio(RATE, 1)
    columns = Columns(spec, N_FFT, HOP_LENGTH, HOPS, 0)
    noting = Noting([*columns.push(wanted), *columns.rest()])
    mending = Classical(spec, installed(Repair.first, SETTINGS), 1.0, None)
    network = Repair().network(spec, find_model("repairnet"), beside=True)
    assert isinstance(network, Repairing)
    network.door = noting
    mended = np.concatenate([mending.process(np.ascontiguousarray(clip, np.float32)), mending.flush()], axis=1)
    network.process(np.concatenate([mended, mended - clip]))
    network.flush()
    return noting.heard()


class Noting(door.Door):
    """Stays shut, and notes what there is to gain. *wanted*: the stretches as they should be."""

    def __init__(self, wanted: list[Block]) -> None:
        super().__init__(N_FFT // 2, RATE / N_FFT, HOPS)
        self._wanted = wanted
        self._traits: dict[int, NDArray[np.float64]] = {}
        self._errors: list[NDArray[np.float64]] = []

    def push(
        self, sound: Block, change: Block, chances: NDArray[np.floating[Any]], mended: door.Powers
    ) -> Iterator[door.Opening]:
        wanted = self._wanted[len(self._errors)]
        error = wanted - sound
        sums = [np.square(error), error * change, np.square(change), np.square(wanted)]
        self._errors.append(np.array([each[:, :, : chances.shape[1]].sum(dtype=np.float64) for each in sums]))
        return super().push(sound, change, chances, mended)

    def _opening(self, heard: tuple[int, list[door.Facts], int]) -> door.Opening:
        told, around, place = heard
        if told % door.EVERY == 0:
            self._traits[told] = door.traits(around, place)
        return np.zeros(HOPS, np.float32)

    def heard(self) -> Heard:
        """Each place stands for the stretches up to the next."""
        places = sorted(self._traits)
        errors = [np.sum(self._errors[place : place + door.EVERY], axis=0) for place in places]
        return Heard(np.array([self._traits[place] for place in places], np.float32), np.array(errors))


# Fitting --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Places:
    """Of all stretches. Where one has fewer places than another, zeros stand for them and count for nothing."""

    traits: NDArray[np.float32]  # (stretches, places, traits)
    there: NDArray[np.bool_]  # (stretches, places)
    errors: NDArray[np.float64]  # (stretches, places, 4), of the error and `MATTERS` of the whole stretch
    matters: NDArray[np.float64]  # (stretches,), the second of these
    often: NDArray[np.float64]

    @classmethod
    def of(cls, heard: list[Heard], about: list[Example]) -> Places:
        most = max(len(found.traits) for found in heard)
        traits = np.stack([np.pad(found.traits, ((0, most - len(found.traits)), (0, 0))) for found in heard])
        errors = np.stack([np.pad(found.errors, ((0, most - len(found.errors)), (0, 0))) for found in heard])
        there = np.arange(most) < np.array([len(found.traits) for found in heard])[:, None]
        matters = MATTERS * errors[..., 3].sum(axis=1) + 1e-20
        before = errors[..., 0].sum(axis=1) + matters
        count = Counter(example.package for example in about)
        often = np.array([count[example.package] ** -0.5 for example in about])
        return cls(traits, there, errors / before[:, None, None], matters / before, often)

    def __getitem__(self, which: NDArray[np.bool_]) -> Places:
        return Places(*(each[which] for each in vars(self).values()))

    def left_db(self, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """The error of each stretch against what it was, with such a *share* (stretches, places) let in."""
        error, both, change = (self.errors[..., which] for which in range(3))
        left: NDArray[np.float64] = (error - 2 * share * both + share**2 * change).sum(axis=1) + self.matters
        return 10 * np.log10(left)


def print_held_out(about: list[Example], places: Places) -> None:
    packages = np.array([example.package for example in about])
    turn = np.array([zlib.crc32(package.encode()) % FOLDS for package in packages])
    turn = np.where(np.isin(packages, ["synth", "band"]), np.arange(len(about)) % FOLDS, turn)  # one maker each
    shares = np.zeros(places.there.shape)
    for fold in range(FOLDS):
        held_out = turn == fold
        if held_out.any():
            weights = fit(places[~held_out], ROUNDS)
            shares[held_out] = sigmoid(ear.perceive(places.traits[held_out], weights, door.WITHIN)[..., 0])
    shares = door.cleared(shares) * places.there
    groups = np.array([example.group for example in about])
    print(f"{'':28} {'shut':>6} {'ideal':>7} {'fitted':>7} {'worse':>8}")
    for group in sorted(set(groups)):
        here = places[groups == group]
        ideal = np.clip(here.errors[..., 1].sum(axis=1) / (here.errors[..., 2].sum(axis=1) + 1e-20), 0, 1)
        shut, best, left = (
            here.left_db(share) for share in (np.zeros(here.there.shape), ideal[:, None], shares[groups == group])
        )
        means = f"{shut.mean():6.2f} {best.mean():7.2f} {left.mean():7.2f}"
        print(f"{group:28} {means} {100 * (left > 1).mean():6.1f} %")


def fit(places: Places, rounds: int) -> dict[str, NDArray[np.float64]]:
    """Weights for `ear.perceive`."""
    heard = places.traits[places.there]
    mean, scale = heard.mean(axis=0), heard.std(axis=0) + 1e-3
    scaled = np.clip((places.traits - mean) / scale, -door.WITHIN, door.WITHIN) * places.there[..., None]
    inputs = torch.tensor(scaled, dtype=torch.float32)
    errors, matters, often = (
        torch.tensor(each, dtype=torch.float32) for each in (places.errors, places.matters, places.often)
    )
    networks = []
    for seed in range(rounds):
        torch.manual_seed(seed)
        enter, leave = torch.nn.Linear(inputs.shape[2], HIDDEN), torch.nn.Linear(HIDDEN, 1)
        torch.nn.init.constant_(leave.bias, -1.0)
        network = torch.nn.Sequential(torch.nn.Dropout(DROPOUT), enter, torch.nn.SiLU(), leave)
        optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
        for _ in range(STEPS):
            chosen = torch.multinomial(often, BATCH, replacement=True)
            share = torch.sigmoid(network(inputs[chosen])[..., 0])
            error, both, change, _ = errors[chosen].unbind(-1)
            left = (error - 2 * share * both + share**2 * change).sum(dim=1) + matters[chosen]
            left_db = 10 * torch.log10(left.clamp(min=1e-9))
            loss = torch.where(left_db > 0, DAMAGE * left_db, left_db).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        networks.append((enter, leave))
    return packed(networks, mean, scale)


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return shares


if __name__ == "__main__":
    main()
