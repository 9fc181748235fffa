"""Renders excerpts of MIDI songs in many disguises: other instruments, keys, tempos, parts, soundfonts and effects.

    python plugins/gan_repair/tools/render_songs.py --out corpus/train/rendered/songs --work corpus-work --count 300

A network that takes damage away must know what clean music can sound like. Songs are those of `freedoom` and
`openttd-openmsx`, and arrangements that `mma` (Musical MIDI Accompaniment) plays to chord charts drawn from chance;
each is varied, cut to 24 seconds, and played by one of four soundfonts, a third of them through guitar pedals and
studio effects. One line a song says what was drawn; the same seed draws the same songs.

Needs `apt-get`, `dpkg`, `fluidsynth`, and `mido` and `pedalboard` from PyPI. Files are 44.1 kHz stereo, 16-bit FLAC.
"""

from __future__ import annotations

import argparse
import os
import re
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import mido
import numpy as np
import pedalboard
import soundfile
from debian_packages import PackageError, copyright_text, fetched, is_allowed, licence_of
from mido.midifiles.meta import KeySignatureError
from render_band import RATE, SECONDS, rendered

SOUNDFONTS = ("fluid-soundfont-gm", "musescore-general-soundfont", "timgm6mb-soundfont", "opl3-soundfont")
SONGS = ("freedoom", "openttd-openmsx", "mma")
SONG_WEIGHTS = (0.25, 0.2, 0.55)
OTHER_NAMES = {"freedoom-license": "BSD-3-Clause"}  # names of copyright files for licences known under another
TICKS = 480  # a beat of half a second
DRUMS = 9
KITS = (0, 8, 16, 24, 25, 32, 40)  # standard, room, power, electronic, analogue, jazz, brush
LOUD_GUITARS = (27, 28, 29, 29, 30, 30, 31)  # clean, muted, overdriven, distorted, harmonics, as programs from 0
BOLD = (*LOUD_GUITARS, 16, 17, 18, 80, 81, 84, 87, 89, 90, 91, 95)  # and organs, synthetic leads and pads
CHORDS = ((0, "", "M7"), (2, "m", "m7"), (4, "m", "m7"), (5, "", "M7"), (7, "", "7"), (9, "m", "m7"))
KEYS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SILENT_DBFS = -50.0


class SongError(Exception):
    """A song that cannot be used: one line that says why."""


@dataclass(frozen=True)
class Sources:
    """What songs are drawn from: MIDI files as (name, bytes), styles of mma as (file, grooves), and soundfonts."""

    songs: dict[str, list[tuple[str, bytes]]]
    mma: Path
    styles: list[tuple[str, list[str]]]
    soundfonts: list[Path]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="Folder that the files are put into.")
    parser.add_argument("--work", type=Path, required=True, help="Folder that packages are unpacked into.")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="Processes at work at once.")
    options = parser.parse_args()
    try:
        sources = gathered(options.work)
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.jobs) as pool:
        one = partial(written, sources=sources, out=options.out, seed=options.seed)
        for line in pool.map(one, range(options.count)):
            print(line, flush=True)
    return 0


def gathered(work: Path) -> Sources:
    """Fetches the packages and prints what is taken of each; PackageError for one that may not be used."""
    folders = {package: fetched(package, work) for package in (*SONGS, *SOUNDFONTS)}
    files: dict[str, list[Path]] = {}
    licences: dict[str, list[str]] = {}
    for package, folder in folders.items():
        kinds = (".mid", ".wad", ".sf2", ".sf3", ".mma")
        found = sorted(file for file in folder.rglob("*") if file.suffix in kinds and not file.is_symlink())
        text = copyright_text(folder, package)
        names = {licence_of(file.relative_to(folder).as_posix(), text) for file in found}
        licences[package] = sorted(OTHER_NAMES.get(name, name) for name in names)
        if not names or not all(map(is_allowed, licences[package])):
            raise PackageError(f"{package}: files or their licence are not as expected.")
        files[package] = found
    lumps = [(f"{wad.name}:{name}", lump) for wad in files["freedoom"] for name, lump in midi_lumps(wad.read_bytes())]
    songs = {
        "freedoom": list({lump: (name, lump) for name, lump in lumps}.values()),  # each once, though both may hold it
        "openttd-openmsx": [(file.name, file.read_bytes()) for file in files["openttd-openmsx"]],
    }
    library = folders["mma"] / "usr/share/mma/lib"
    in_library = [file for file in files["mma"] if library in file.parents and file.suffix == ".mma"]
    styles = [(f"{file.parent.name}/{file.stem}", grooves(file)) for file in in_library]
    soundfonts = [max(files[package], key=lambda file: file.stat().st_size) for package in SOUNDFONTS]
    uses = {
        "freedoom": ("songs", lumps),
        "openttd-openmsx": ("songs", songs["openttd-openmsx"]),
        "mma": ("styles", styles),
    }
    for package, names in licences.items():
        use, taken = uses.get(package, ("instruments", [package]))
        print(f"| {package} | {use} | {len(taken)} | {', '.join(names)} | yes |")
    return Sources(songs, folders["mma"].resolve(), [style for style in styles if style[1]], soundfonts)


