"""Training clips out of folders: any rate and format, decoded once, split by file, cut where there is sound.

Conventions
    A *pool* is one folder (or file) that was named; all pools are drawn from equally often, whatever their sizes, so
    that ten hours of music do not drown one hour of speech.
    Every file of a pool lies either in training or in validation: by a hash of its content, so that a copy under
    another name cannot lie in both.
    Decoded sound is kept as 16-bit integers with a scale of its own in ``cache/``, mono or stereo as it came, at the
    recipe's rate.
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

import numpy as np
from numpy.typing import NDArray

from wavechain.audio import Audio
from wavechain.errors import MediaError, UsageError
from wavechain.naming import audio_below
from wavechain.seeds import derive_seed
from wavechain.stream import Block

SILENCE_DBFS = -60.0
CLIPPED_SHARE = 1e-3
GAP_SECONDS = (0.1, 0.4)
TRIES = 6
LONGEST_SECONDS = 1_200.0


@dataclass(frozen=True, slots=True)
class Left:
    """A file that is not used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Recording:
    """One decoded file. *level* is the RMS of its louder half, against which a crop is judged."""

    path: Path
    cached: Path
    digest: str
    frames: int
    scale: float
    level: float

    def read(self, start: int, frames: int) -> Block:
        """Shape (channels, frames), fewer at the end."""
        samples = np.load(self.cached, mmap_mode="r")[:, start : start + frames]
        waveform: Block = samples.astype(np.float32) * np.float32(self.scale)
        return waveform


@dataclass(frozen=True, slots=True)
class Pool:
    name: str
    recordings: tuple[Recording, ...]

    @property
    def frames(self) -> int:
        return sum(recording.frames for recording in self.recordings)


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
    Raises      UsageError when a folder is not there or too little is left
    """
    cache.mkdir(parents=True, exist_ok=True)
    found = {folder: _files(folder) for folder in folders}
    left: list[Left] = []
    done, total = 0, sum(map(len, found.values()))
    seen: dict[str, Path] = {}
    training, held = [], []
    for folder, paths in found.items():
        recordings = []
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as workers:
            for path, made in zip(paths, workers.map(lambda path: _decode(path, sample_rate, cache), paths), strict=True):
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
            training.append(Pool(folder.name, tuple(recordings[keep:])))
        if keep:
            held.append(Pool(folder.name, tuple(recordings[:keep])))
    if validation:
        _enough(training, held, left, total)
    return Data(sample_rate, tuple(training), tuple(held), tuple(left))


def _files(folder: Path) -> list[Path]:
    if not folder.exists():
        raise UsageError(f"{folder}: there is no such file or folder.", hint="a folder of audio files.")
    return audio_below(folder) if folder.is_dir() else [folder]


def _enough(training: list[Pool], held: list[Pool], left: list[Left], total: int) -> None:
    usable = sum(len(pool.recordings) for pool in (*training, *held))
    if usable >= 2 and training and held:
        return
    why = f"; the first left out: {left[0].path.name} ({left[0].reason})" if left else ""
    raise UsageError(
        f"{usable} of {total} audio files can be trained on, and training needs two at least, one of them to "
        f"validate on{why}.",
        hint="a folder with more recordings, or one long recording cut into pieces.",
    )


def _decode(path: Path, sample_rate: int, cache: Path) -> Recording | Left:
    """The file as the cache has it, decoded now if it was not before."""
    status = path.stat()
    key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}|{sample_rate}"
    name = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    facts, samples = cache / f"{name}.json", cache / f"{name}.npy"
    if not facts.exists():
        _remember(facts, _read(path, sample_rate, samples))
    told = json.loads(facts.read_text(encoding="utf-8"))
    if "reason" in told:
        return Left(path, told["reason"])
    return Recording(path, samples, told["digest"], told["frames"], told["scale"], told["level"])


def _read(path: Path, sample_rate: int, samples: Path) -> dict[str, object]:
    import soxr

    try:
        audio = Audio.read(path)
    except MediaError as error:
        return {"reason": error.message}
    waveform = audio.waveform[:2]
    if audio.spec.sample_rate != sample_rate:
        resampled = soxr.resample(waveform.T, audio.spec.sample_rate, sample_rate, quality="HQ")
        waveform = np.ascontiguousarray(resampled.T, np.float32)
    peak = float(np.abs(waveform).max(initial=0.0))
    frames = waveform.shape[1]
    if not np.isfinite(peak):
        return {"reason": "samples that are not numbers"}
    if frames < 0.1 * sample_rate:
        return {"reason": f"{frames / sample_rate:.2f} s: too short"}
    if peak < 10 ** (SILENCE_DBFS / 20):
        return {"reason": "silence"}
    flat = _clipped(waveform, peak)
    if flat > CLIPPED_SHARE:
        return {"reason": f"clipped ({flat:.1%} of its samples lie in flat tops)"}
    blocks = waveform[:, : frames // 441 * 441].reshape(waveform.shape[0], -1, 441)
    level = float(np.sqrt(np.median(np.square(blocks).mean(axis=(0, 2)))))
    scale = peak / 32_767
    whole = np.round(waveform / scale).astype(np.int16)
    temporary = samples.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.save(file, whole)
    temporary.replace(samples)
    digest = hashlib.blake2b(whole.tobytes(), digest_size=16).hexdigest()
    return {"digest": digest, "frames": frames, "scale": scale, "level": level}


def _clipped(waveform: NDArray[np.float32], peak: float) -> float:
    """Share of samples in runs of three or more at the very top: a recording that was cut off there."""
    top = np.abs(waveform) >= 0.999 * peak
    runs = top[:, 2:] & top[:, 1:-1] & top[:, :-2]
    return float(runs.mean()) if runs.size else 0.0


def _remember(path: Path, facts: dict[str, object]) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(facts), encoding="utf-8")
    temporary.replace(path)
