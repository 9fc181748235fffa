"""Renders what packages of game music lack: distorted guitars, basses and drums, alone and together, from a soundfont.

    python plugins/gan_repair/tools/render_band.py --out corpus/train/rendered/bands --count 200

Loud, dense and noise-like, and yet clean: what a network that takes noise away must learn to leave. Riffs and beats are
drawn from chance, bar by bar; the same seed gives the same notes. Needs `fluidsynth` and the package
`fluid-soundfont-gm` (MIT). Files are 24 seconds of 44.1 kHz stereo, 16-bit FLAC.
"""

from __future__ import annotations

import argparse
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

RATE = 44_100
TICKS = 240  # a beat
SECONDS = 24.0
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
GUITARS = (26, 27, 28, 29, 30, 30, 29)  # jazz, clean, muted, overdriven, distorted, as programs from 0
BASSES = (32, 33, 34, 36, 38)
OTHERS = (0, 4, 16, 18, 48, 52, 61, 81, 87, 90)  # pianos, organs, strings, choir, brass, leads, a pad
KICK, SNARE, CLOSED, OPEN, CRASH, RIDE, TOMS = 36, 38, 42, 46, 49, 51, (41, 45, 48)
SCALE = (0, 2, 3, 5, 7, 8, 10)

Event = tuple[int, bytes]  # (tick, message)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="Folder that the files are put into.")
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--soundfont", type=Path, default=SOUNDFONT)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for index in range(options.count):
        random = np.random.default_rng([options.seed, index])
        waveform = rendered(band(random), options.soundfont, "-O", "s16")
        quiet = 10 ** (-random.uniform(0, 12) / 20) * 0.9 / max(float(np.abs(waveform).max()), 1e-6)
        soundfile.write(options.out / f"band-{options.seed}-{index:04d}.flac", waveform * quiet, RATE, subtype="PCM_16")


def band(random: np.random.Generator) -> bytes:
    """A MIDI file of one to four parts."""
    tempo = random.uniform(70, 190)
    bars = int(SECONDS * tempo / 60 / 4) + 2
    root = int(random.integers(28, 41))
    chords = [root + int(random.choice(SCALE)) for _ in range(4)]
    wanted = random.random(4) < (0.65, 0.35, 0.45, 0.2)
    if not wanted.any():
        wanted[0] = True
    events: list[Event] = []
    if wanted[0]:
        for channel in range(1 if random.random() < 0.5 else 2):
            events += guitar(random, channel, bars, chords)
    if wanted[1]:
        events += line(random, 2, int(random.choice(BASSES)), bars, [chord - 12 for chord in chords])
    if wanted[2]:
        events += drums(random, bars)
    if wanted[3]:
        events += line(random, 3, int(random.choice(OTHERS)), bars, [chord + 24 for chord in chords])
    return midi(events, tempo)


def guitar(random: np.random.Generator, channel: int, bars: int, chords: list[int]) -> list[Event]:
    """Power chords, chugged, held or picked; panned when there are two."""
    events = [
        _program(channel, int(random.choice(GUITARS))),
        (0, bytes([0xB0 | channel, 10, int(random.integers(128))])),
    ]
    rhythm = random.random(8) < random.uniform(0.2, 1)
    rhythm[0] = True
    picked = random.random() < 0.3
    for bar in range(bars):
        chord = chords[bar % len(chords)]
        starts = np.flatnonzero(rhythm)
        for start, end in zip(starts, [*starts[1:], 8], strict=True):
            length = int((end - start) * TICKS / 2 * random.choice([0.3, 0.9, 1.0]))
            tick = bar * 4 * TICKS + int(start) * TICKS // 2
            notes = [chord + int(random.choice(SCALE)) + 12] if picked else [chord, chord + 7, chord + 12]
            for note in notes:
                events += _note(tick, length, channel, note, int(random.integers(60, 127)))
    return events


def line(random: np.random.Generator, channel: int, program: int, bars: int, chords: list[int]) -> list[Event]:
    events = [_program(channel, program)]
    step = int(random.choice([TICKS // 2, TICKS, 4 * TICKS]))
    for tick in range(0, bars * 4 * TICKS, step):
        if random.random() < 0.85:
            chord = chords[tick // (4 * TICKS) % len(chords)]
            note = chord + (0 if random.random() < 0.6 else int(random.choice(SCALE)))
            events += _note(tick, int(step * random.uniform(0.4, 1)), channel, note, int(random.integers(60, 120)))
    return events


def drums(random: np.random.Generator, bars: int) -> list[Event]:
    kicks, extra = random.random(16) < 0.25, random.random(16) < 0.06
    kicks[0] = True
    cymbal = int(random.choice([CLOSED, CLOSED, OPEN, RIDE, CRASH]))
    every = int(random.choice([1, 2, 2, 4]))
    events = []
    for bar in range(bars):
        for place in range(16):
            hits = [KICK] * bool(kicks[place]) + [SNARE] * bool(place % 8 == 4 or extra[place])
            hits += [cymbal] * (place % every == 0) + [CRASH] * (place == 0 and bar % 4 == 0)
            if bar % 8 == 7 and place >= 8:
                hits.append(int(random.choice(TOMS)))
            for hit in hits:
                tick = bar * 4 * TICKS + place * TICKS // 4
                events += _note(tick, TICKS // 4, 9, hit, int(random.integers(50, 127)))
    return events


def _note(tick: int, length: int, channel: int, note: int, velocity: int) -> list[Event]:
    note = max(0, min(127, note))
    return [
        (tick, bytes([0x90 | channel, note, velocity])),
        (tick + max(1, length), bytes([0x80 | channel, note, 0])),
    ]


def _program(channel: int, program: int) -> Event:
    return 0, bytes([0xC0 | channel, program])


def midi(events: list[Event], tempo: float) -> bytes:
    """A standard MIDI file of one track."""
    track = b"\x00\xff\x51\x03" + int(60e6 / tempo).to_bytes(3, "big")
    now = 0
    for tick, message in sorted(events, key=lambda event: (event[0], event[1][0] & 0xF0 == 0x90)):
        track += _variable(tick - now) + message
        now = tick
    track += b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _variable(number: int) -> bytes:
    """Seven bits a byte, the highest bit says that more follow."""
    found = [number & 0x7F]
    while number := number >> 7:
        found.append(number & 0x7F | 0x80)
    return bytes(reversed(found))


def rendered(song: bytes, soundfont: Path, *switches: str) -> np.ndarray:
    """What fluidsynth makes of a MIDI file, at any level. Shape (frames, 2) float32"""
    with tempfile.TemporaryDirectory() as name:
        midi, wav = Path(name) / "song.mid", Path(name) / "out.wav"
        midi.write_bytes(song)
        command = ["fluidsynth", "-ni", "-q", "-r", str(RATE), "-T", "wav", *switches, "-F", wav, soundfont, midi]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        waveform, _ = soundfile.read(wav, dtype="float32", always_2d=True)
    return waveform[: int(SECONDS * RATE)]


if __name__ == "__main__":
    main()
