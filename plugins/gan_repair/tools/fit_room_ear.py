"""Fits the ear for voices in rooms (`wavechain_gan_repair.room_ear`) and writes its weights.

    python plugins/gan_repair/tools/fit_room_ear.py corpus/train/speech corpus/train/music --noise corpus/train/noise

Of each recording of the first folder eight seconds are heard several times: as they are, in a room, in a room with
noise, through a codec, clipped; of the second folders (music) once, mostly as they are. Rooms around music and rooms
that hardly sound are left out: either answer would do. Prints what the ear finds in packages it was not fitted to
(the name up to the last two dashes), for each package in turn, then fits to all and writes.
"""

from __future__ import annotations

import argparse
import json
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray

from wavechain.recipes import Degradation, Surroundings, part
from wavechain.stream import Block, Spec
from wavechain_gan_repair import room_ear
from wavechain_gan_repair.columns import Columns

RATE, SECONDS, N_FFT, HOP_LENGTH = 44_100, 8.0, 2048, 512
SPEECH = ((), (), ("room",), ("room",), ("noise",), ("room", "noise"), ("codec",), ("room", "codec"), ("clip",))
MUSIC = ((), (), ("noise",))
HEARD_ROOM_DB = 12.0  # with the sound itself further above the tail, a room hardly sounds
HIDDEN, STEPS, BATCH, RATE_OF_LEARNING, DECAY, FALSE_WEIGHT = 24, 1200, 256, 3e-3, 0.05, 3.0
ROUNDS = 5  # whole fits whose logits are averaged, in one network


@dataclass(frozen=True)
class Example:
    path: Path
    voice: bool
    faults: tuple[str, ...]
    seed: int

    @property
    def package(self) -> str:
        return self.path.stem.rsplit("-", 2)[0]

    @property
    def in_room(self) -> bool:
        return "room" in self.faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("music", type=Path, nargs="+")
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("-o", type=Path, default=Path(room_ear.__file__).with_suffix(".json"))
    options = parser.parse_args()
    noises = sorted(options.noise.rglob("*.flac"))
    wanted = examples(options.speech, options.music)
    with ProcessPoolExecutor() as pool:
        heard = list(pool.map(partial(hear, noises=noises), wanted, chunksize=8))
    kept = [(example, traits) for example, traits in zip(wanted, heard, strict=True) if traits is not None]
    x = np.stack([traits for _, traits in kept])
    y = np.array([example.in_room for example, _ in kept], np.float32)
    voices = np.array([example.voice for example, _ in kept])
    packages = np.array([zlib.crc32(example.package.encode()) % 7 for example, _ in kept])
    chances = np.zeros(len(y))
    for held_out in range(7):
        there = packages == held_out
        if there.any():
            chances[there] = fit(x[~there], y[~there], seed=held_out, rounds=1)(x[there])
    print(f"{len(y)} stretches; of packages not fitted to, above a chance of:")
    print("chance  rooms found  voices falsely  music falsely")
    for bound in (0.5, 0.7, 0.9):
        above = chances > bound
        shares = (above[y > 0], above[(y == 0) & voices], above[(y == 0) & ~voices])
        print(f"{bound:6.1f}  " + "  ".join(f"{100 * share.mean():9.2f} %" for share in shares))
    ear = fit(x, y, seed=0, rounds=ROUNDS)
    options.o.write_text(json.dumps(ear.weights(), separators=(",", ":")) + "\n")
    print(f"wrote {options.o}")


def examples(speech: Path, music: list[Path]) -> list[Example]:
    voices = sorted(speech.rglob("*.flac"))
    songs = sorted(path for folder in music for path in folder.rglob("*.flac"))
    plans = [(path, True, faults) for path in voices for faults in SPEECH]
    plans += [(path, False, MUSIC[index % len(MUSIC)]) for index, path in enumerate(songs)]
    return [Example(path, voice, faults, seed) for seed, (path, voice, faults) in enumerate(plans)]


