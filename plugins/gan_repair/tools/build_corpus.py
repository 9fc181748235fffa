"""Builds the training corpus of the repair network from Debian packages: speech, music and noise, with their licences.

    python plugins/gan_repair/tools/build_corpus.py --out corpus --work work

Each file is decoded, measured and either taken or listed with the reason for leaving it out (`refused.json`). Taken
sound lands in OUT/train and OUT/dev, each with speech/, music/ and noise/, as 16-bit FLAC of at most 30 seconds, at
44.1 or 48 kHz (other rates are resampled to 44.1 kHz; `bandwidth_hz` tells what is really there); OUT/manifest.json
says where each came from. Short recordings of one voice or one folder are joined. Noise that comes and goes is not
written: a network cannot tell a single bang from the music it is mixed with. A *group* never lies on both sides of the
train/dev split: it is the original file, or the set of files that were joined. OUT appears whole or not at all. The
same packages and options give the same files.

`--licences` prints the table of sources and licences as Markdown and builds nothing. The packages of the public test
set (`build_test_set.py`) are refused here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import sound_measures
import soundfile
import soxr
from debian_packages import PackagedFile, PackageError, audio_files, is_allowed, version_of
from sound_measures import (
    Waveform,
    bandwidth_hz,
    clipped_share,
    content_hash,
    cuts,
    is_steady,
    is_sustained,
    joined,
    level_dbfs,
    looped,
    snr_db,
    trimmed,
)

T = TypeVar("T")
R = TypeVar("R")
KINDS = ("speech", "music", "noise")
SPLITS = ("train", "dev")
LONGEST_SECONDS = 30.0
FULL_BAND_HZ = 15_000
MIN_SECONDS = {"speech": 0.4, "music": 8.0, "noise": 0.25}
JOIN_BELOW_SECONDS = 10.0  # shorter recordings of one voice or folder are joined
MIN_RATE = {"speech": 16_000, "music": 32_000, "noise": 11_025}
SILENT_DBFS = -60.0
CLIPPED_SHARE = 0.002
NOISY_SPEECH_DB = 30.0  # a clean recording has pauses at least this far under its loud parts
DEV_PERCENT = 6

TEST_PACKAGES = {
    "fretsonfire-songs-muldjord",
    "fretsonfire-songs-sectoid",
    "gcin-voice",
    "hydrogen-data",
    "klettres-data",
    "minetest-data",
    "singularity-music",
    "sonic-pi-samples",
    "trackballs-data",
    "unknown-horizons",
}


@dataclass(frozen=True)
class Rule:
    """Which files of a package are what: the first rule whose pattern is found in the path holds.

    `voice` has a group that names who or what is heard; recordings of one voice are joined when they are short.
    """

    kind: str
    pattern: str
    voice: str = r"(.*)/"


# Left out on purpose: robot voices and singing of hedgewars-data; battle cries among 0ad-data's human sounds;
# tuxpaint-stamps-default's letters and signs, which mix speech and effects.
SOURCES: dict[str, list[Rule]] = {
    "tuxpaint-stamps-default": [
        Rule("speech", r"_desc_[a-zA-Z_@]+\.ogg$", voice=r"_desc_([a-zA-Z_@]+)\.ogg"),
        Rule("speech", r"_desc\.ogg$", voice=r"_(desc)\.ogg"),
        Rule(
            "noise", r"/stamps/(animals|food|household|military|naturalforces|space|vehicles)/", voice=r"/stamps/(\w+)"
        ),
    ],
    "hedgewars-data": [
        Rule("speech", r"/voices/(?!Robot|Singer)", voice=r"/voices/(\w+)"),
        Rule("music", r"/Data/Music/"),
    ],
    "ktuberling-data": [Rule("speech", r"/sounds/", voice=r"/sounds/([a-z]+)")],
    "fillets-ng-data-cs": [Rule("speech", r"/cs/")],
    "fillets-ng-data-nl": [Rule("speech", r"/nl/")],
    "festvox-ru": [Rule("speech", r"/wav/")],
    "wesnoth-1.16-music": [Rule("music", r"/music/")],
    "warzone2100-music": [Rule("music", r"/music/")],
    "naev-data": [Rule("music", r"/snd/music/"), Rule("noise", r"/snd/sounds/")],
    "planetblupi-music-ogg": [Rule("music", r"/music/")],
    "lebiniou-data": [Rule("music", r"")],
    "supertuxkart-data": [Rule("music", r"/music/"), Rule("noise", r"/sfx/")],
    "0ad-data": [
        Rule("music", r"/audio/music/"),
        Rule("noise", r"/audio/(ambient|attack|actor/(gate|ship|singlesteps|fauna|human/movement|mounted))/"),
    ],
    "flightgear-data-base": [Rule("noise", r"/[Ss]ounds?/(?!.*(voice|morse|atc))")],
    "torcs-data": [Rule("noise", r"/data/sound/")],
    "lincity-ng-data": [Rule("noise", r"/sounds/"), Rule("music", r"/music/")],
    "searchandrescue-data": [Rule("noise", r"/sounds/")],
    "colobot-common-sounds": [Rule("noise", r"/sounds/"), Rule("music", r"/music/")],
    "bucklespring-data": [Rule("noise", r"/wav/")],
}

# Rock, metal, techno, chiptune, loops: what is loud and dense is most easily taken for noise.
SOURCES |= {
    "a7xpg-data": [Rule("music", r"/sounds/")],
    "flare-game": [Rule("music", r"/music/"), Rule("noise", r"/soundfx/environment/")],
    "frozen-bubble-data": [Rule("music", r"/snd/")],
    "nexuiz-data": [Rule("noise", r"/sound/ambient/")],
    "nexuiz-music": [Rule("music", r"")],
    "openarena-data": [Rule("music", r"/music/"), Rule("noise", r"/sound/world/")],
    "parsec47-data": [Rule("music", r"/sounds/")],
    "redeclipse-data": [Rule("music", r"/sounds/music/"), Rule("noise", r"/sounds/ambience/(?!morph)")],
    "tumiki-fighters-data": [Rule("music", r"/sounds/")],
    "ufoai-music": [Rule("music", r"")],
    "widelands-data": [Rule("music", r"/music/"), Rule("noise", r"/sound/ambient")],
    "zaz-data": [Rule("music", r"/zaz/")],
}
SOURCES |= {
    name: [Rule("music", r"(?i)/musics?/")]
    for name in (
        "amoebax-data",
        "ardentryst",
        "enigma-data",
        "freedroidrpg-data",
        "gunroar-data",
        "hyperrogue-music",
        "lordsawar-data",
        "marsshooter-data",
        "megaglest-data",
        "mu-cade-data",
        "pathological",
        "scorched3d-data",
        "starfighter-data",
        "supertux-data",
        "titanion-data",
        "torus-trooper-data",
        "trigger-rally-data",
        "warmux-data",
        "xmoto-data",
    )
}

# Packages with fitting sound that are not used at all.
REFUSED = {
    "drascula-music": "its own licence lets nobody charge for it",
    "hydrogen-drumkits-effects": "the copyright file names the packed kits, not the recordings that are installed",
    "asc-music": "recorded at 22 kHz",
    "noiz2sa-data": "no licence that the list of allowed ones knows",
    "rrootage-data": "no licence that the list of allowed ones knows",
    "openclonk-data": "one copyright text for all, with several licences: none is named for the music",
}


@dataclass(frozen=True)
class Measured:
    """One audio file that may be used, with what was measured on it; `refusal` says why not, when it may not."""

    package: str
    path: str
    file: str
    licence: str
    kind: str
    voice: str
    refusal: str = ""
    seconds: float = 0.0
    sample_rate: int = 0
    bandwidth_hz: int = 0
    snr_db: float = 0.0
    sha1: str = ""


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.licences:
        return print_licences(options.packages, options.work)
    wanted = {"speech": options.hours_speech, "music": options.hours_music, "noise": options.hours_noise}
    if options.out.exists():
        print(f"{options.out} exists already. Try: another --out, or remove it", file=sys.stderr)
        return 1
    found: list[Measured] = []
    for package in options.packages:
        try:
            found += measured_package(package, options.work, options.jobs)
        except PackageError as error:
            found.append(Measured(package, "", "", "", "", "", refusal=str(error)))
            print(error, file=sys.stderr)
    usable, refused = without_duplicates(found)
    chosen = chosen_within(usable, wanted)
    unfinished = options.out.with_name(options.out.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    manifest = write_corpus(chosen, unfinished, options.jobs, mono_music=options.mono_music)
    manifest["packages"] = {name: version_of(name, options.work) for name in sorted({one.package for one in chosen})}
    (unfinished / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    (unfinished / "refused.json").write_text(json.dumps([asdict(one) for one in refused], indent=1, ensure_ascii=False))
    if options.max_mib:
        write_packs(unfinished, manifest["files"], options.max_mib)
    unfinished.rename(options.out)
    print(summary(manifest, refused))
    return 0


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    result.add_argument("--out", type=Path, default=Path("corpus"), help="Folder to make; must not exist.")
    result.add_argument("--work", type=Path, default=Path("corpus-work"), help="Downloads and measures, kept.")
    result.add_argument("--packages", nargs="+", default=list(SOURCES), choices=list(SOURCES), metavar="NAME")
    result.add_argument("--hours-speech", type=float, default=4.0)
    result.add_argument("--hours-music", type=float, default=10.0)
    result.add_argument("--hours-noise", type=float, default=1.5)
    result.add_argument("--mono-music", action="store_true", help="Mix music down; stereo is kept otherwise.")
    result.add_argument(
        "--max-mib", type=float, default=0, help="Also write packs of at most this size: OUT/pack-*.tar."
    )
    result.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    result.add_argument("--licences", action="store_true", help="Print the table of sources and licences, and stop.")
    return result


# Measuring ------------------------------------------------------------------------------------------------------------


def ruled(package: str, path: str) -> tuple[str, str] | None:
    """(kind, voice) of a file by the package's rules; None when no rule takes it."""
    for rule in SOURCES[package]:
        if re.search(rule.pattern, path):
            voice = re.search(rule.voice, path)
            return rule.kind, f"{package}/{voice.group(1).rsplit('/', 1)[-1] if voice else 'all'}"
    return None


