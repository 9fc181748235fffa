"""What a writer promises: every frame in its place, the same file for the same sound, refusal where it cannot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from wavechain.audio import Audio, Media
from wavechain.dsp.dither import Quantiser
from wavechain.errors import SpecMismatchError, UnwritableError
from wavechain.stages import Encoding, Sink
from wavechain.testing.checks.hunting import hunt, used
from wavechain.testing.checks.memory import SHARE, growth
from wavechain.testing.checks.settings import registered
from wavechain.testing.streaming import in_blocks, latency_of
from wavechain.testing.subject import WriterSubject, difference, some_music

KINDS = ((44_100, 2), (48_000, 2), (44_100, 1), (48_000, 1))
SAMPLE_RATES = (8_000, 16_000, 22_050, 44_100, 48_000, 96_000)
CHANNELS = (1, 2, 3, 6, 8)


def written_comes_back(subject: WriterSubject) -> None:
    for rate, channels in KINDS:
        audio = some_music(rate, channels, 0.8)
        try:
            path, encoding = _write(subject, audio)
        except SpecMismatchError:
            continue
        back = subject.read_back(path)
        if (back.sample_rate, back.channels) != (rate, channels):
            raise subject.broken("written-comes-back", f"{audio.spec} comes back as {back.spec}.")
        frames = min(audio.frames, back.frames)  # a wrong length has a promise of its own
        if encoding.lossy:
            late = latency_of(audio, back)
            if late:
                raise subject.broken("written-comes-back", f"The sound comes back {late:+d} frames late.")
            continue
        found = difference(
            audio.waveform[:, :frames], back.waveform[:, :frames], subject.tolerance, ("written", "read back")
        )
        if found:
            raise subject.broken("written-comes-back", f"File: {audio.spec}, {encoding.codec}.", found)


def every_frame_written(subject: WriterSubject) -> None:
    music = _music(subject, 0.8)
    for frames in (music.frames, 10_001, 1152, 3, 2, 1):
        audio = _first(music, frames)
        for sizes in ([frames], [1000, 7]):
            path, encoding = _write(subject, audio, sizes)
            found = subject.read_back(path).frames
            if found != frames:
                raise subject.broken(
                    "every-frame-written",
                    f"{frames} frames are written in blocks of {used(sizes, frames)}, {found} are in the file "
                    f"({encoding.container}, {encoding.codec}).",
                )


def written_in_any_size(subject: WriterSubject) -> None:
    audio = _music(subject, 0.4)

    def compare(steps: int, sizes: list[int]) -> None:
        part = _first(audio, steps)
        whole = subject.read_back(_write(subject, part)[0])
        cut = subject.read_back(_write(subject, part, sizes)[0])
        found = difference(whole.waveform, cut.waveform, 0, ("written in one block", f"in blocks of {sizes}"))
        if found:
            raise subject.broken("written-in-any-size", f"{part.spec}.", found)

    compare(500, [1, 3, 2])
    hunt(compare, audio.frames, subject.examples)


def same_every_time(subject: WriterSubject) -> None:
    audio = _music(subject, 0.4)
    first = _write(subject, audio)[0].read_bytes()
    again = _write(subject, audio)[0].read_bytes()
    if first != again:
        place = next((n for n, (one, two) in enumerate(zip(first, again, strict=False)) if one != two), len(first))
        fact = f"The same sound makes two files that differ from byte {place} on ({len(first)} and {len(again)} bytes)."
        raise subject.broken("same-every-time", fact)


def leaves_no_trace(subject: WriterSubject) -> None:
    """Two files at once, in turns, are the files that each would be alone."""
    sounds = [_music(subject, 0.3), _music(subject, 0.2)]
    alone = [subject.read_back(_write(subject, audio, [1000])[0]) for audio in sounds]
    encodings = [_settled(subject, audio) for audio in sounds]
    paths = [subject.folder / f"turn{number}{subject.suffix}" for number in (0, 1)]
    first, second = (_samples(audio, encoding, [1000]) for audio, encoding in zip(sounds, encodings, strict=True))
    with (
        _opened(subject, paths[0], sounds[0], encodings[0]) as here,
        _opened(subject, paths[1], sounds[1], encodings[1]) as there,
    ):
        for one, two in zip_longest(first, second):
            for sink, samples in ((here, one), (there, two)):
                if samples is not None:
                    sink.write(samples)
    for path, expected in zip(paths, alone, strict=True):
        back = subject.read_back(path)
        found = difference(expected.waveform, back.waveform, 0, ("alone", "beside another file"))
        if found:
            raise subject.broken("leaves-no-trace", f"{expected.spec}, and another file in turns.", found)


def channel_counts(subject: WriterSubject) -> None:
    for channels in CHANNELS:
        _try(subject, "channel-counts", some_music(_usual(subject)[0], channels, 0.2))


def sample_rates(subject: WriterSubject) -> None:
    for rate in SAMPLE_RATES:
        _try(subject, "sample-rates", some_music(rate, _usual(subject)[1], 0.2))


def _try(subject: WriterSubject, promise: str, audio: Audio) -> None:
    try:
        path, _ = _write(subject, audio)
    except SpecMismatchError:
        return
    except Exception as error:  # noqa: BLE001 - a format says what it cannot hold before it begins
        fact = f"{audio.spec} fails with {type(error).__name__}: {error}, not with SpecMismatchError in encoding()."
        raise subject.broken(promise, fact) from None
    back = subject.read_back(path)
    if (back.sample_rate, back.channels) != (audio.sample_rate, audio.channels):
        raise subject.broken(promise, f"{audio.spec} is written, and comes back as {back.spec}.")


def input_untouched(subject: WriterSubject) -> None:
    audio = _music(subject, 0.2)
    encoding = _settled(subject, audio)
    with _opened(subject, subject.folder / f"kept{subject.suffix}", audio, encoding) as sink:
        for samples in _samples(audio, encoding, [4000]):
            given = samples.copy()
            sink.write(given)
            if not np.array_equal(given, samples):
                raise subject.broken("input-untouched", "write() changes the samples that it is given.")


def unwritable_refused(subject: WriterSubject) -> None:
    audio = _music(subject, 0.1)
    encoding = _settled(subject, audio)
    path = subject.folder / "no-such-folder" / f"file{subject.suffix}"
    try:
        with _opened(subject, path, audio, encoding) as sink:
            for samples in _samples(audio, encoding, [4000]):
                sink.write(samples)
    except (UnwritableError, OSError):
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, it is neither
        fact = f"In a folder that does not exist, it raises {type(error).__name__}: {error}."
        raise subject.broken("unwritable-refused", fact) from None
    raise subject.broken("unwritable-refused", "In a folder that does not exist, nothing is said.")


def bounded_memory(subject: WriterSubject) -> None:
    audio = _music(subject, 1.2)
    encoding = _settled(subject, audio)
    blocks = _samples(audio, encoding, [4410])
    count = 600
    with _opened(subject, subject.folder / f"long{subject.suffix}", audio, encoding, length=None) as sink:
        grown = growth(lambda number: sink.write(blocks[number % (len(blocks) - 1)]), count)
    limit = SHARE * blocks[0].nbytes * count / 2
    if grown > limit:
        raise subject.broken(
            "bounded-memory", f"After a minute it holds {grown / 2**20:.2f} MiB more than after half of it."
        )


def suffix_registered(subject: WriterSubject) -> None:
    spec = registered(subject.stage)
    if subject.suffix not in spec.extensions:
        fact = f"It is registered for {' '.join(spec.extensions)}, not {subject.suffix}."
        raise subject.broken("suffix-registered", fact)


def _settled(subject: WriterSubject, audio: Audio) -> Encoding:
    return subject.stage.encoding(subject.suffix, audio.spec, Media(bits=16), subject.output)


def _write(subject: WriterSubject, audio: Audio, sizes: Sequence[int] = ()) -> tuple[Path, Encoding]:
    """A finished file, written as the last mile would, without dither."""
    encoding = _settled(subject, audio)
    path = subject.folder / f"file{subject.suffix}"
    path.unlink(missing_ok=True)
    with _opened(subject, path, audio, encoding, length=audio.frames) as sink:
        for samples in _samples(audio, encoding, sizes or [max(1, audio.frames)]):
            sink.write(samples)
    return path, encoding


@contextlib.contextmanager
def _opened(
    subject: WriterSubject, path: Path, audio: Audio, encoding: Encoding, *, length: int | None = None
) -> Iterator[Sink]:
    """An open file, closed as the last mile would close it."""
    sink = subject.stage.open(path, audio.spec.with_length(length), encoding)
    try:
        yield sink
    except BaseException:
        with contextlib.suppress(Exception):
            sink.close()
        raise
    sink.close()


def _samples(audio: Audio, encoding: Encoding, sizes: Sequence[int]) -> list[Any]:
    blocks = [block.copy() for block in in_blocks(audio.waveform, sizes)]
    if encoding.bits is None:
        return blocks
    quantiser = Quantiser(encoding.bits, audio.channels, seed=0, dither=False)
    return [quantiser.process(block) for block in blocks]


def _music(subject: WriterSubject, seconds: float) -> Audio:
    return some_music(*_usual(subject), seconds)


def _usual(subject: WriterSubject) -> tuple[int, int]:
    """A sample rate and a channel count that the format holds."""
    refusal = ""
    for rate, channels in KINDS:
        try:
            _settled(subject, some_music(rate, channels, 0.1))
        except SpecMismatchError as error:
            refusal = str(error)
        else:
            return rate, channels
    raise subject.broken("sample-rates", f"It holds neither mono nor stereo of 44100 or 48000 Hz: {refusal}")


def _first(audio: Audio, frames: int) -> Audio:
    return Audio(np.ascontiguousarray(audio.waveform[:, :frames]), audio.sample_rate)
