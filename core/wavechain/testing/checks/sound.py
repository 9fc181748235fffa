"""What a stage does to sound: exact blocks, length, time, silence, channels, rates."""

from __future__ import annotations

import math

import numpy as np

from wavechain.audio import Audio
from wavechain.errors import SpecMismatchError
from wavechain.nodes import TAIL_FLOOR
from wavechain.stages import MeasuredEffect, StreamStage
from wavechain.stream import Block
from wavechain.testing.checks.hunting import hunt, used
from wavechain.testing.playing import Crashed, Played, Refused, Signal, heard, play, processor_for
from wavechain.testing.promises import BrokenPromise, NotApplicable
from wavechain.testing.signals import impulse, noise, silence
from wavechain.testing.subject import Subject, difference, some_music

SILENT = 1e-5  # -100 dBFS
RINGING_SECONDS = 0.2
SAMPLE_RATES = (8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000)
CHANNELS = (1, 2, 3, 4, 6, 8)


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
    frames = subject.sample_rate // 4
    ones = np.ones(frames)
    for wave in (4 * ones, np.where(np.arange(frames) % 2, -4.0, 4.0), 1e-38 * ones, np.where(ones > 0, -1.0, 1.0)):
        audio = Audio.of(np.tile(wave, (subject.channels, 1)).astype(np.float32), subject.sample_rate)
        _swallow_others("finite-output", subject, subject.signal(audio))


def _play_as_usual(promise: str, subject: Subject) -> None:
    _swallow_others(promise, subject, subject.input)
    _swallow_others(promise, subject, subject.input, (1000, 1, 7001, 2))


def _swallow_others(promise: str, subject: Subject, signal: Signal, sizes: tuple[int, ...] = ()) -> None:
    """Play; what breaks another promise is that check's to say."""
    try:
        play(subject.stage, signal, sizes)
    except BrokenPromise as broken:
        if broken.promise == promise:
            raise


def out_spec(subject: Subject) -> None:
    stage, signal = subject.stage, subject.input
    if not isinstance(stage, StreamStage):
        raise NotApplicable("a combinator has no spec of its own")
    announced, found = stage.out_spec(signal.spec), subject.play(signal)
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


def streamed_is_whole(subject: Subject) -> None:
    signal = subject.input

    def compare(steps: int, sizes: list[int]) -> None:
        part = signal.first(steps)
        try:
            whole = subject.play(part)
        except Refused:
            return
        cut = subject.play(part, sizes)
        found = difference(whole.data, cut.data, subject.tolerance, ("in one block", "in blocks"))
        if found:
            raise subject.broken("streamed-is-whole", heard(part, sizes), found)

    half = signal.steps // 2 + 1
    battery = [(2000, [1]), (2000, [2, 3, 1]), (signal.steps, [half]), (signal.steps, [480, 1, half, 2]),
               (signal.steps, [4096]), (signal.steps, [1, signal.steps])]  # fmt: skip
    failed: Exception | None = None
    for steps, sizes in battery:
        steps = min(steps, signal.steps)
        try:
            compare(steps, used(sizes, steps))
        except (BrokenPromise, Crashed, Refused) as error:
            failed = error
            break
    hunt(compare, signal.steps, subject.examples if failed is None else 200)
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
    known = subject.play(subject.input)
    try:
        unknown = play(subject.stage, subject.input, know_length=False)
    except Refused:
        return
    found = difference(known.data, unknown.data, subject.tolerance, ("with spec.length known", "with None"))
    if found:
        raise subject.broken("unknown-length", heard(subject.input, ()), found)