def measured_package(package: str, work: Path, jobs: int) -> list[Measured]:
    """Every file of *package* that a rule takes, measured; the measures are kept in the work folder."""
    refuse_test_packages([package])
    settings = repr((SOURCES[package], MIN_SECONDS, MIN_RATE, SILENT_DBFS, CLIPPED_SHARE, NOISY_SPEECH_DB)).encode()
    key = hashlib.sha1(settings + Path(sound_measures.__file__).read_bytes()).hexdigest()[:10]
    cache = work / "measures" / f"{package}-{key}.json"
    sources = audio_files(package, work)
    if cache.exists():
        found = [Measured(**one) for one in json.loads(cache.read_text())]
    else:
        found = [one for one in mapped(measured_file, sources, jobs) if one]
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps([asdict(one) for one in found], ensure_ascii=False))
    licences = {source.path: source.licence for source in sources}
    return [licensed(one, licences[one.path]) for one in found]


def licensed(one: Measured, licence: str) -> Measured:
    """*one* under *licence*, refused when that does not allow the use."""
    refusal = one.refusal if is_allowed(licence) else f"licence {licence}"
    return replace(one, licence=licence, refusal=refusal)


def refuse_test_packages(packages: list[str]) -> None:
    for package in sorted(TEST_PACKAGES & set(packages)):
        raise PackageError(f"{package}: belongs to the public test set, so nothing may be trained on it.")


