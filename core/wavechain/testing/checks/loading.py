"""What a loader promises: true samples, true length, and no sound out of what is no file of its kind."""

from __future__ import annotations

import gc
import os
import tracemalloc
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, cycle, repeat
from pathlib import Path
from typing import Any

import numpy as np

from wavechain.audio import Audio, Media
from wavechain.errors import MediaError, WavechainError
from wavechain.stages import Source
from wavechain.stream import Block
from wavechain.testing.checks.hunting import hunt, used
from wavechain.testing.checks.settings import registered
from wavechain.testing.promises import NotApplicable
from wavechain.testing.signals import noise
from wavechain.testing.subject import FileSubject, difference, some_music

KINDS = ((44_100, 1), (44_100, 2), (48_000, 2))


def samples_are_true(subject: FileSubject) -> None:
    for rate, channels in KINDS:
        audio = some_music(rate, channels, 0.6)
        with subject.stage.open(_file(subject, audio)) as source:
            spec = source.spec
            found = _all(source)
        if spec != audio.spec.with_length(spec.length):
            raise subject.broken("samples-are-true", f"{audio.spec} is opened as {spec}.")
        frames = min(audio.frames, found.shape[-1])  # a wrong length has a promise of its own
        apart = difference(
            audio.waveform[:, :frames], found[:, :frames], subject.tolerance, ("in the file", "as it is read")
        )
        if apart:
            raise subject.broken("samples-are-true", f"File: {audio.spec}.", apart)


def length_is_true(subject: FileSubject) -> None:
    for audio in (some_music(44_100, 2, 0.6), some_music(44_100, 1, 0.011), _first(some_music(44_100, 1, 0.6), 1)):
        with subject.stage.open(_file(subject, audio)) as source:
            said, found = source.spec.length, _all(source).shape[-1]
        if said not in (None, found) or found != audio.frames:
            raise subject.broken(
                "length-is-true", f"Of {audio.frames} frames in the file, spec.length says {said}, {found} are read."
            )


def read_in_any_size(subject: FileSubject) -> None:
    audio = some_music(44_100, 2, 0.3)
    path = _file(subject, audio)
    with subject.stage.open(path) as source:
        whole = _all(source)

    def compare(steps: int, sizes: list[int]) -> None:
        with subject.stage.open(path) as source:
            blocks = []
            # What hypothesis leaves open after *steps* is read in one go.
            for size in chain(_sizes_for(steps, sizes), repeat(audio.frames)):
                block = source.read(size)
                _check_block(subject, source, block, size)
                if not block.shape[-1]:
                    break
                blocks.append(block)
                if block.shape[-1] < size and source.read(size).shape[-1]:
                    fact = f"read({size}) gave {block.shape[-1]} frames, and the next read gave more."
                    raise subject.broken("read-in-any-size", fact)
            found = difference(whole, _joined(blocks, whole), 0, ("in one go", f"in reads of {sizes}"))
            if found:
                raise subject.broken("read-in-any-size", found)

    compare(2000, [1, 3, 2])
    hunt(compare, whole.shape[-1], subject.examples)


def _sizes_for(steps: int, sizes: Sequence[int]) -> Iterator[int]:
    done = 0
    for size in cycle(used(sizes, steps)):
        if done >= steps:
            return
        yield size
        done += size


def float32_blocks(subject: FileSubject) -> None:
    with subject.stage.open(_file(subject, some_music(44_100, 2, 0.3))) as source:
        for size in (1, 4096, 1 << 20, 10):
            _check_block(subject, source, source.read(size), size)


def _check_block(subject: FileSubject, source: Source, block: Any, size: int) -> None:
    if not isinstance(block, np.ndarray) or block.dtype != np.float32 or not block.flags.c_contiguous:
        what = f"{block.dtype}, strides {block.strides}" if isinstance(block, np.ndarray) else type(block).__name__
        raise subject.broken("float32-blocks", f"read({size}) gave no C-contiguous float32 array: {what}.")
    if block.shape[:-1] != source.spec.shape or block.shape[-1] > size:
        fact = f"read({size}) gave shape {block.shape}, of a stream with {source.spec.channels} channels."
        raise subject.broken("read-in-any-size", fact)


def truncation_refused(subject: FileSubject) -> None:
    audio = some_music(44_100, 2, 1.2)
    path = _file(subject, audio)
    if not path.is_file():
        raise NotApplicable("what it opens is no single file")
    data = path.read_bytes()
    for share in (0.5, 0.9):
        path.write_bytes(data[: int(share * len(data))])
        try:
            with subject.stage.open(path) as source:
                said, found = source.spec.length, _all(source).shape[-1]
        except MediaError:
            continue
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not ours
            raise _not_ours(subject, "truncation-refused", f"the first {share:.0%} of a file", error) from None
        if said == found or said is None:  # a length that is not kept is refused by the core
            raise subject.broken(
                "truncation-refused",
                f"The first {share:.0%} of a file of {audio.frames} frames is read as {found} frames of sound, "
                f"spec.length = {said}.",
            )


def garbage_refused(subject: FileSubject) -> None:
    suffix = _file(subject, some_music(44_100, 1, 0.1)).suffix
    letters = np.random.default_rng(0).bytes(3000)
    for name, content in (("letter", b"Dear reader, this is no music. " * 40), ("dice", letters), ("zeros", bytes(999)),
                          ("empty", b"")):  # fmt: skip
        path = subject.folder / f"{name}{suffix}"
        path.write_bytes(content)
        _expect_refusal(subject, path, f"a file of {len(content)} bytes ({name})")
    _expect_refusal(subject, subject.folder / f"gone{suffix}", "a file that does not exist")


