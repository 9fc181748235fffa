"""Renders what no soundfont has: synthesisers, drum machines, drones and high-gain guitars, made from nothing.

    python plugins/gan_repair/tools/render_synths.py --out synths --count 24 --seed 900

A network that takes noise away must leave sounds that are made of noise and yet wanted: hi-hats, sweeps, breath,
amplifiers. The weights that ship have not heard these: what they do to them tells how they meet the unknown. Every
patch and pattern is drawn from chance; the same seed gives the same files. Noise in them always moves (is struck, or
comes and goes): a steady one cannot be told from damage. Needs `pedalboard` and `scipy`. Files are 24 seconds of
44.1 kHz stereo, 16-bit FLAC.

    oscillators   polyBLEP saws and pulses (V. Välimäki, A. Huovilainen, 2007), two-operator FM, noise
    filters       second-order state-variable filters by the bilinear transform, moved every 256 frames
    strings       K. Karplus, A. Strong, "Digital synthesis of plucked-string and drum timbres", 1983
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pedalboard
import scipy.signal
import soundfile
from numpy.typing import NDArray
from render_band import RATE, SCALE, SECONDS

Sound = NDArray[np.float64]  # (frames,), or (2, frames) where it says so
Random = np.random.Generator
FRAMES = int(SECONDS * RATE)
STEP = 256  # frames between two settings of a moving filter


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="Folder that the files are put into.")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="Processes at work at once.")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.jobs) as pool:
        for line in pool.map(partial(render, options.out, options.seed), range(options.count)):
            print(line, flush=True)


def render(out: Path, seed: int, index: int) -> str:
    random = np.random.default_rng([seed, index])
    names, waveform = piece(random)
    path = out / f"synth-{seed}-{index:04d}.flac"
    soundfile.write(path, waveform.T, RATE, subtype="PCM_16")
    return f"{path.name}: {', '.join(names)}"


def piece(random: Random) -> tuple[list[str], Sound]:
    """(names of its parts, waveform (2, frames)): one to four parts to one beat, each at a level of its own."""
    beat = 60 / random.uniform(60, 180)
    root = int(random.integers(26, 46))
    chords = [root + int(random.choice(SCALE)) for _ in range(4)]
    names = list(PARTS)
    count = int(random.choice([1, 2, 3, 4], p=[0.4, 0.3, 0.2, 0.1]))
    chosen = [names[index] for index in random.choice(len(names), count, replace=False, p=PART_WEIGHTS)]
    mix = np.zeros((2, FRAMES))
    for name in chosen:
        part = effects(PARTS[name](random, beat, chords), random, dry=name == "guitar")
        mix += part / max(float(np.sqrt(np.mean(part**2))), 1e-6) * 10 ** (random.uniform(-9, 0) / 20)
    peak = 0.9 * 10 ** (-random.uniform(0, 12) / 20)
    return chosen, mix / max(float(np.abs(mix).max()), 1e-6) * peak


def notes(random: Random, beat: float, chords: list[int]) -> list[tuple[int, int, int]]:
    """(start, length, MIDI note) of a line that repeats a pattern over the chords, one chord for four beats."""
    per_beat = int(random.choice([1, 2, 4]))
    pattern = random.random(4 * per_beat) < random.uniform(0.3, 1)
    pattern[0] = True
    held = random.uniform(0.3, 1.0)
    up = int(random.choice([0, 12, 24]))
    moves = random.choice([0, 0, 7, 12, *SCALE], len(pattern))
    line = []
    for step in range(int(SECONDS / beat * per_beat)):
        if pattern[step % len(pattern)]:
            chord = chords[step // len(pattern) % len(chords)]
            length = int(held * beat / per_beat * RATE) + 512
            line.append((int(step * beat / per_beat * RATE), length, chord + up + int(moves[step % len(moves)])))
    return line


def lead(random: Random, beat: float, chords: list[int]) -> Sound:
    """A line of one patch through a filter that moves."""
    voice, attack, decay = patch(random), 10 ** random.uniform(-3, -1), 10 ** random.uniform(-1, 0.5)
    sound = np.zeros(FRAMES)
    for start, length, note in notes(random, beat, chords):
        _put(sound, start, voice(length, 440 * 2 ** ((note - 69) / 12)) * envelope(length, attack, decay))
    return wide(moved(sound, random, beat), random)


def pad(random: Random, beat: float, chords: list[int]) -> Sound:
    """Chords that swell and change slowly, or one that never does: a drone."""
    voice = patch(random, breath=False)
    hold = FRAMES if random.random() < 0.3 else int(4 * beat * RATE)
    attack = random.uniform(0.1, 1.5)
    sound = np.zeros(FRAMES)
    for index, start in enumerate(range(0, FRAMES, hold)):
        chord = chords[index % len(chords)] + int(random.choice([0, 12, 24]))
        for interval in random.choice([0, 3, 4, 7, 10, 12, 14, 19], int(random.integers(1, 5)), replace=False):
            length = hold + RATE
            tone = voice(length, 440 * 2 ** ((chord + interval - 69) / 12))
            _put(sound, start, tone * envelope(length, attack, 10.0) * random.uniform(0.3, 1))
    return wide(moved(sound, random, 4 * beat), random)


def sweep(random: Random, beat: float, chords: list[int]) -> Sound:
    """Noise that rises, falls or is gated in time: risers, wind, breath."""
    every = int(beat * random.choice([0.5, 1, 2, 4]) * RATE)
    colour = random.uniform(0, 1)
    sound = np.zeros(FRAMES)
    for start in range(0, FRAMES, every):
        length = int(every * random.uniform(0.2, 0.8))
        shape = np.linspace(0, 1, length) ** random.uniform(1, 4)
        shape = shape[::-1] if random.random() < 0.5 else shape
        _put(sound, start, coloured(random, length, colour) * shape * envelope(length, 0.01, 10.0))
    return wide(moved(sound, random, every / RATE, resonance=(0.7, 20)), random)


def machine(random: Random, beat: float, chords: list[int]) -> Sound:
    """A drum machine: each of its sounds drawn anew, on sixteenths."""
    sound = np.zeros((2, FRAMES))
    for hit, likely in (
        (kick(random), 0.3),
        (snare(random), 0.15),
        (hat(random, 10 ** random.uniform(-2, -1)), 0.6),
        (hat(random, 10 ** random.uniform(-1, -0.4)), 0.1),
        (snare(random), 0.1),
    ):
        if random.random() < 0.3:
            continue
        pattern = random.random(16) < likely
        pattern[int(random.integers(16))] = True
        accents = random.uniform(0.3, 1, 16)
        side = random.uniform(0.3, 0.7)
        for step in range(int(SECONDS / beat * 4)):
            if pattern[step % 16]:
                at = int(step * beat / 4 * RATE)
                _put(sound[0], at, hit * accents[step % 16] * np.sqrt(side))
                _put(sound[1], at, hit * accents[step % 16] * np.sqrt(1 - side))
    return sound


def guitar(random: Random, beat: float, chords: list[int]) -> Sound:
    """Power chords on strings, through an amplifier of high gain and a loudspeaker; played twice, or once."""
    takes = 2 if random.random() < 0.6 else 1
    muted = random.uniform(0.1, 0.9)
    gain_db, cabinet = random.uniform(15, 60), loudspeaker(random)
    line = [(start, length, chord - 12 * (chord > 45)) for start, length, chord in notes(random, beat, chords)]
    sound = np.zeros((2, FRAMES))
    for take in range(takes):
        strings = np.zeros(FRAMES + RATE)
        for start, length, note in line:
            damping = 0.97 if random.random() < muted else 0.998
            for interval in (0, 7, 12) if random.random() < 0.8 else (0,):
                late = max(0, start + int(random.normal(0, 0.004) * RATE))
                _put(strings, late, string(random, length, 440 * 2 ** ((note + interval - 69) / 12), damping))
        strings = scipy.signal.sosfilt(_highpass(random.uniform(60, 250)), strings[:FRAMES])
        driven = strings / max(float(np.abs(strings).max()), 1e-6) * 10 ** (gain_db / 20)
        amplified = scipy.signal.sosfilt(_highpass(30), np.tanh(driven + random.uniform(0, 0.4)))
        heard = scipy.signal.sosfilt(cabinet, amplified)
        if takes == 1:
            sound += heard
        else:
            sound[take] += heard
            sound[1 - take] += random.uniform(0, 0.4) * heard
    return sound


PARTS: dict[str, Callable[[Random, float, list[int]], Sound]] = {
    "lead": lead,
    "pad": pad,
    "sweep": sweep,
    "machine": machine,
    "guitar": guitar,
}
PART_WEIGHTS = (0.2, 0.2, 0.1, 0.2, 0.3)


def patch(random: Random, *, breath: bool = True) -> Callable[[int, float], Sound]:
    """A voice: frames and Hz in, a tone out. One to three oscillators, each detuned, at a level of its own."""
    share = 0.1 if breath else 0.0
    kinds = random.choice(
        ["saw", "pulse", "sine", "fm", "breath"], int(random.integers(1, 4)), p=[0.3, 0.2, 0.25 - share, 0.25, share]
    )
    levels, cents = random.uniform(0.2, 1, len(kinds)), random.normal(0, 8, len(kinds))
    octaves, width = random.choice([0.5, 1, 1, 2], len(kinds)), random.uniform(0.1, 0.9)
    ratio, index = random.choice([0.5, 1, 1.41, 2, 3, 3.5, 7]), random.uniform(0.3, 8)
    fall = 10 ** random.uniform(-1.5, 1)
    seed = int(random.integers(2**32))

    def voice(frames: int, hz: float) -> Sound:
        tone = np.zeros(frames)
        for kind, level, detuned, octave in zip(kinds, levels, cents, octaves, strict=True):
            pitch = hz * octave * 2 ** (detuned / 1200)
            time = np.arange(frames) / RATE
            if kind == "saw":
                tone += level * saw(frames, pitch)
            elif kind == "pulse":
                tone += level * (saw(frames, pitch) - saw(frames, pitch, width))
            elif kind == "sine":
                tone += level * np.sin(2 * np.pi * pitch * time)
            elif kind == "fm":
                depth = index * np.exp(-time / fall)
                tone += level * np.sin(2 * np.pi * pitch * time + depth * np.sin(2 * np.pi * pitch * ratio * time))
            else:  # noise around the pitch
                band = scipy.signal.butter(1, [pitch / 2, min(pitch * 4, RATE / 2.2)], "band", fs=RATE, output="sos")
                tone += level * scipy.signal.sosfilt(band, np.random.default_rng([seed, frames]).normal(0, 1, frames))
        return tone

    return voice


def saw(frames: int, hz: float, phase: float = 0.0) -> Sound:
    step = hz / RATE
    at = (phase + step * np.arange(frames)) % 1
    tone = 2 * at - 1
    after, before = at < step, at > 1 - step
    tone[after] -= 2 * at[after] / step - (at[after] / step) ** 2 - 1
    tone[before] -= ((at[before] - 1) / step) ** 2 + 2 * (at[before] - 1) / step + 1
    return tone


def string(random: Random, frames: int, hz: float, damping: float) -> Sound:
    """A plucked string: a burst of noise goes round a delay line that averages."""
    period = max(4, round(RATE / hz))
    pluck = np.zeros(frames)
    count = min(period, frames)
    pluck[:count] = random.uniform(-1, 1, count)
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1, -damping / 2, -damping / 2
    return scipy.signal.lfilter([1.0], loop, pluck) * envelope(frames, 1e-3, 10.0)


def kick(random: Random) -> Sound:
    time = np.arange(int(0.5 * RATE)) / RATE
    fall, low, high = 10 ** random.uniform(-2, -1), random.uniform(35, 70), random.uniform(100, 600)
    turns = np.cumsum(low + (high - low) * np.exp(-time / fall)) / RATE
    beaten = np.tanh(random.uniform(1, 6) * np.sin(2 * np.pi * turns))
    return beaten * np.exp(-time / random.uniform(0.08, 0.3)) * envelope(len(time), 5e-4, 10.0)


def snare(random: Random) -> Sound:
    time = np.arange(int(0.6 * RATE)) / RATE
    noise = coloured(random, len(time), random.uniform(0, 0.6)) * np.exp(-time / 10 ** random.uniform(-1.7, -0.8))
    tone = np.sin(2 * np.pi * random.uniform(120, 350) * time) * np.exp(-time / random.uniform(0.02, 0.15))
    return (noise + random.uniform(0, 1) * tone) * envelope(len(time), 5e-4, 10.0)


def hat(random: Random, fall: float) -> Sound:
    time = np.arange(int(min(2.0, 6 * fall) * RATE)) / RATE
    metal = sum(np.sign(np.sin(2 * np.pi * hz * time)) for hz in random.uniform(200, 1500, 6)) / 6
    noise = random.normal(0, 1, len(time))
    share = random.uniform(0, 1)
    sound = scipy.signal.sosfilt(_highpass(random.uniform(2_000, 9_000)), share * metal + (1 - share) * noise)
    return sound * np.exp(-time / fall) * envelope(len(time), 5e-4, 10.0)


def moved(sound: Sound, random: Random, period: float, resonance: tuple[float, float] = (0.6, 8)) -> Sound:
    """Through a low-, band- or high-pass whose corner goes up and down with a period in seconds."""
    kind = random.choice(["low", "low", "band", "high", "none"])
    if kind == "none":
        return sound
    q = float(np.exp(random.uniform(*np.log(resonance))))
    centre, depth = 10 ** random.uniform(2.3, 3.8), random.uniform(0, 2.5)
    pace = 2 * np.pi / (period * float(random.choice([0.25, 0.5, 1, 2, 4])))
    state, done = np.zeros((1, 2)), np.empty_like(sound)
    for start in range(0, len(sound), STEP):
        hz = np.clip(centre * 2 ** (depth * np.sin(pace * start / RATE)), 40, 16_000)
        part, state = scipy.signal.sosfilt(_resonant(str(kind), hz, q), sound[start : start + STEP], zi=state)
        done[start : start + STEP] = part
    return done


def _resonant(kind: str, hz: float, q: float) -> Sound:
    """One second-order section of a state-variable filter."""
    g = np.tan(np.pi * hz / RATE)
    first = {"low": [g * g, 2 * g * g, g * g], "band": [g / q, 0, -g / q], "high": [1, -2, 1]}[kind]
    last = [1 + g / q + g * g, 2 * (g * g - 1), 1 - g / q + g * g]
    return np.array([[*first, *last]]) / last[0]


def _highpass(hz: float) -> Sound:
    return np.asarray(scipy.signal.butter(2, hz, "high", fs=RATE, output="sos"))


def loudspeaker(random: Random) -> Sound:
    """What a guitar cabinet passes: little below 80 Hz, a peak in the presence, next to nothing above 5 kHz."""
    low = scipy.signal.butter(2, random.uniform(60, 120), "high", fs=RATE, output="sos")
    high = scipy.signal.butter(int(random.integers(2, 5)), random.uniform(3_500, 8_000), "low", fs=RATE, output="sos")
    peak = np.concatenate(scipy.signal.iirpeak(random.uniform(1_500, 3_500), random.uniform(0.7, 2), fs=RATE))[None]
    lift = 10 ** (random.uniform(0, 8) / 20) - 1
    peak[0, :3] = lift * peak[0, :3] + peak[0, 3:]  # the peak on top of what passes as it is
    return np.concatenate([low, high, peak])


def coloured(random: Random, frames: int, colour: float) -> Sound:
    """Noise from white (0) to brown (1), of level 1."""
    noise = scipy.signal.lfilter([1.0], [1.0, -0.98 * colour], random.normal(0, 1, frames))
    return noise / max(float(np.std(noise)), 1e-6)


def envelope(frames: int, attack: float, decay: float) -> Sound:
    """Up in *attack* seconds, down by a factor e in *decay*, and out without a click."""
    time = np.arange(frames) / RATE
    shape = np.minimum(time / attack, 1) * np.exp(-np.maximum(time - attack, 0) / decay)
    out = min(512, frames)
    shape[frames - out :] *= np.linspace(1, 0, out)
    return shape


def wide(sound: Sound, random: Random) -> Sound:
    """(2, frames): in the middle, or one side a few milliseconds late."""
    late = int(random.uniform(0, 0.02) * RATE) if random.random() < 0.5 else 0
    return np.stack([sound, np.concatenate([np.zeros(late), sound[: len(sound) - late]])])


def effects(sound: Sound, random: Random, *, dry: bool) -> Sound:
    """Through none, one or several effects of a studio. *dry*: rarely."""
    likely = 0.08 if dry else 0.2
    chain = [
        pedalboard.Distortion(random.uniform(5, 30)),
        pedalboard.Chorus(random.uniform(0.1, 3), random.uniform(0.1, 0.6)),
        pedalboard.Phaser(random.uniform(0.1, 3)),
        pedalboard.Delay(random.uniform(0.05, 0.6), random.uniform(0, 0.6), random.uniform(0.1, 0.5)),
        pedalboard.Reverb(random.uniform(0.1, 0.95), wet_level=random.uniform(0.05, 0.5)),
    ]
    chain = [each for each in chain if random.random() < likely]
    quiet = sound / max(float(np.abs(sound).max()), 1e-6) * 0.5
    return np.asarray(pedalboard.Pedalboard(chain)(quiet.astype(np.float32), RATE), np.float64)


def _put(sound: Sound, start: int, part: Sound) -> None:
    end = min(len(sound), start + len(part))
    if end > start:
        sound[start:end] += part[: end - start]


if __name__ == "__main__":
    main()