def measured_file(source: PackagedFile) -> Measured | None:
    rule = ruled(source.package, source.path)
    if rule is None:
        return None
    kind, voice = rule
    base = Measured(source.package, source.path, str(source.file), source.licence, kind, voice)
    try:
        waveform, sample_rate = decoded(source.file)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        return replace(base, refusal=f"cannot be decoded: {error}")
    return replace(base, **measures(waveform, sample_rate, kind))


def measures(waveform: Waveform, sample_rate: int, kind: str) -> dict[str, object]:
    """What a file is worth: fields of Measured, with a `refusal` when it is of no use as *kind*."""
    if not waveform.size or not np.isfinite(waveform).all():
        return {"refusal": "empty or not finite"}
    if level_dbfs(waveform) < SILENT_DBFS:
        return {"refusal": "silent"}
    sound = trimmed(waveform, sample_rate)
    result = {
        "seconds": round(sound.shape[-1] / sample_rate, 3),
        "sample_rate": sample_rate,
        "bandwidth_hz": bandwidth_hz(sound, sample_rate),
        "snr_db": round(snr_db(waveform, sample_rate), 1),
        "sha1": content_hash(waveform),
    }
    if sample_rate < MIN_RATE[kind]:
        return {**result, "refusal": f"sample rate {sample_rate} Hz"}
    if sound.shape[-1] < MIN_SECONDS[kind] * sample_rate and not (kind == "music" and result["seconds"] >= 1):
        return {**result, "refusal": f"too short: {result['seconds']} s"}
    if kind != "noise" and clipped_share(sound) > CLIPPED_SHARE:
        return {**result, "refusal": f"clipped: {clipped_share(sound):.2%} of the samples"}
    if kind == "speech" and result["snr_db"] < NOISY_SPEECH_DB:
        return {**result, "refusal": f"noisy: {result['snr_db']} dB between loud and quiet parts"}
    return result