def latency_by_impulse(subject: Subject) -> None:
    """The impulse comes out where it went in: its highest point does, or (for what smears forward) its first."""
    rate = subject.sample_rate
    at = int(0.4 * rate) + 11
    click = impulse(at=at, sample_rate=rate, seconds=0.8, channels=subject.channels, level=0.5)
    signal = subject.signal(click)
    after = subject.play(signal)
    levels = _levels(after.data)
    # From features back to audio, the place in the audio that the features were made of is the one that counts.
    start, start_rate = (at, rate) if after.spec.kind == "audio" else (_highest(signal.data), signal.spec.rate)
    ratio = after.spec.rate / start_rate
    due = float(start * ratio)
    slack = 0.0 if ratio == 1 else 1.0
    if not levels.size or levels.max() <= 1e-7:
        raise subject.broken("latency-by-impulse", f"Of an impulse of 0.5 at frame {int(due)}, nothing comes out.")
    peak = _highest(after.data)
    starts = [int(np.argmax(levels > floor * levels.max())) for floor in (0.0, 1e-6, 1e-3, 0.03)]
    if abs(peak - due) > slack and all(abs(start - due) > slack for start in starts):
        raise subject.broken(
            "latency-by-impulse",
            f"An impulse due at step {due:g} starts at step {starts[2]} and peaks at step {peak}: "
            f"{peak - due:+g} steps.",
            f"latency is declared as {after.latency}; {after.latency + round(peak - due)} would bring the peak there.",
            heard(signal, ()),
        )