def _expect_refusal(subject: FileSubject, path: Path, what: str) -> None:
    try:
        with subject.stage.open(path) as source:
            found = _all(source).shape[-1]
    except WavechainError as error:
        if path.name not in str(error):
            raise subject.broken("garbage-refused", f"{what} is refused without naming it: {error}") from None
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not ours
        raise _not_ours(subject, "garbage-refused", what, error) from None
    raise subject.broken("garbage-refused", f"{what} is opened, and read as {found} frames of sound.")


def _not_ours(subject: FileSubject, promise: str, what: str, error: Exception) -> Exception:
    return subject.broken(promise, f"For {what} it raises {type(error).__name__}: {error}.")


def tags_in_form(subject: FileSubject) -> None:
    with subject.stage.open(_file(subject, some_music(44_100, 1, 0.1))) as source:
        media: object = source.media
    if not isinstance(media, Media):
        raise subject.broken("tags-in-form", f"source.media is a {type(media).__name__}.")
    tags: Mapping[Any, Any] = media.tags
    for name, values in tags.items():
        if name != name.lower() or not isinstance(values, tuple) or not all(isinstance(text, str) for text in values):
            raise subject.broken("tags-in-form", f"media.tags has {name!r}: {values!r}.")


def leaves_no_trace(subject: FileSubject) -> None:
    """Two files at once, in turns; then the first again."""
    paths = [_file(subject, some_music(44_100, 2, 0.3), "one"), _file(subject, _other(), "two")]
    alone = []
    for path in paths:
        with subject.stage.open(path) as source:
            alone.append(_all(source))
    parts: list[list[Block]] = [[], []]
    with subject.stage.open(paths[0]) as first, subject.stage.open(paths[1]) as second:
        running = {0: first, 1: second}
        while running:
            for index, source in list(running.items()):
                parts[index].append(source.read(1000))
                if not parts[index][-1].shape[-1]:
                    del running[index]
    for expected, blocks in zip(alone, parts, strict=True):
        found = difference(expected, _joined(blocks, expected), 0, ("alone", "beside another file"))
        if found:
            raise subject.broken("leaves-no-trace", "Two files, read in turns.", found)
    with subject.stage.open(paths[0]) as source:
        found = difference(alone[0], _all(source), 0, ("at first", "after another file"))
    if found:
        raise subject.broken("leaves-no-trace", "One file, another, then the first again.", found)


def files_closed(subject: FileSubject) -> None:
    path = _file(subject, some_music(44_100, 1, 0.3))
    gc.collect()
    before = _open_files()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        source = subject.stage.open(path)
        source.read(10)
        source.close()
        held = _open_files() - before
        del source
        gc.collect()
    leaks = [warning for warning in caught if issubclass(warning.category, ResourceWarning)]
    if held > 0 or leaks:
        fact = f"After close(), {held} files are still open." if held > 0 else f"{leaks[0].message}."
        raise subject.broken("files-closed", fact)


def _open_files() -> int:
    """How many files this process has open; always 0 where the system does not tell."""
    listing = Path("/proc/self/fd")
    return len(os.listdir(listing)) if listing.is_dir() else 0


def bounded_memory(subject: FileSubject) -> None:
    for seconds in (10, 60):  # what a decoder needs for itself is more than a quarter of a short file
        audio = some_music(44_100, 1, seconds)
        peak, whole = _peak_of_reading(subject, audio), audio.waveform.nbytes
        if peak <= whole / 4:
            return
    raise subject.broken(
        "bounded-memory",
        f"A minute of sound ({whole / 2**20:.1f} MiB), read 4096 frames at a time, takes {peak / 2**20:.1f} MiB.",
    )


def _peak_of_reading(subject: FileSubject, audio: Audio) -> int:
    """The most bytes that are held while a file of *audio* is read."""
    path = _file(subject, audio)
    tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        with subject.stage.open(path) as source:
            while source.read(4096).shape[-1]:
                pass
        return tracemalloc.get_traced_memory()[1] - start
    finally:
        if not tracing:
            tracemalloc.stop()


def suffix_registered(subject: FileSubject) -> None:
    suffix = _file(subject, some_music(44_100, 1, 0.1)).suffix.lower()
    spec = registered(subject.stage)
    if suffix and suffix not in spec.extensions:
        raise subject.broken("suffix-registered", f"It is registered for {' '.join(spec.extensions)}, not {suffix}.")


def _file(subject: FileSubject, audio: Audio, name: str = "file") -> Path:
    folder = subject.folder / f"{name}-{audio.sample_rate}-{audio.channels}-{audio.frames}"
    folder.mkdir(parents=True, exist_ok=True)
    return subject.make_file(folder, audio)


def _all(source: Source) -> Block:
    blocks = [source.spec.zeros(0)]
    while (block := source.read(65_536)).shape[-1]:
        blocks.append(block)
    return np.concatenate(blocks, axis=-1)


def _joined(blocks: Sequence[Block], like: Block) -> Block:
    return np.concatenate([like[..., :0], *blocks], axis=-1)


def _first(audio: Audio, frames: int) -> Audio:
    return Audio(np.ascontiguousarray(audio.waveform[:, :frames]), audio.sample_rate)


def _other() -> Audio:
    return noise(sample_rate=44_100, seconds=0.25, channels=2, seed=8)