def decoded(file: Path) -> tuple[Waveform, int]:
    """(channels, frames) float32 and the rate; one or two channels (of more, the first two)."""
    samples, sample_rate = soundfile.read(file, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T[:2]), int(sample_rate)


# Choosing -------------------------------------------------------------------------------------------------------------


def without_duplicates(found: list[Measured]) -> tuple[list[Measured], list[Measured]]:
    """(usable, refused): of files with the same sound, the first by package and path stays."""
    usable, refused = [], []
    first: dict[str, Measured] = {}
    for one in found:
        if one.refusal:
            refused.append(one)
        elif one.sha1 in first:
            twin = first[one.sha1]
            refused.append(replace(one, refusal=f"duplicate of {twin.package}:{twin.path}"))
        else:
            first[one.sha1] = one
            usable.append(one)
    return usable, refused


def chosen_within(usable: list[Measured], hours: dict[str, float]) -> list[Measured]:
    """At most *hours* of each kind: full-band files first, the packages in turn, in an order that no name decides."""
    chosen = []
    for kind in KINDS:
        left = hours[kind] * 3600
        turns: dict[str, int] = Counter()
        ranked = []
        for one in sorted((one for one in usable if one.kind == kind), key=lambda one: one.sha1):
            ranked.append((one.bandwidth_hz < FULL_BAND_HZ, turns[one.package], one.sha1, one))
            turns[one.package] += max(1, round(one.seconds))  # a package's turn comes by seconds, not by files
        for *_, one in sorted(ranked, key=lambda entry: entry[:3]):
            if left <= 0:
                break
            chosen.append(one)
            left -= one.seconds
    return chosen


def batches(chosen: list[Measured]) -> list[list[Measured]]:
    """What is written together: a long file alone; short ones of one voice and rate, up to 30 seconds in all.

    Files keep the order of their paths, so that a series stays together. Every file is in exactly one batch, and a
    batch is one group of the split: no file is on both sides.
    """
    alone, short = [], defaultdict(list)
    for one in sorted(chosen, key=lambda one: (one.package, one.path)):
        if one.seconds >= JOIN_BELOW_SECONDS:
            alone.append([one])
        else:
            short[one.kind, one.voice, one.sample_rate, one.bandwidth_hz >= FULL_BAND_HZ].append(one)
    result = alone
    for files in short.values():
        batch: list[Measured] = []
        for one in files:
            if batch and sum(other.seconds + 0.3 for other in batch) + one.seconds > LONGEST_SECONDS:
                result.append(batch)
                batch = []
            batch.append(one)
        result.append(batch)
    return result