def hear(example: Example, noises: list[Path]) -> NDArray[np.float64] | None:
    """The traits of between two and eight seconds, or None for a recording that is too short or silent."""
    rng = np.random.default_rng(example.seed)
    clip = stretch(example.path, rng)
    if clip.shape[1] < 2.5 * RATE or np.abs(clip).max() < 1e-3:
        return None
    clip *= np.float32(10 ** (rng.uniform(-20, -1) / 20) / np.abs(clip).max())
    around = Surroundings([stretch(noises[int(rng.integers(len(noises)))], rng)[0]])
    for fault in example.faults:
        clip, _ = degradation(fault).apply(clip, RATE, rng, around)
    columns = Columns(Spec.audio(RATE, 1), N_FFT, HOP_LENGTH, 16, 0)
    spectra = np.concatenate([*columns.push(clip), *columns.rest()], axis=2)
    levels = room_ear.RoomEar(N_FFT // 2, RATE / N_FFT).levels(spectra)
    count = int(rng.integers(room_ear.FEWEST, levels.shape[1] + 1))
    start = int(rng.integers(0, levels.shape[1] - count + 1))
    return room_ear.traits(levels[:, start : start + count])


def degradation(fault: str) -> Degradation:
    settings = {
        "room": {"direct_db": [-3.0, HEARD_ROOM_DB]},
        "noise": {"snr_db": [0.0, 35.0], "generated": 0.3},
    }
    made: Degradation = part("degradation", {"noise": "add-noise"}.get(fault, fault), settings.get(fault, {}))
    return made


def stretch(path: Path, rng: np.random.Generator, seconds: float = SECONDS) -> Block:
    """Up to *seconds* from anywhere in a file, mono, at `RATE`. Shape (1, frames)"""
    info = soundfile.info(path)
    frames = int(seconds * info.samplerate)
    start = int(rng.integers(0, max(1, info.frames - frames)))
    sound, rate = soundfile.read(path, frames, start, dtype="float32", always_2d=True)
    return soxr.resample(sound.mean(axis=1), rate, RATE)[None].astype(np.float32)


class Ear:
    """Fitted networks of one hidden layer, side by side."""

    def __init__(self, mean: NDArray[np.float64], scale: NDArray[np.float64], rounds: list[torch.nn.Sequential]):
        self._mean, self._scale = mean, scale
        first, last = ([each[index] for each in rounds] for index in (0, 2))
        self._enter = np.concatenate([each.weight.detach().numpy().T for each in first], axis=1)
        self._enter_bias = np.concatenate([each.bias.detach().numpy() for each in first])
        self._leave = np.concatenate([each.weight.detach().numpy().T for each in last]) / len(rounds)
        self._leave_bias = sum(each.bias.detach().numpy() for each in last) / len(rounds)

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        hidden = (x - self._mean) / self._scale @ self._enter + self._enter_bias
        logits = (hidden / (1 + np.exp(-hidden))) @ self._leave + self._leave_bias
        return np.asarray(1 / (1 + np.exp(-logits[:, 0])))

    def weights(self) -> dict[str, list[float]]:
        parts = {"mean": self._mean, "scale": self._scale, "enter": self._enter, "enter_bias": self._enter_bias}
        parts |= {"leave": self._leave, "leave_bias": self._leave_bias}
        return {name: np.round(values.astype(float), 5).tolist() for name, values in parts.items()}


def fit(x: NDArray[np.float64], y: NDArray[np.float32], *, seed: int, rounds: int) -> Ear:
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    inputs, wanted = torch.tensor((x - mean) / scale, dtype=torch.float32), torch.tensor(y)
    weight = torch.where(wanted > 0, 1.0, FALSE_WEIGHT)  # a room that is not there is worse than one that is missed
    networks = []
    for round_ in range(rounds):
        torch.manual_seed(1000 * seed + round_)
        network = torch.nn.Sequential(torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.SiLU(), torch.nn.Linear(HIDDEN, 1))
        optimiser = torch.optim.AdamW(network.parameters(), RATE_OF_LEARNING, weight_decay=DECAY)
        for _ in range(STEPS):
            chosen = torch.randint(len(y), (BATCH,))
            logits = network(torch.nn.functional.dropout(inputs[chosen], 0.1))[:, 0]
            losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted[chosen], weight[chosen])
            optimiser.zero_grad()
            losses.backward()
            optimiser.step()
        networks.append(network)
    return Ear(mean, scale, networks)


if __name__ == "__main__":
    main()
