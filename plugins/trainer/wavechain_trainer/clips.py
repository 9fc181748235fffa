"""Training clips out of folders: any rate and format, decoded once, split by file, cut where there is sound.

Conventions
    A *pool* is one folder (or file) that was named; all pools are drawn from equally often, whatever their sizes, so
    that ten hours of music do not drown one hour of speech.
    Every file of a pool lies either in training or in validation: by a hash of its samples, so that a copy under
    another name or in another lossless format cannot lie in both. A lossy copy is another recording to it.
    Decoded sound is kept as 16-bit integers with a scale of its own in ``cache/``, mono or stereo as it came (the first
    two channels of more), at the recipe's rate. Files are decoded in pieces: their length does not matter.
    What is drawn depends on (seed, step, turn, item) alone: nothing is remembered from one draw to the next, so that a
    resumed run goes on as if it had never stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from wavechain.errors import MediaError, PluginError, UsageError
from wavechain.files import open_source
from wavechain.lastmile import unwritable
from wavechain.naming import audio_below
from wavechain.seeds import derive_seed
from wavechain.stages import Source
from wavechain.stream import Block

SILENCE_DBFS = -60.0
CLIPPED_SHARE = 1e-3
GAP_SECONDS = (0.1, 0.4)
TRIES = 6
CHUNK = 441 * 1_000  # frames held in memory while a file is decoded


@dataclass(frozen=True, slots=True)
class Left:
    """A file that is not used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Recording:
    """One decoded file. *level* is what it is at half of the time, RMS: crops are judged against it."""

    path: Path
    cached: Path
    digest: str
    frames: int
    scale: float
    level: float
    rate: int = 0  # of the file itself; 0 where an older cache does not say

    def read(self, start: int, frames: int) -> Block:
        """Shape (channels, frames), fewer at the end."""
        samples = np.load(self.cached, mmap_mode="r")[:, start : start + frames]
        waveform: Block = samples.astype(np.float32) * np.float32(self.scale)
        return waveform


@dataclass(frozen=True, slots=True)
class Pool:
    folder: Path
    recordings: tuple[Recording, ...]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def frames(self) -> int:
        return sum(recording.frames for recording in self.recordings)

    def below(self, sample_rate: int) -> int:
        """How many were recorded at a lower rate than that: they have no highs to learn from."""
        return sum(0 < recording.rate < sample_rate for recording in self.recordings)


@dataclass(frozen=True, slots=True)
class Data:
    """What a run trains on."""

    sample_rate: int
    training: tuple[Pool, ...]
    validation: tuple[Pool, ...]
    left: tuple[Left, ...]

    @property
    def digest(self) -> str:
        """Changes when any file does: a run is resumed on the data it was begun with."""
        every = [r.digest for pools in (self.training, self.validation) for pool in pools for r in pool.recordings]
        return hashlib.blake2b("".join(every).encode(), digest_size=16).hexdigest()

    def clip(self, pools: Sequence[Pool], frames: int, rng: np.random.Generator) -> Block:
        """One clip of *frames* frames, cut where there is sound; short recordings are strung together."""
        pool = pools[int(rng.integers(len(pools)))]
        lengths = np.minimum([recording.frames for recording in pool.recordings], 60 * self.sample_rate)
        share = np.cumsum(lengths / lengths.sum())
        pieces: list[Block] = []
        have = 0
        while have < frames:
            recording = pool.recordings[min(int(np.searchsorted(share, rng.random())), len(share) - 1)]
            piece = _lively(recording, frames - have, rng)
            gap = int(rng.uniform(*GAP_SECONDS) * self.sample_rate)
            pieces += [piece, np.zeros((piece.shape[0], gap), np.float32)]
            have += piece.shape[1] + gap
        channels = min(piece.shape[0] for piece in pieces)
        return np.ascontiguousarray(np.concatenate([piece[:channels] for piece in pieces], axis=1)[:, :frames])


def _lively(recording: Recording, frames: int, rng: np.random.Generator) -> Block:
    """The first of some random places that is not much quieter than the recording."""
    best: Block = np.zeros((1, 0), np.float32)
    loudest = -1.0
    for _ in range(TRIES):
        start = int(rng.integers(max(1, recording.frames - frames + 1)))
        piece = recording.read(start, frames)
        level = float(np.sqrt(np.mean(np.square(piece)))) if piece.size else 0.0
        if level > loudest:
            best, loudest = piece, level
        if level >= 0.25 * recording.level:
            break
    return best


