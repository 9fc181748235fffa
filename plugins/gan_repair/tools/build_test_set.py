"""Builds the frozen test set of clean sound and noise, from Debian packages that no training ever sees.

    python plugins/gan_repair/tools/build_test_set.py --out test-set --work work
    python plugins/gan_repair/tools/build_test_set.py --out dev-set --dev --corpus corpus

- OUT/clean/speech_000.flac ...: mono, 3.4 to 6.5 seconds; sentences, or letters and syllables of one voice joined.
- OUT/clean/music_000.flac ...: 6 seconds, stereo where the source is.
- OUT/noise/noise_000.flac ...: 10 seconds, mono.
- OUT/manifest.json: package, version, licence, paths, offset, rate, real bandwidth and SHA-1 of each file.

Nothing is random: the same packages give the same bytes; the last line printed is one hash over all.

`--dev` takes the held-out groups of a corpus that `build_corpus.py` made instead: for choosing settings, so that the
test set stays unseen. The degraded versions are made from either by `wavechain evaluate`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile
import soxr
from build_corpus import FULL_BAND_HZ, TEST_PACKAGES, decoded
from debian_packages import PackagedFile, PackageError, audio_files, is_allowed, version_of
from sound_measures import (
    Waveform,
    bandwidth_hz,
    clipped_share,
    is_steady,
    joined,
    level_dbfs,
    looped,
    snr_db,
    trimmed,
)

SPEECH_ITEMS = 40
SPEECH_SECONDS = (4.0, 6.5)
SENTENCE_SECONDS = 3.4  # a recording this long is an item of its own
EXCERPT_SECONDS = 6.0
NOISE_SECONDS = 10.0
CLEAN_SPEECH_DB = 35.0
SPEECH_BAND_HZ = 13_000
DEV_ITEMS = {"speech": 20, "music": 20, "noise": 8}

# This is the second edition: the first was looked at too often to count as unseen. It took the first items of each
# voice and other places of the music; the few sentences there are stand in both.
TAKEN_BEFORE = 2

# package, which files, which voice is heard. Left out: the other voice of gcin-voice (3.ogg), which is noisy; of
# klettres-data Tswana, which runs over full scale, and English, which has ticks, multiples of 2048 frames apart.
SENTENCES = "unknown-horizons"
VOICES = [
    (SENTENCES, r"/audio/voice/(\w+)/"),
    ("gcin-voice", r"/(5)\.ogg$"),
    ("klettres-data", r"/klettres/(?!tn/|en/)(\w+)/"),
]
LOOPS = ["amen", "amen_full", "breakbeat", "electric", "industrial", "mehackit2", "perc1", "perc2"]
NOISES = [
    ("trackballs-data", r"/sfx/(machine_loop|roll_sound|crash|sandcrash)\.wav$"),
    (
        "minetest-data",
        r"/(env_sounds_water\.[13]|env_sounds_lava\.1|fire_fire\.1|fire_large|default_furnace_active)\.ogg$",
    ),
    (
        "minetest-data",
        r"/(carts_cart_moving\.1|default_gravel_footstep\.1|default_dig_metal|default_glass_footstep)\.ogg$",
    ),
    ("unknown-horizons", r"/sounds/(windmill|sheepfield|main_square|warehouse|lumberjack_long|smith|tavern)\.ogg$"),
    ("sonic-pi-samples", r"/(vinyl_hiss|loop_3d_printer)\.flac$"),
]


Item = tuple[str, Waveform, int, dict[str, object]]  # name, sound, rate, where it comes from


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("test-set"), help="Folder to make; must not exist.")
    parser.add_argument("--work", type=Path, default=Path("corpus-work"), help="Downloads, kept.")
    parser.add_argument("--dev", action="store_true", help="From held-out training files instead; needs --corpus.")
    parser.add_argument("--corpus", type=Path, help="A corpus folder that build_corpus.py made.")
    options = parser.parse_args(arguments)
    if options.dev and not options.corpus:
        parser.error("--dev needs --corpus: a folder that build_corpus.py made.")
    if options.out.exists():
        print(f"{options.out} exists already. Try: another --out, or remove it", file=sys.stderr)
        return 1
    try:
        items = dev_items(options.corpus) if options.dev else test_items(options.work)
        manifest = write_items(items, options.out, split="dev" if options.dev else "test")
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    for kind in ("speech", "music", "noise"):
        own = [entry for entry in manifest["files"] if entry["kind"] == kind]
        full = sum(entry["bandwidth_hz"] >= FULL_BAND_HZ for entry in own)
        print(f"{kind}: {len(own)} items, {sum(entry['seconds'] for entry in own):.0f} s, {full} items full band")
    print(f"sha1 over all files: {manifest['sha1']}")
    return 0


def test_items(work: Path) -> Iterator[Item]:
    yield from speech_items(work)
    yield from music_items(work)
    yield from noise_items(work)


# Speech ---------------------------------------------------------------------------------------------------------------


def speech_items(work: Path) -> Iterator[Item]:
    """Sentences first, then items of one voice each, the voices in turn; only recordings with quiet pauses."""
    voices: dict[str, Iterator[Item]] = {}
    given = 0
    for package, pattern in VOICES:
        files = defaultdict(list)
        for source in usable(package, work):
            found = re.search(pattern, source.path)
            if found:
                files[f"{package}/{found.group(1)}"].append(source)
        for voice, sources in sorted(files.items()):
            items = voice_items(voice, sorted(sources, key=lambda source: stable_order(source.path)), work)
            if package == SENTENCES:
                for item in items:
                    given += 1
                    yield item
            else:
                voices[voice] = islice(items, TAKEN_BEFORE, None)
    while voices and given < SPEECH_ITEMS:
        for voice in list(voices):
            item = next(voices[voice], None)
            if item is None:
                del voices[voice]
            elif given < SPEECH_ITEMS:
                given += 1
                yield item


def voice_items(voice: str, sources: list[PackagedFile], work: Path) -> Iterator[Item]:
    """Clean recordings of one voice, joined to 4 seconds or a little more; every recording is used once at most."""
    shortest, longest = SPEECH_SECONDS
    parts: list[tuple[PackagedFile, Waveform]] = []
    rate = 0
    for source in sources:
        waveform, own_rate = decoded(source.file)
        waveform = waveform.mean(axis=0, keepdims=True)
        if own_rate not in (44_100, 48_000) or (rate and own_rate != rate) or not is_clean_speech(waveform, own_rate):
            continue
        sound = trimmed(waveform, own_rate)
        if not 0.3 * own_rate <= sound.shape[-1] <= longest * own_rate:
            continue
        rate = own_rate
        if sound.shape[-1] >= SENTENCE_SECONDS * own_rate:
            yield "speech", sound, rate, origin([source], work, voice=voice, offset_seconds=0.0)
            continue
        gaps = [0.15 + 0.2 * (at % 3) / 2 for at in range(len(parts))]
        length = sum(part.shape[-1] for _, part in parts) / rate + sum(gaps)
        if length + sound.shape[-1] / rate > longest:
            continue
        parts.append((source, sound))
        length += sound.shape[-1] / rate
        if length >= shortest:
            whole = joined([part for _, part in parts], rate, gaps)
            yield "speech", whole, rate, origin([one for one, _ in parts], work, voice=voice, offset_seconds=0.0)
            parts = []


def is_clean_speech(waveform: Waveform, sample_rate: int) -> bool:
    """Loud enough, not over full scale, pauses at least 35 dB under the loud parts, sound up to 13 kHz."""
    return (
        level_dbfs(waveform) > -50
        and clipped_share(waveform) < 0.001
        and snr_db(waveform, sample_rate) >= CLEAN_SPEECH_DB
        and bandwidth_hz(trimmed(waveform, sample_rate), sample_rate) >= SPEECH_BAND_HZ
    )


# Music ----------------------------------------------------------------------------------------------------------------


def music_items(work: Path) -> Iterator[Item]:
    """One excerpt of each track, two of each song (its stems mixed), and loops repeated without a seam."""
    for source in usable("singularity-music", work):
        waveform, rate = decoded(source.file)
        yield from excerpts([source], waveform, rate, work, [0.2, 0.8])
    for package in ("fretsonfire-songs-muldjord", "fretsonfire-songs-sectoid"):
        songs = defaultdict(list)
        for source in usable(package, work):
            songs[Path(source.path).parent].append(source)
        for stems in songs.values():
            sounds = [decoded(stem.file) for stem in stems]
            rate, length = sounds[0][1], min(sound.shape[-1] for sound, _ in sounds)
            mix = np.sum([sound[:, :length] for sound, _ in sounds], axis=0, dtype=np.float32)
            mix *= np.float32(min(1.0, 0.99 / np.abs(mix).max()))
            half = length // 2
            yield from excerpts(stems, mix[:, :half], rate, work, [0.3, 0.9])
            yield from excerpts(stems, mix[:, half:], rate, work, [0.1, 0.7], at_frame=half)
    for source in usable("sonic-pi-samples", work):
        if Path(source.path).stem in {f"loop_{name}" for name in LOOPS}:
            waveform, rate = decoded(source.file)
            frames = round(EXCERPT_SECONDS * rate)
            sound = np.tile(waveform, -(-frames // waveform.shape[-1]))[:, :frames]
            yield "music", sound, rate, origin([source], work, offset_seconds=0.0)


def excerpts(
    sources: list[PackagedFile], waveform: Waveform, rate: int, work: Path, places: list[float], *, at_frame: int = 0
) -> Iterator[Item]:
    """The first excerpt that sounds in each of its seconds, at one of *places* (as a share of the length) or anywhere.

    Tracks without sound above 10 kHz give none.
    """
    frames = round(EXCERPT_SECONDS * rate)
    for place in [*places, *np.linspace(0, 0.95, 20)]:
        start = round(place * (waveform.shape[-1] - frames))
        sound = waveform[:, start : start + frames]
        seconds = [level_dbfs(part) for part in np.array_split(sound, round(EXCERPT_SECONDS), axis=-1)]
        if min(seconds) > -45 and clipped_share(sound) < 0.001 and bandwidth_hz(sound, rate) >= 10_000:
            yield "music", sound, rate, origin(sources, work, offset_seconds=round((at_frame + start) / rate, 3))
            return


# Noise ----------------------------------------------------------------------------------------------------------------


def noise_items(work: Path) -> Iterator[Item]:
    """Ten seconds of each sound: cut, looped when it is steady, or repeated with short pauses."""
    for package, pattern in NOISES:
        for source in usable(package, work):
            if re.search(pattern, source.path):
                waveform, rate = decoded(source.file)
                yield "noise", *noise_bed(waveform.mean(axis=0, keepdims=True), rate), origin([source], work)


def noise_bed(waveform: Waveform, rate: int) -> tuple[Waveform, int]:
    """Ten seconds made of one noise; other rates than 44.1 and 48 kHz are resampled to 44.1 kHz."""
    sound = trimmed(waveform, rate)
    if rate not in (44_100, 48_000):
        sound, rate = np.ascontiguousarray(soxr.resample(sound.T, rate, 44_100, quality="VHQ").T), 44_100
    if is_steady(sound, rate) and sound.shape[-1] > rate:
        sound = looped(sound, rate, NOISE_SECONDS)
    while sound.shape[-1] < NOISE_SECONDS * rate:
        sound = joined([sound, sound], rate, [0.2])
    return sound[:, : round(NOISE_SECONDS * rate)], rate


# Held-out files of the training corpus --------------------------------------------------------------------------------


def dev_items(corpus: Path) -> Iterator[Item]:
    """Excerpts of the corpus's held-out groups, one of each group in turn, full-band sound first."""
    entries = json.loads((corpus / "manifest.json").read_text())["files"]
    for kind, count in DEV_ITEMS.items():
        own = [
            entry for entry in entries if entry["kind"] == kind and entry["split"] == "dev" and entry["seconds"] >= 4
        ]
        turns: dict[str, int] = defaultdict(int)
        ranked = []
        for entry in sorted(own, key=lambda entry: stable_order(entry["file"])):
            ranked.append((not entry["full_band"] and kind != "noise", turns[entry["group"]], entry))
            turns[entry["group"]] += 1
        for *_, entry in sorted(ranked, key=lambda item: item[:2])[:count]:
            waveform, rate = decoded(corpus / entry["file"])
            frames = round((NOISE_SECONDS if kind == "noise" else EXCERPT_SECONDS) * rate)
            start = max(0, waveform.shape[-1] - frames) // 2
            place = {key: entry[key] for key in ("package", "licence", "paths", "group")}
            offset = round(entry["start_seconds"] + start / rate, 3)
            yield kind, waveform[:, start : start + frames], rate, {**place, "offset_seconds": offset}