def midi_lumps(wad: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of each MIDI file in a WAD: 12 bytes of header, and somewhere a directory."""
    count, directory = struct.unpack_from("<ii", wad, 4)
    for at in range(directory, directory + 16 * count, 16):
        offset, size, name = struct.unpack_from("<ii8s", wad, at)
        if wad[offset : offset + 4] == b"MThd":
            yield name.rstrip(b"\0").decode("ascii", errors="replace"), wad[offset : offset + size]


def grooves(style: Path) -> list[str]:
    """Names of the grooves that a style of mma defines; introductions and endings are left out."""
    found = re.findall(r"^\s*DefGroove\s+(\S+)", style.read_text("utf-8", "replace"), flags=re.MULTILINE | re.I)
    return [name for name in found if not re.search(r"intro|end\w?$", name, flags=re.I)]


def written(index: int, sources: Sources, out: Path, seed: int) -> str:
    """Writes song *index* unless it fails or is silent; the line that tells."""
    random = np.random.default_rng([seed, index])
    file, name = out / f"song-{seed}-{index:04d}.flac", "nothing drawn yet"
    try:
        package = str(random.choice(SONGS, p=SONG_WEIGHTS))
        if package == "mma":
            style, names = sources.styles[int(random.integers(len(sources.styles)))]
            name, song = style, arranged(chart(random, style, names), sources.mma)
        else:
            name, song = sources.songs[package][int(random.integers(len(sources.songs[package])))]
        varied = variation(mido.MidiFile(file=BytesIO(song), clip=True), random)
        soundfont = sources.soundfonts[int(random.integers(len(sources.soundfonts)))]
        waveform, effects = produced(played(varied, soundfont, random), random)
    except subprocess.CalledProcessError as error:
        said = (error.stdout + error.stderr).decode(errors="replace").split()
        return f"{file.name}: {package} {name} failed: {' '.join(said)[-200:]}"
    except (
        SongError,
        subprocess.TimeoutExpired,
        KeySignatureError,
        OSError,
        EOFError,
        ValueError,
        LookupError,
        RuntimeError,
    ) as error:
        return f"{file.name}: {package} {name} failed: {error or type(error).__name__}"
    soundfile.write(file, waveform, RATE, subtype="PCM_16")
    channels = sorted({message.channel for message in varied.tracks[0] if message.type == "note_on"})
    return f"{file.name}: {package} {name}, channels {channels}, {soundfont.name}, {' '.join(effects) or 'no effects'}"


def chart(random: np.random.Generator, style: str, names: list[str]) -> str:
    """A chord chart for mma: a loop of chords in one key, a groove of *style* drawn anew every eight bars."""
    tempo, key = float(random.uniform(70, 180)), int(random.integers(12))
    loop = []
    for _ in range(int(random.choice([2, 4, 4, 8]))):
        degree, plain, rich = CHORDS[int(random.integers(len(CHORDS)))]
        loop.append(KEYS[(key + degree) % 12] + (rich if random.random() < 0.4 else plain))
    lines = [f"RndSeed {random.integers(1 << 30)}", f"Tempo {tempo:.1f}"]
    for bar in range(int(SECONDS * 1.25 * tempo / 60 / 3) + 4):  # enough for three beats a bar, played faster
        if bar % 8 == 0:
            lines.append(f"Groove {style}:{random.choice(names)}")
        lines.append(f"{bar + 1} {loop[bar % len(loop)]}")
    return "\n".join(lines) + "\n"


def arranged(text: str, mma: Path) -> bytes:
    """The MIDI file that mma, unpacked in folder *mma*, makes of a chord chart."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "song.mma"
        file.write_text(text)
        command = [sys.executable, mma / "usr/bin/mma", "-w", "-f", file.with_suffix(".mid"), file]
        home = {**os.environ, "MMA_HOME": str(mma / "usr/share/mma"), "HOME": name}
        subprocess.run(command, check=True, capture_output=True, env=home)
        return file.with_suffix(".mid").read_bytes()


def variation(song: mido.MidiFile, random: np.random.Generator) -> mido.MidiFile:
    """24 seconds of *song*, from a random place: other key, tempo and instruments, some parts muted."""
    messages, now, faster = [], 0.0, random.uniform(0.8, 1.25)
    for message in song:  # `time` is in seconds since the last one, by the song's own tempos
        now += message.time / faster
        if not message.is_meta and message.type != "sysex":
            messages.append((now, message))
    start = random.uniform(0, max(0.0, now - SECONDS))
    heard = [(max(0.0, at - start), message) for at, message in messages if at < start + SECONDS]
    notes = [message for at, message in heard if message.type == "note_on" and message.velocity and at > 0]
    kept = chosen_parts(Counter(message.channel for message in notes), random)
    semitones, programs = int(random.integers(-5, 6)), {(channel, 0): 0 for channel in sorted(kept)}
    programs |= {(message.channel, message.program): 0 for _, message in heard if message.type == "program_change"}
    programs = {part: other_program(*part, random) for part in programs}
    track, last = mido.MidiTrack(), 0
    for channel in sorted(kept):  # a part that names no instrument is a piano
        track.append(mido.Message("program_change", channel=channel, program=programs[channel, 0]))
    for at, message in heard:
        if message.channel not in kept or (at == 0 and message.type.startswith("note_")):
            continue
        tick = round(at * 2 * TICKS)
        new = message.copy(time=tick - last)
        if message.type == "program_change":
            new.program = programs[message.channel, message.program]
        elif hasattr(message, "note") and message.channel != DRUMS:
            new.note = max(0, min(127, message.note + semitones))
        track.append(new)
        last = tick
    track.append(mido.Message("note_off", time=max(0, round(SECONDS * 2 * TICKS) - last)))
    for channel in sorted(kept):  # all sound off: fluidsynth plays on for ever while a note is held
        track.append(mido.Message("control_change", channel=channel, control=120))
    return mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track])