def generator(seed: int, *place: object) -> np.random.Generator:
    """The random numbers of one place in a run: (step, turn, item)."""
    return np.random.default_rng(derive_seed(seed, *place))


def gather(
    folders: Iterable[Path],
    sample_rate: int,
    cache: Path,
    *,
    validation: float = 0.05,
    progress: Callable[[int, int], None] | None = None,
) -> Data:
    """Decode what lies in *folders*, once; leave out what cannot be trained on, and say so.

    validation  share of the files kept for validation, at least one of each pool that has two or more; 0 for none
    Raises      UsageError when a folder is not there or too little is left, UnwritableError when the disk is full
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(cache, error) from error
    left: list[Left] = []
    found = {folder: _once(_files(folder), left) for folder in folders}
    done, total = 0, sum(map(len, found.values()))
    seen: dict[str, Path] = {}
    training, held = [], []
    for folder, paths in found.items():
        recordings = []
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as workers:
            for path, made in zip(
                paths, workers.map(lambda path: _decode(path, sample_rate, cache), paths), strict=True
            ):
                done += 1
                if progress is not None:
                    progress(done, total)
                if isinstance(made, Left):
                    left.append(made)
                elif made.digest in seen:
                    left.append(Left(path, f"the same sound as {seen[made.digest].name}"))
                else:
                    seen[made.digest] = path
                    recordings.append(made)
        recordings.sort(key=lambda recording: recording.digest)
        keep = max(1, round(validation * len(recordings))) if validation and len(recordings) > 1 else 0
        if len(recordings) > keep:
            training.append(Pool(folder, tuple(recordings[keep:])))
        if keep:
            held.append(Pool(folder, tuple(recordings[:keep])))
    if validation:
        _enough(training, held, left, total, validation)
    elif not training:
        why = f": {left[0].path.name} ({left[0].reason})" if left else ""
        raise UsageError(
            f"{', '.join(map(str, found))}: none of {total} audio files can be mixed in{why}.", hint="other recordings."
        )
    return Data(sample_rate, tuple(training), tuple(held), tuple(left))


def _files(folder: Path) -> list[Path]:
    if not folder.exists():
        raise UsageError(f"{folder}: there is no such file or folder.", hint="a folder of audio files.")
    if not os.access(folder, os.R_OK | os.X_OK if folder.is_dir() else os.R_OK):
        raise UsageError(f"{folder}: may not be read.", hint="its permissions, or another folder.")
    if not folder.is_dir():
        return [folder]
    return [path for path in audio_below(folder) if path.parent == folder or not _is_preview(path)]


def _is_preview(path: Path) -> bool:
    """Whether some run made it: runs may lie among recordings, and what they make is none."""
    previews, train = path.parent, path.parent.parent
    return (train.name, previews.name) == ("train", "previews") and (train / "training.json").exists()


def _once(paths: list[Path], left: list[Left]) -> list[Path]:
    """Those of *paths* that lead to a file no other has led to."""
    seen: dict[Path, Path] = {}
    for path in paths:
        first = seen.setdefault(path.resolve(), path)
        if first is not path:
            left.append(Left(path, f"the same file as {first.name}"))
    return list(seen.values())


def _enough(training: list[Pool], held: list[Pool], left: list[Left], total: int, share: float) -> None:
    if training and held:
        return
    usable = sum(len(pool.recordings) for pool in (*training, *held))
    if held:
        raise UsageError(
            f"validation_share = {share:g} keeps all of {usable} recordings to validate on, and none to train on.",
            hint="a smaller validation_share, or more recordings.",
        )
    why = f"; the first left out: {left[0].path.name} ({left[0].reason})" if left else ""
    if usable >= 2:
        raise UsageError(
            f"each of {usable} inputs has only one recording that can be trained on, and training needs two at least "
            f"in one of them, to validate on the other{why}.",
            hint="one folder that holds them all.",
        )
    raise UsageError(
        f"{usable} of {total} audio files can be trained on, and training needs two at least, one of them to "
        f"validate on{why}.",
        hint="a folder with more recordings, or one long recording cut into pieces.",
    )


def _decode(path: Path, sample_rate: int, cache: Path) -> Recording | Left:
    """The file as the cache has it, decoded now if it was not before."""
    try:
        status = path.stat()
    except OSError as error:
        return Left(path, f"cannot be read ({(error.strerror or str(error)).lower()})")
    key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}|{sample_rate}"
    name = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    facts, samples = cache / f"{name}.json", cache / f"{name}.npy"
    told = _remembered(facts)
    if told is None or ("reason" not in told and not samples.exists()):
        raw = samples.with_suffix(f".{os.getpid()}.raw")
        try:
            told = _read(path, sample_rate, samples, raw)
            _remember(facts, told)
        except OSError as error:
            raise unwritable(cache, error) from error
        finally:
            raw.unlink(missing_ok=True)
    if "reason" in told:
        return Left(path, str(told["reason"]))
    return Recording(path, samples, told["digest"], told["frames"], told["scale"], told["level"], told.get("rate", 0))


def _read(path: Path, sample_rate: int, samples: Path, raw: Path) -> dict[str, Any]:
    """Decode into *samples*, by way of floats in the file *raw*: a file of any length takes little memory."""
    try:
        with open_source(path) as source:
            channels, rate = min(source.spec.channels, 2), source.spec.sample_rate
            with raw.open("wb") as file:
                peak = _resampled(source, channels, rate, sample_rate, file)
    except (MediaError, PluginError) as error:
        return {"reason": error.message}
    frames = raw.stat().st_size // (4 * channels)
    if not np.isfinite(peak):
        return {"reason": "samples that are not numbers"}
    if frames < 0.1 * sample_rate:
        return {"reason": f"{frames / sample_rate:.2f} s: too short"}
    if peak < 10 ** (SILENCE_DBFS / 20):
        return {"reason": "silence"}
    floats = np.memmap(raw, np.float32, mode="r", shape=(frames, channels))
    flat = _clipped(floats, peak)
    if flat > CLIPPED_SHARE:
        return {"reason": f"clipped ({flat:.1%} of its samples lie in flat tops)"}
    scale = peak / 32_767
    digest = hashlib.blake2b(digest_size=16)
    temporary = samples.with_suffix(f".{os.getpid()}.tmp")
    try:
        whole = np.lib.format.open_memmap(temporary, "w+", np.int16, (channels, frames))
        for channel in range(channels):
            for start in range(0, frames, CHUNK):
                rounded = np.round(floats[start : start + CHUNK, channel] / scale).astype(np.int16)
                whole[channel, start : start + CHUNK] = rounded
                digest.update(rounded.tobytes())
        whole.flush()
        del whole
        temporary.replace(samples)
    finally:
        temporary.unlink(missing_ok=True)
    return {"digest": digest.hexdigest(), "frames": frames, "scale": scale, "level": _level(floats), "rate": rate}


def _resampled(source: Source, channels: int, rate: int, wanted: int, file: BinaryIO) -> float:
    """Write the source at the *wanted* rate, frame by frame; its peak, NaN where a sample is not a number."""
    import soxr

    stream = None if rate == wanted else soxr.ResampleStream(rate, wanted, channels, dtype="float32", quality="HQ")
    peak = 0.0
    while True:
        block = np.ascontiguousarray(source.read(CHUNK)[:channels].T)
        done = not len(block)
        if stream is not None:
            block = stream.resample_chunk(block, last=done)
        peak = float(np.maximum(peak, np.abs(block).max(initial=0.0)))  # keeps NaN, as max() would not
        file.write(np.asarray(block, np.float32).tobytes())
        if done:
            return peak


def _clipped(floats: NDArray[np.float32], peak: float) -> float:
    """Share of samples in runs of three or more at the very top: a recording that was cut off there."""
    count = 0
    for start in range(0, len(floats) - 2, CHUNK):
        top = np.abs(floats[start : start + CHUNK + 2]) >= 0.999 * peak
        count += int((top[2:] & top[1:-1] & top[:-2]).sum())
    return float(count / max(1, (len(floats) - 2) * floats.shape[1]))


def _level(floats: NDArray[np.float32]) -> float:
    """RMS of the median stretch of 441 frames."""
    powers = []
    for start in range(0, len(floats) // 441 * 441, CHUNK):
        chunk = np.ascontiguousarray(floats[start : start + CHUNK].T)
        blocks = chunk[:, : chunk.shape[1] // 441 * 441].reshape(chunk.shape[0], -1, 441)
        powers.append(np.square(blocks).mean(axis=(0, 2)))
    return float(np.sqrt(np.median(np.concatenate(powers))))


def _remembered(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _remember(path: Path, facts: dict[str, Any]) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(facts), encoding="utf-8")
    temporary.replace(path)