def split_of(group: str) -> str:
    """ "dev" for six groups in a hundred, by a hash of the group's name: stable when files come or go."""
    return "dev" if int(hashlib.sha1(f"split:{group}".encode()).hexdigest(), 16) % 100 < DEV_PERCENT else "train"


# Writing --------------------------------------------------------------------------------------------------------------


def write_corpus(chosen: list[Measured], out: Path, jobs: int, *, mono_music: bool) -> dict[str, object]:
    for split in SPLITS:
        for kind in KINDS:
            (out / split / kind).mkdir(parents=True)
    write = partial(written_batch, out=out, mono_music=mono_music)
    entries = [entry for written in mapped(write, batches(chosen), jobs) for entry in written]
    entries.sort(key=lambda entry: entry["file"])
    return {"version": 1, "full_band_hz": FULL_BAND_HZ, "files": entries}


def written_batch(batch: list[Measured], out: Path, *, mono_music: bool) -> list[dict[str, object]]:
    """Writes one batch as pieces of at most 30 seconds, and returns their manifest entries."""
    kind, group = batch[0].kind, batch[0].sha1
    random = np.random.default_rng(int(group[:12], 16))
    sounds = [prepared(one, mono=kind != "music" or mono_music) for one in batch]
    channels, rate = max(sound.shape[0] for sound, _ in sounds), sounds[0][1]
    waveforms = [np.broadcast_to(sound, (channels, sound.shape[-1])) for sound, _ in sounds]
    longest_gap = 0.3 if kind == "speech" else 0.1
    gaps = [float(random.uniform(longest_gap / 3, longest_gap)) for _ in waveforms]
    whole = joined(waveforms, rate, gaps) if len(waveforms) > 1 else waveforms[0]
    entries = []
    for at, (start, stop) in enumerate(cuts(whole.shape[-1], round(LONGEST_SECONDS * rate), round(0.25 * rate))):
        piece = whole[:, start:stop]
        if level_dbfs(piece) < SILENT_DBFS or (kind == "noise" and not is_sustained(piece, rate)):
            continue
        name = f"{split_of(group)}/{kind}/{batch[0].package}-{group[:10]}-{at:02d}.flac"
        soundfile.write(out / name, piece.T, rate, format="FLAC", subtype="PCM_16")
        entries.append(
            {
                "file": name,
                "kind": kind,
                "package": batch[0].package,
                "licence": " and ".join(sorted({one.licence for one in batch})),
                "paths": [one.path for one in batch],
                "voice": batch[0].voice,
                "start_seconds": round(start / rate, 3),
                "seconds": round((stop - start) / rate, 3),
                "sample_rate": rate,
                "channels": channels,
                "original_rate": batch[0].sample_rate,
                "bandwidth_hz": min(one.bandwidth_hz for one in batch),
                "full_band": min(one.bandwidth_hz for one in batch) >= FULL_BAND_HZ,
                "snr_db": min(one.snr_db for one in batch),
                "sha1": hashlib.sha1((out / name).read_bytes()).hexdigest(),
                "group": group,
                "split": split_of(group),
            }
        )
    return entries


def prepared(one: Measured, *, mono: bool) -> tuple[Waveform, int]:
    """The sound of a file as it is written: trimmed, at 44.1 or 48 kHz, below full scale, steady short noise looped."""
    waveform, rate = decoded(Path(one.file))
    if mono or (waveform.shape[0] == 2 and np.array_equal(waveform[0], waveform[1])):
        waveform = waveform.mean(axis=0, keepdims=True)
    waveform = trimmed(waveform, rate)
    if rate not in (44_100, 48_000):
        waveform = np.ascontiguousarray(soxr.resample(waveform.T, rate, 44_100, quality="VHQ").T)
        rate = 44_100
    if one.kind == "noise" and one.seconds < 6 and is_steady(waveform, rate):
        waveform = looped(waveform, rate, 6.0)
    peak = float(np.abs(waveform).max())
    return (waveform * np.float32(0.99 / peak) if peak > 0.99 else waveform), rate