def chosen_parts(notes: Counter[int], random: np.random.Generator) -> set[int]:
    """Channels to keep, of {channel: notes}: often all, sometimes a few, sometimes one that has enough to play."""
    if not notes:
        raise SongError("no notes in the excerpt")
    channels, dice = sorted(notes), random.random()
    if dice < 0.45:
        return set(channels)
    busy = [channel for channel in channels if notes[channel] >= 16] or channels
    count = 1 if dice < 0.7 else int(random.integers(1, len(busy) + 1))
    return {int(channel) for channel in random.choice(busy, count, replace=False)}


def other_program(channel: int, program: int, random: np.random.Generator) -> int:
    """Another instrument of the same eight, or now and then a bold one; another kit for the drums."""
    if channel == DRUMS:
        return int(random.choice(KITS)) if random.random() < 0.5 else program
    if program // 8 != 4 and random.random() < 0.3:  # basses stay basses
        return int(random.choice(BOLD))
    if program // 8 == 3 and random.random() < 0.7:
        return int(random.choice(LOUD_GUITARS))
    return program // 8 * 8 + int(random.integers(8))


def played(song: mido.MidiFile, soundfont: Path, random: np.random.Generator) -> np.ndarray:
    """In a room or not, with a chorus or not: see `rendered`."""
    reverb, chorus = random.random(2) < 0.5
    switches = ["-R", str(int(reverb)), "-C", str(int(chorus)), "-g", "0.5"]
    switches += ["-o", f"synth.reverb.room-size={random.uniform(0.1, 0.9):.2f}"]
    file = BytesIO()
    song.save(file=file)
    return rendered(file.getvalue(), soundfont, "-O", "float", *switches)


def produced(waveform: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """The sound and the names of its effects, with a peak of -12 to -0.5 dBFS; SongError when it is silent."""
    peak = float(np.abs(waveform).max(initial=0))
    effects = drawn_effects(random) if random.random() < 1 / 3 else []
    if peak > 0 and effects:
        waveform = pedalboard.Pedalboard(effects)((waveform * (0.5 / peak)).T, RATE).T
        peak = float(np.abs(waveform).max())
    waveform = waveform * (10 ** (random.uniform(-12, -0.5) / 20) / max(peak, 1e-4))
    rms_dbfs = 10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)) + 1e-12)
    if rms_dbfs < SILENT_DBFS:
        raise SongError(f"silent ({rms_dbfs:.0f} dBFS)")
    return waveform, [type(effect).__name__ for effect in effects]


def drawn_effects(random: np.random.Generator) -> list[pedalboard.Plugin]:
    """One to three effects of a guitarist or a mixing engineer."""
    u = random.uniform
    choices = [
        pedalboard.Distortion(drive_db=u(5, 30)),
        pedalboard.Chorus(rate_hz=u(0.2, 3), depth=u(0.1, 0.5), mix=u(0.2, 0.6)),
        pedalboard.Phaser(rate_hz=u(0.1, 2), depth=u(0.2, 0.8), mix=u(0.2, 0.6)),
        pedalboard.Compressor(threshold_db=u(-35, -12), ratio=u(2, 10), attack_ms=u(1, 30), release_ms=u(40, 300)),
        pedalboard.Limiter(threshold_db=u(-20, -6), release_ms=u(40, 300)),
        pedalboard.Bitcrush(bit_depth=u(8, 12)),
        pedalboard.HighShelfFilter(cutoff_frequency_hz=u(2_000, 8_000), gain_db=u(-9, 9), q=0.7),
        pedalboard.LowShelfFilter(cutoff_frequency_hz=u(80, 400), gain_db=u(-9, 9), q=0.7),
        pedalboard.PeakFilter(cutoff_frequency_hz=u(200, 6_000), gain_db=u(-9, 9), q=u(0.5, 2)),
    ]
    weights = np.array([4, 2, 2, 2, 2, 0.4, 1, 1, 1])
    picks = random.choice(len(choices), int(random.integers(1, 4)), replace=False, p=weights / weights.sum())
    return [choices[pick] for pick in picks]


if __name__ == "__main__":
    sys.exit(main())
