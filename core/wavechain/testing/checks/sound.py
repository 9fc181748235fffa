"""What a stage does to sound: silence, NaN, channels, sample rates."""

from __future__ import annotations

import math

import numpy as np

from wavechain.audio import Audio
from wavechain.errors import SpecMismatchError
from wavechain.stream import Block
from wavechain.testing.checks.levels import SILENCE_SECONDS, SILENT, highest, in_silence, levels
from wavechain.testing.playing import Crashed, Played, Refused, heard, processor_for
from wavechain.testing.promises import NotApplicable
from wavechain.testing.subject import Subject, some_music

SAMPLE_RATES = (8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000)
CHANNELS = (1, 2, 3, 4, 6, 8)
BEHIND_SECONDS = 10


def silence_stays_silent(subject: Subject) -> None:
    after = in_silence(subject)
    curve = levels(after.data)
    # Features of silence need not be zero: a logarithm has its floor.
    if after.spec.kind != "audio" and not subject.before:
        raise NotApplicable("features of silence are not silence")
    if curve.size and curve.max() > SILENT:
        step = int(np.argmax(curve > SILENT))
        raise subject.broken(
            "silence-stays-silent",
            f"{SILENCE_SECONDS} s of zeros in: from step {step} on there is sound, up to {curve.max():.3g} "
            f"({20 * np.log10(curve.max()):.1f} dBFS).",
        )


def nan_is_not_hidden(subject: Subject) -> None:
    """NaN never reaches a stage through the core; fed by hand it must come out as what it is, or be refused."""
    signal = subject.part
    data = signal.data.copy()
    places = (highest(data), signal.steps // 2)  # cut away one, and the other remains
    for place in places:
        data[..., place : place + 100] = np.nan
    try:
        processor = processor_for(subject.stage, signal.spec, signal.data)
        with np.errstate(all="ignore"):
            # What is late, or rings, comes out behind it: as the core does, feed silence, though not for ever.
            behind = min(processor.latency + processor.tail, float(BEHIND_SECONDS * signal.spec.rate))
            silence = signal.spec.zeros(math.ceil(behind))
            out = [processor.process(data), processor.process(silence), processor.flush()]
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
        signal = subject.signal(some_music(subject.sample_rate, channels, 0.15))
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
        signal = subject.signal(some_music(rate, subject.channels, 0.15))
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
            after = subject.play(subject.signal(_burst(rate, subject.few_channels)))
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


def _burst(rate: int, channels: int) -> Audio:
    """A chord for 0.4 s, then half a second of silence."""
    time = np.arange(round(0.9 * rate)) / rate
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