def write_packs(out: Path, entries: list[dict[str, object]], max_mib: float) -> None:
    """OUT/pack-000.tar and so on: each at most *max_mib*, each a corpus of its own with every kind in proportion."""
    sizes = [(out / str(entry["file"])).stat().st_size + 2048 for entry in entries]
    count = int(sum(sizes) // (max_mib * 2**20 * 0.93)) + 1
    packs: list[list[dict[str, object]]] = [[] for _ in range(count)]
    filled = np.zeros(count)
    order = sorted(range(len(entries)), key=lambda at: (str(entries[at]["kind"]), str(entries[at]["sha1"])))
    for at in order:
        pack = int(np.argmin(filled))
        packs[pack].append(entries[at])
        filled[pack] += sizes[at]
    for number, pack_entries in enumerate(packs):
        listing = out / "pack.json"
        listing.write_text(json.dumps({"version": 1, "full_band_hz": FULL_BAND_HZ, "files": pack_entries}))
        with tarfile.open(out / f"pack-{number:03d}.tar", "w") as tar:
            tar.add(listing, "manifest.json")
            for entry in pack_entries:
                tar.add(out / str(entry["file"]), str(entry["file"]))
        listing.unlink()


def mapped(function: Callable[[T], R], items: Sequence[T], jobs: int) -> Iterator[R]:
    """*function* of each item in order, in *jobs* processes; in this one when that is 1."""
    if jobs == 1:
        yield from map(function, items)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(function, items, chunksize=4)


# Reporting ------------------------------------------------------------------------------------------------------------


def summary(manifest: dict[str, object], refused: list[Measured]) -> str:
    """Hours by kind and package, licences, and what was left out and why."""
    lines = []
    entries = manifest["files"]
    for kind in KINDS:
        own = [entry for entry in entries if entry["kind"] == kind]
        total, full = (
            sum(entry["seconds"] for entry in some) / 3600 for some in (own, [e for e in own if e["full_band"]])
        )
        dev = sum(entry["seconds"] for entry in own if entry["split"] == "dev") / 3600
        lines.append(
            f"{kind}: {len(own)} files, {total:.2f} h, {full:.2f} h of it full band, {dev:.2f} h held out (dev)"
        )
        hours: dict[tuple[str, str], float] = defaultdict(float)
        for entry in own:
            hours[entry["package"], entry["licence"]] += entry["seconds"] / 3600
        lines += [f"  {package} ({licence}): {value:.2f} h" for (package, licence), value in sorted(hours.items())]
    reasons = Counter((one.package, re.split(r"[:(]| of ", one.refusal)[0]) for one in refused)
    lines += [f"left out: {package}: {count} files {reason}" for (package, reason), count in sorted(reasons.items())]
    return "\n".join(lines)


def print_licences(packages: list[str], work: Path) -> int:
    """A Markdown table: package, kind, files, licence, and whether they may be used; then the packages left out."""
    print("| package | used as | files | licence | taken |\n|---|---|---|---|---|")
    for package in packages:
        found = Counter()
        for source in audio_files(package, work):
            rule = ruled(package, source.path)
            if rule:
                found[rule[0], source.licence] += 1
        for (kind, licence), count in sorted(found.items()):
            print(f"| {package} | {kind} | {count} | {licence} | {'yes' if is_allowed(licence) else 'no'} |")
    for package, reason in sorted(REFUSED.items()):
        print(f"| {package} | | | | no: {reason} |")
    for package in sorted(TEST_PACKAGES):
        print(f"| {package} | | | | no: public test set |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
