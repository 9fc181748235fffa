"""The form of what comes out: blocks, shapes and lengths, and the same for every way of cutting the input."""

from __future__ import annotations

import math

import numpy as np

from wavechain.audio import Audio
from wavechain.stages import MeasuredEffect, StreamStage
from wavechain.testing.checks.hunting import Flaky, hunt, used
from wavechain.testing.playing import Crashed, Refused, Signal, heard, play
from wavechain.testing.promises import BrokenPromise, NotApplicable
from wavechain.testing.subject import Subject, difference, some_music


def runs(subject: Subject) -> None:
    subject.runs()


def float32_blocks(subject: Subject) -> None:
    _play_as_usual("float32-blocks", subject)


def declared_shape(subject: Subject) -> None:
    _play_as_usual("declared-shape", subject)


def length_law(subject: Subject) -> None:
    _play_as_usual("length-law", subject)


def finite_output(subject: Subject) -> None:
    """Loud, faint, constant and alternating signals are all legal."""
    _play_as_usual("finite-output", subject)
    if subject.before:
        return
    frames = subject.sample_rate // 5
    ones = np.ones(frames)
    for wave in (
        0 * ones,
        4 * ones,
        np.where(np.arange(frames) % 2, -4.0, 4.0),
        1e-38 * ones,
        np.where(ones > 0, -1.0, 1.0),
    ):
        audio = Audio.of(np.tile(wave, (subject.channels, 1)).astype(np.float32), subject.sample_rate)
        _swallow_others("finite-output", subject, subject.signal(audio))


def _play_as_usual(promise: str, subject: Subject) -> None:
    _swallow_others(promise, subject, subject.input)
    _swallow_others(promise, subject, subject.part, (1000, 1, 7001, 2))


def _swallow_others(promise: str, subject: Subject, signal: Signal, sizes: tuple[int, ...] = ()) -> None:
    """Play; what breaks another promise is that check's to say."""
    try:
        _ = subject.play(signal, sizes) if sizes else subject.plain(signal)
    except BrokenPromise as broken:
        if broken.promise == promise:
            raise
    except (Crashed, Refused):
        pass


def out_spec(subject: Subject) -> None:
    stage, signal = subject.stage, subject.input
    if not isinstance(stage, StreamStage):
        raise NotApplicable("a combinator has no spec of its own")
    announced, found = stage.out_spec(signal.spec), subject.plain(signal)
    for name in ("kind", "rate", "shape"):
        said, came = getattr(announced, name), getattr(found.spec, name)
        if said != came:
            raise subject.broken("out-spec", f"out_spec() says {name} {said}, the processor {came}.", heard(signal, ()))
    # What a stage finds out only by measuring it need not announce.
    guesses = isinstance(stage, MeasuredEffect) or math.isinf(found.tail)
    if not guesses and announced.length is not None and announced.length != found.steps - found.tail:
        raise subject.broken(
            "out-spec",
            f"out_spec() says {announced.length} steps, {found.steps} came out, {found.tail:g} of them as tail.",
            heard(signal, ()),
        )


def input_untouched(subject: Subject) -> None:
    try:
        play(subject.stage, subject.input, (1000, 1, 3000, 30_000), watch_input=True)
    except BrokenPromise as broken:
        if broken.promise == "input-untouched":
            raise
    except (Crashed, Refused):
        pass


def streamed_is_whole(subject: Subject) -> None:
    signal = subject.input

    def compare(steps: int, sizes: list[int]) -> None:
        part = signal.first(steps)
        try:
            whole = subject.plain(part)
        except Refused:
            return
        cut = subject.play(part, sizes)
        found = difference(whole.data, cut.data, subject.tolerance, ("in one block", "in blocks"))
        if found and subject.steady(part):
            raise subject.broken("streamed-is-whole", heard(part, sizes), found)

    half = signal.steps // 2 + 1
    battery = [(2000, [1]), (2000, [2, 3, 1]), (2000, [1, 2000]), (signal.steps, [480, 1, 4096, half, 2])]
    failed: Exception | None = None
    for steps, sizes in battery:
        steps = min(steps, signal.steps)
        try:
            compare(steps, used(sizes, steps))
        except (BrokenPromise, Crashed, Refused) as error:
            failed = error
            break
    try:
        hunt(compare, signal.steps, subject.examples if failed is None else 200)
    except Flaky as flaky:
        if subject.steady(signal):
            raise subject.broken("same-every-time", f"{flaky}") from None
        raise NotApplicable("it does not do the same twice, which is reported as such") from None
    if failed is not None:
        raise failed


def short_signals(subject: Subject) -> None:
    audio = subject.audio or some_music(channels=subject.channels)
    loud = int(np.argmax(np.abs(audio.waveform).max(axis=0)))
    for frames in (1, 2, 3, 17):
        start = min(loud, audio.frames - frames)
        few = Audio(np.ascontiguousarray(audio.waveform[:, start : start + frames]), audio.sample_rate)
        for sizes in ((), (1,)):
            signal = subject.signal(few)
            try:
                subject.play(signal, sizes)
            except Refused:
                pass
            except Crashed as crash:
                raise subject.broken("short-signals", heard(signal, sizes), f"It {crash}.") from None


def unknown_length(subject: Subject) -> None:
    signal = subject.input  # all of it: a part of features does not say how long the audio was
    known = subject.plain(signal)
    try:
        unknown = play(subject.stage, signal, know_length=False)
    except Refused:
        return
    found = difference(known.data, unknown.data, subject.tolerance, ("with spec.length known", "with None"))
    if found and subject.steady(signal):
        raise subject.broken("unknown-length", heard(signal, ()), found)
