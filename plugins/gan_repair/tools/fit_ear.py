r"""Fits the ear for voices and rooms (`wavechain_gan_repair.ear`) and writes its weights.

    python plugins/gan_repair/tools/fit_ear.py corpus/train/speech corpus/train/music corpus/train/rendered ear-synths \
        --noise corpus/train/noise

Up to eight seconds of each recording are heard several times: as they are, in a room, with noise, through a codec,
clipped; and their levels in disguises, since six packages of voices are few: an equaliser, another speed, a floor of
noise, no highs. Rooms around music and rooms that hardly sound teach nothing about rooms: either answer would do.
Prints what is heard in each package (a file's name up to the last two dashes) by an ear that was not fitted to it, then
fits to all and writes.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch.nn import functional

from wavechain.recipes import Surroundings, part
from wavechain.stream import Block, Spec
from wavechain_gan_repair import ear
from wavechain_gan_repair.columns import Columns

RATE, SECONDS, N_FFT, HOP_LENGTH, HOPS = 44_100, 8.0, 2048, 512, 16
VOICE: list[tuple[str, ...]] = [
    *[(), ("room",), ("room",), ("noise",), ("room", "noise"), ("codec",), ("room", "codec"), ("clip",)]
]
MUSIC: list[tuple[str, ...]] = [(), (), ("noise",), ("room",), ("codec",), ("clip",)]  # three of them each
SETTINGS: dict[str, dict[str, Any]] = {
    # With the sound itself further above the tail, a room hardly sounds.
    "room": {"decay_seconds": [0.15, 2.0], "direct_db": [-3.0, 12.0]},
    "noise": {"snr_db": [-5.0, 30.0], "generated": 0.35},
}
DISGUISES = 5  # the first is none
HIDDEN, STEPS, BATCH, LEARNING_RATE, DECAY = 24, 1500, 256, 3e-3, 0.05
FALSE_ROOM = 3.0  # how much worse it is than one that is missed
ROUNDS = 3  # perceptrons side by side


@dataclass(frozen=True)
class Drawn:
    """A recording, and how it is to be worsened."""

    path: Path
    faults: tuple[str, ...]
    seed: int

    @property
    def package(self) -> str:
        return self.path.stem.rsplit("-", 2)[0]


@dataclass(frozen=True)
class Example(Drawn):
    voice: bool

    @property
    def wanted(self) -> tuple[bool, bool]:
        """As in `ear.Chances`."""
        return self.voice, self.voice and "room" in self.faults

    @property
    def teaches_rooms(self) -> bool:
        return self.voice or "room" not in self.faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("music", type=Path, nargs="+")
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("-o", type=Path, default=Path(ear.__file__).with_suffix(".json"))
    options = parser.parse_args()
    noises = sorted(options.noise.rglob("*.flac"))
    wanted = examples(options.speech, options.music, noises)
    with ProcessPoolExecutor() as pool:
        heard = list(pool.map(partial(hear, noises=noises), wanted, chunksize=8))
    kept = [(example, found) for example, found in zip(wanted, heard, strict=True) if found is not None]
    about = [example for example, _ in kept]
    x = np.stack([found for _, found in kept])
    print(f"{len(about)} stretches. Of packages that the ear was not fitted to, above a chance of 0.5 and 0.9:")
    print_held_out(about, x)
    weights = fit(about, x, ROUNDS)
    rounded = {name: np.round(values, 4).tolist() for name, values in weights.items()}
    options.o.write_text(json.dumps(rounded, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"wrote {options.o}")


def print_held_out(about: list[Example], x: NDArray[np.float64]) -> None:
    voices = sorted({example.package for example in about if example.voice})
    others = sorted({example.package for example in about} - set(voices))
    turns = [[package, *others[index :: len(voices)]] for index, package in enumerate(voices)]
    chances = np.zeros((len(about), 2))
    for packages in turns:
        there = np.array([example.package in packages for example in about])
        weights = fit([example for example, out in zip(about, there, strict=True) if not out], x[~there], 1)
        chances[there] = 1 / (1 + np.exp(-ear.perceive(x[there, 0], weights)))
    print(f"{'heard as':34} {'a voice':>15} {'one in a room':>15}")
    for name, voice, room, noisy in (
        *[("dry voices", True, False, False), ("dry voices in noise", True, False, True)],
        *[("voices in rooms", True, True, False), ("voices in rooms in noise", True, True, True)],
        *[
            ("music", False, False, False),
            ("music in noise", False, False, True),
            ("music in rooms", False, True, False),
        ],
    ):
        kind = (voice, room, noisy)
        there = np.array([(each.voice, "room" in each.faults, "noise" in each.faults) == kind for each in about])
        shares = [f"{100 * (chances[there, of] > bound).mean():6.2f} %" for of in (0, 1) for bound in (0.5, 0.9)]
        print(f"{name:34} {' '.join(shares)}")


def examples(speech: Path, music: list[Path], noises: list[Path]) -> list[Example]:
    voices = [(path, True, faults) for path in sorted(speech.rglob("*.flac")) for faults in VOICE]
    songs = sorted(path for folder in music for path in folder.rglob("*.flac"))
    others = [(path, False, faults) for index, path in enumerate(songs) for faults in MUSIC[index % 2 :: 2]]
    others += [(path, False, ()) for path in noises]
    return [Example(path, faults, seed, voice) for seed, (path, voice, faults) in enumerate(voices + others)]


def hear(example: Example, noises: list[Path]) -> NDArray[np.float64] | None:
    """Traits of between two and eight seconds, (disguises, traits), or None of what is too short or silent."""
    rng = np.random.default_rng(example.seed)
    clip = stretch(example.path, rng)
    if clip.shape[1] < 2.5 * RATE or np.abs(clip).max() < 1e-3:
        return None
    clip *= np.float32(10 ** (rng.uniform(-20, -1) / 20) / np.abs(clip).max())
    around = Surroundings([stretch(noises[int(rng.integers(len(noises)))], rng)[0]])
    for fault in example.faults:
        worsen = part("degradation", {"noise": "add-noise"}.get(fault, fault), SETTINGS.get(fault, {}))
        clip, _ = worsen.apply(clip, RATE, rng, around)
    columns = Columns(Spec.audio(RATE, 1), N_FFT, HOP_LENGTH, HOPS, 0)
    spectra = np.concatenate([*columns.push(clip), *columns.rest()], axis=2)
    levels = ear.Ear(N_FFT // 2, RATE / N_FFT).levels(spectra)
    found = []
    for disguise in range(DISGUISES):
        each = disguised(levels, rng) if disguise else levels
        count = int(rng.integers(ear.FEWEST, each.shape[1] + 1))
        start = int(rng.integers(0, each.shape[1] - count + 1))
        found.append(ear.traits(each[:, start : start + count]))
    return np.stack(found)


def disguised(levels: ear.Levels, rng: np.random.Generator) -> ear.Levels:
    """As another microphone, speaker and place would have given them. Shape (bands, hops), hops changed by the speed"""
    bands, hops = levels.shape

    def curve(points: int) -> NDArray[np.float64]:
        return np.interp(np.arange(bands), np.linspace(0, bands - 1, points), rng.uniform(-8, 8, points))[:, None]

    speed = rng.uniform(0.85, 1.25) if rng.random() < 0.7 else 1.0
    at = np.arange(max(ear.FEWEST, int(hops / speed))) * speed
    other = np.stack([np.interp(at, np.arange(hops), band) for band in levels + curve(5)])
    if rng.random() < 0.6:
        floor = np.quantile(other, 0.98) - rng.uniform(25, 70) + curve(4)
        other = 10 * np.log10(10 ** (other / 10) + 10 ** (floor / 10) * rng.gamma(10, 0.1, other.shape))
    if rng.random() < 0.25:
        other[int(rng.integers(2 * bands // 3, bands)) :] = rng.uniform(-120, -90)
    return other.astype(np.float32)


def stretch(path: Path, rng: np.random.Generator) -> Block:
    """Up to `SECONDS` from anywhere in a file, mono, at `RATE`. Shape (1, frames)"""
    info = soundfile.info(path)
    frames = int(SECONDS * info.samplerate)
    start = int(rng.integers(0, max(1, info.frames - frames)))
    sound, rate = soundfile.read(path, frames, start, dtype="float32", always_2d=True)
    mono: Block = soxr.resample(sound.mean(axis=1), rate, RATE)[None].astype(np.float32)
    return mono


def fit(about: list[Example], x: NDArray[np.float64], rounds: int) -> dict[str, NDArray[np.float64]]:
    """Weights for `ear.perceive`."""
    mean, scale = x.mean(axis=(0, 1)), x.std(axis=(0, 1)) + 1e-6
    inputs = torch.tensor((x - mean) / scale, dtype=torch.float32)
    wanted = torch.tensor([example.wanted for example in about], dtype=torch.float32)
    counts = torch.ones_like(wanted)
    counts[:, 1] = torch.tensor([float(example.teaches_rooms) for example in about])
    counts[:, 1] *= torch.where(wanted[:, 1] > 0, 1.0, FALSE_ROOM)
    often = torch.tensor(how_often(about))
    networks = []
    for seed in range(rounds):
        torch.manual_seed(seed)
        drop, enter, leave = torch.nn.Dropout(0.1), torch.nn.Linear(x.shape[2], HIDDEN), torch.nn.Linear(HIDDEN, 2)
        optimiser = torch.optim.AdamW([*enter.parameters(), *leave.parameters()], LEARNING_RATE, weight_decay=DECAY)
        for _ in range(STEPS):
            chosen = torch.multinomial(often, BATCH, replacement=True)
            seen = inputs[chosen, torch.randint(x.shape[1], (BATCH,))]
            logits = leave(functional.dropout(functional.silu(enter(drop(seen))), 0.2))
            loss = functional.binary_cross_entropy_with_logits(logits, wanted[chosen], counts[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        networks.append((enter, leave))
    return packed(networks, mean, scale)


def packed(
    networks: list[tuple[torch.nn.Linear, torch.nn.Linear]], mean: NDArray[Any], scale: NDArray[Any]
) -> dict[str, NDArray[np.float64]]:
    """Networks of one hidden layer side by side, as `ear.perceive` takes them."""
    weights = {"mean": mean.astype(float), "scale": scale.astype(float)}
    for name, layers, share in (
        ("enter", [each for each, _ in networks], 1),
        ("leave", [each for _, each in networks], len(networks)),
    ):
        matrices = [layer.weight.detach().numpy().T.astype(float) / share for layer in layers]
        biases = [layer.bias.detach().numpy().astype(float) / share for layer in layers]
        weights[name] = np.concatenate(matrices, axis=1 if name == "enter" else 0)
        weights[f"{name}_bias"] = np.concatenate(biases) if name == "enter" else np.sum(biases, axis=0)
    return weights


def how_often(about: list[Example]) -> NDArray[np.float64]:
    """Dry voices, voices in rooms and the rest alike; in each, a package by the root of what there is of it."""
    kinds = np.array([sum(example.wanted) for example in about])
    packages = np.array([example.package for example in about])
    often = np.zeros(len(about))
    for kind in range(3):
        for package in set(packages[kinds == kind]):
            there = (kinds == kind) & (packages == package)
            often[there] = 1 / np.sqrt(there.sum())
        often[kinds == kind] /= often[kinds == kind].sum()
    return often


if __name__ == "__main__":
    main()