# Writing --------------------------------------------------------------------------------------------------------------


def usable(package: str, work: Path) -> list[PackagedFile]:
    """The audio files of a test package whose licence allows the use."""
    if package not in TEST_PACKAGES:
        raise PackageError(f"{package}: may be trained on, so it cannot be in the test set.")
    return [source for source in audio_files(package, work) if is_allowed(source.licence)]


def stable_order(path: str) -> str:
    """A sorting key that follows no name: the same on every machine."""
    return hashlib.sha1(path.encode()).hexdigest()


def origin(sources: list[PackagedFile], work: Path, **more: object) -> dict[str, object]:
    return {
        "package": sources[0].package,
        "version": version_of(sources[0].package, work),
        "licence": " and ".join(sorted({source.licence for source in sources})),
        "paths": [source.path for source in sources],
        **more,
    }


def write_items(items: Iterator[Item], out: Path, *, split: str) -> dict[str, object]:
    """Writes every item and the manifest; *out* appears whole or not at all."""
    partial = out.with_name(out.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    for folder in ("clean", "noise"):
        (partial / folder).mkdir(parents=True)
    entries: list[dict[str, object]] = []
    numbers: dict[str, int] = defaultdict(int)
    for kind, waveform, rate, place in items:
        name = f"{'noise' if kind == 'noise' else 'clean'}/{kind}_{numbers[kind]:03d}.flac"
        numbers[kind] += 1
        sound = waveform * np.float32(min(1.0, 0.99 / max(float(np.abs(waveform).max()), 1e-9)))
        soundfile.write(partial / name, sound.T, rate, format="FLAC", subtype="PCM_16")
        entries.append(
            {
                "file": name,
                "kind": kind,
                **place,
                "seconds": round(sound.shape[-1] / rate, 3),
                "sample_rate": rate,
                "channels": sound.shape[0],
                "bandwidth_hz": bandwidth_hz(sound, rate),
                "sha1": hashlib.sha1((partial / name).read_bytes()).hexdigest(),
            }
        )
    digest = hashlib.sha1("".join(str(entry["sha1"]) for entry in entries).encode()).hexdigest()
    manifest: dict[str, object] = {"version": 2, "split": split, "sha1": digest, "files": entries}
    (partial / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    partial.rename(out)
    return manifest


if __name__ == "__main__":
    sys.exit(main())
