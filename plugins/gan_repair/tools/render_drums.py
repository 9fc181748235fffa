"""Renders loops of percussion alone, from drum kits of a Debian package: what is most like noise and yet wanted.

    python plugins/gan_repair/tools/render_drums.py --out drums --work corpus-work --count 384

For the door of repairnet (`fit_door.py`). Each loop is of one kit: one to six of its sounds, at a speed and length of
their own, each in a pattern of sixteen steps; four in ten are overdriven. The same seed draws the same loops. Fetches
`hydrogen-drumkits` with `apt-get` and `dpkg`. Files are 8 seconds of 44.1 kHz mono, 16-bit FLAC, a line for each kit.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile
import soxr
from build_corpus import decoded
from debian_packages import PackageError, audio_files, copyright_text, fetched, is_allowed, licence_of
from numpy.typing import NDArray

PACKAGE = "hydrogen-drumkits"
RATE, SECONDS, STEPS = 44_100, 8.0, 16
FEWEST_SOUNDS = 4  # a kit has

Sound = NDArray[np.float32]  # (frames,)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="Folder that the files are put into.")
    parser.add_argument("--work", type=Path, required=True, help="Folder that packages are unpacked into.")
    parser.add_argument("--count", type=int, default=384)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        kits = gathered(options.work)
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    for index, (kit, sounds) in enumerate(kits.items()):
        loops = range(index, options.count, len(kits))
        for loop in loops:
            waveform = drummed(sounds, np.random.default_rng([options.seed, loop]))
            name = f"{kit}-{options.seed}-{loop:04d}.flac"
            soundfile.write(options.out / name, waveform, RATE, subtype="PCM_16")
        print(f"{kit}: {len(sounds)} sounds, {len(loops)} loops", flush=True)
    return 0


def gathered(work: Path) -> dict[str, list[Sound]]:
    """The kits of the package by name, each with its sounds; PackageError where none may be used."""
    text = copyright_text(fetched(PACKAGE, work), PACKAGE)
    kits = defaultdict(list)
    for source in audio_files(PACKAGE, work):
        kit = source.path.split("/drumkits/")[1].split("/")[0]
        # The copyright file speaks of the archives that were unpacked for the package; blanks are "?" there.
        if is_allowed(licence_of(f"drumkits/{kit}.h2drumkit", text)):
            kits[re.sub(r"\W+", "_", kit)].append(source.file)
    found = {kit: [sound for file in files if (sound := read(file)).size] for kit, files in sorted(kits.items())}
    usable = {kit: sounds for kit, sounds in found.items() if len(sounds) >= FEWEST_SOUNDS}
    if not usable:
        raise PackageError(f"{PACKAGE}: no kits, or not under the licences expected.")
    return usable


def read(file: Path) -> Sound:
    """Mono, at `RATE`, its peak at 1; empty if it is silent."""
    waveform, rate = decoded(file)
    mono = soxr.resample(waveform.mean(axis=0), rate, RATE).astype(np.float32)
    peak = float(np.abs(mono).max()) if mono.size else 0.0
    return mono / np.float32(peak) if peak > 1e-3 else mono[:0]


def drummed(sounds: list[Sound], random: np.random.Generator) -> Sound:
    frames, step = int(SECONDS * RATE), 15 / random.uniform(70, 170) * RATE
    loop = np.zeros(frames + 4 * RATE, np.float32)
    for which in random.choice(len(sounds), min(len(sounds), int(random.integers(1, 7))), replace=False):
        speed, longest = random.uniform(0.7, 1.4), int(RATE * random.uniform(0.3, 3))
        at = np.arange(0, sounds[which].size - 1, speed)[:longest]
        sound = np.interp(at, np.arange(sounds[which].size), sounds[which]).astype(np.float32)
        pattern = random.random(STEPS) < random.uniform(0.1, 0.9)
        levels = random.uniform(random.uniform(0.2, 1), 1, STEPS) * pattern * 10 ** (-random.uniform(0, 12) / 20)
        for count, start in enumerate(np.arange(0, frames, step).astype(int)):
            loop[start : start + sound.size] += np.float32(levels[count % STEPS]) * sound[: loop.size - start]
    loop = loop[:frames] / max(float(np.abs(loop).max()), 1e-6)
    if random.random() < 0.4:
        loop = np.tanh(loop * 10 ** (random.uniform(0, 20) / 20))
    quieter: Sound = (loop * 10 ** (-random.uniform(1, 12) / 20) / max(float(np.abs(loop).max()), 1e-6)).astype(
        np.float32
    )
    return quieter


if __name__ == "__main__":
    sys.exit(main())