def tail_rings_out(subject: Subject) -> None:
    """Followed by silence, the same input sounds on no longer than its output did.

    A filter that keeps its length loses a few hundredths of a second of ringing, by custom: that is no tail.
    """
    if subject.before:
        raise NotApplicable("tails are of audio")
    rate = subject.sample_rate
    burst = noise(sample_rate=rate, seconds=0.5, channels=subject.channels, rms_dbfs=-12, seed=9).waveform.copy()
    quiet = np.zeros((burst.shape[0], 3 * rate), np.float32)
    probe = subject.play(_audio(burst, rate))
    if probe.spec.kind != "audio":
        raise NotApplicable("tails are of audio")
    if probe.spec.rate != rate:  # a sharp edge rings on in every resampler, by a few steps of no consequence
        burst[:, -rate // 10 :] *= np.linspace(1, 0, len(burst[0, -rate // 10 :]), dtype=np.float32) ** 4
    short = subject.play(_audio(burst, rate))
    long = subject.play(_audio(np.concatenate([burst, quiet], axis=1), rate))
    beyond = _levels(long.data[..., short.steps :])
    loud = np.flatnonzero(beyond >= TAIL_FLOOR)
    last = int(loud[-1]) + 1 if loud.size else 0
    if last > RINGING_SECONDS * short.spec.rate:
        raise subject.broken(
            "tail-rings-out",
            f"{burst.shape[1]} frames of noise give {short.steps} frames; followed by silence they ring on for "
            f"{last} frames more, up to {20 * np.log10(beyond.max()):.1f} dBFS.",
            f"tail is declared as {short.tail:g}.",
        )


def tail_ends(subject: Subject) -> None:
    if subject.before:
        raise NotApplicable("tails are of audio")
    quiet = subject.signal(silence(sample_rate=subject.sample_rate, seconds=0.5, channels=subject.channels))
    after = subject.play(quiet)
    rung = after.steps - math.ceil(quiet.steps * after.spec.rate / quiet.spec.rate)
    if after.tail == math.inf and rung > 0:
        raise subject.broken(
            "tail-ends",
            f"After 0.5 s of silence it sounds on for {float(rung / after.spec.rate):.1f} s, where it was stopped.",
        )


def silence_stays_silent(subject: Subject) -> None:
    quiet = subject.signal(silence(sample_rate=subject.sample_rate, seconds=0.7, channels=subject.channels))
    levels = _levels(subject.play(quiet).data)
    # Features of silence need not be zero: a logarithm has its floor.
    if subject.play(quiet).spec.kind != "audio" and not subject.before:
        raise NotApplicable("features of silence are not silence")
    if levels.size and levels.max() > SILENT:
        step = int(np.argmax(levels > SILENT))
        raise subject.broken(
            "silence-stays-silent",
            f"0.7 s of zeros in: from step {step} on there is sound, up to {levels.max():.3g} "
            f"({20 * np.log10(levels.max()):.1f} dBFS).",
        )


def nan_is_not_hidden(subject: Subject) -> None:
    """NaN never reaches a stage through the core; fed by hand it must come out as what it is, or be refused."""
    signal = subject.input
    data = signal.data.copy()
    places = (_highest(data), signal.steps // 2)  # cut away one, and the other remains
    for place in places:
        data[..., place : place + 100] = np.nan
    try:
        processor = processor_for(subject.stage, signal.spec, signal.data)
        with np.errstate(all="ignore"):
            out = [processor.process(data), processor.flush()]
    except NotApplicable:
        raise
    except Exception:  # noqa: BLE001 - any exception says that something is wrong
        return
    if sum(block.shape[-1] for block in out) and all(np.isfinite(block).all() for block in out):
        raise subject.broken(
            "nan-is-not-hidden", f"Music with 100 steps of NaN from steps {places} on: the output is all finite."
        )


def channel_counts(subject: Subject) -> None:
    for channels in CHANNELS:
        signal = subject.signal(some_music(subject.sample_rate, channels, 0.3))
        try:
            subject.play(signal)
        except Refused as refused:
            if not isinstance(refused.error, SpecMismatchError):
                kind = type(refused.error).__name__
                raise subject.broken("channel-counts", heard(signal, ()), f"It refuses with {kind}.") from None
        except Crashed as crash:
            raise subject.broken("channel-counts", heard(signal, ()), f"It {crash}.") from None


def sample_rates(subject: Subject) -> None:
    for rate in SAMPLE_RATES:
        signal = subject.signal(some_music(rate, subject.channels, 0.3))
        try:
            subject.play(signal)
        except Refused as refused:
            if not refused.clean:
                raise subject.broken("sample-rates", heard(signal, ()), f"It {refused}") from None
        except Crashed as crash:
            raise subject.broken("sample-rates", heard(signal, ()), f"It {crash}.") from None


def sounds_alike_at_any_rate(subject: Subject) -> None:
    """The level of the output, 20 ms by 20 ms, is the same at 44.1 and at 88.2 kHz."""
    if subject.before:
        raise NotApplicable("compared on audio only")
    curves: list[Block] = []
    for rate in (44_100, 88_200):
        try:
            after = subject.play(subject.signal(_burst(rate, subject.channels)))
        except Refused:
            raise NotApplicable(f"it refuses {rate} Hz") from None
        if after.spec.kind != "audio":
            raise NotApplicable("compared on audio only")
        curves.append(_curve(after))
    count = min(curve.size for curve in curves)
    slow, fast = (curve[:count] for curve in curves)
    apart = np.abs(slow - fast)
    heard_at_all = np.maximum(slow, fast) > max(slow.max(), fast.max()) - 30
    if (apart[heard_at_all] > 3).mean() > 0.1:
        worst = int(np.argmax(np.where(heard_at_all, apart, 0)))
        raise subject.broken(
            "sounds-alike-at-any-rate",
            f"A chord of 0.4 s, 0.02 s around {worst * 0.02:.2f} s: {slow[worst]:.1f} dBFS at 44100 Hz, "
            f"{fast[worst]:.1f} dBFS at 88200 Hz.",
        )


def input_untouched(subject: Subject) -> None:
    for sizes in ((), (1000, 1, 3000)):
        try:
            play(subject.stage, subject.input, sizes, watch_input=True)
        except BrokenPromise as broken:
            if broken.promise == "input-untouched":
                raise


def _audio(waveform: Block, rate: int) -> Signal:
    return Signal.of(Audio(np.ascontiguousarray(waveform), rate))


def _levels(data: Block) -> Block:
    """The largest magnitude of each step."""
    levels: Block = np.abs(data).max(axis=tuple(range(data.ndim - 1)), initial=0)
    return levels


def _highest(data: Block) -> int:
    return int(np.argmax(_levels(data)))


def _burst(rate: int, channels: int) -> Audio:
    """A chord for 0.4 s, then 0.8 s of silence."""
    time = np.arange(round(1.2 * rate)) / rate
    chord = sum(np.sin(2 * np.pi * pitch * time + pitch) for pitch in (130, 390, 1_170, 3_510))
    fade = np.clip(np.minimum(time / 0.02, (0.4 - time) / 0.02), 0, 1)
    return Audio.of(np.tile(0.15 * chord * fade, (channels, 1)).astype(np.float32), rate)


def _curve(after: Played) -> Block:
    """Level in dBFS, 20 ms by 20 ms."""
    size = round(0.02 * after.spec.rate)
    whole = after.data[..., : after.steps // size * size]
    power = (whole.reshape(whole.shape[0], -1, size) ** 2).mean(axis=(0, 2))
    curve: Block = 10 * np.log10(np.maximum(power, 1e-12))
    return curve
