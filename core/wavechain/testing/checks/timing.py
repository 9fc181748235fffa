"""Time: things happen when they should, and ring on to their end."""

from __future__ import annotations

import math

import numpy as np

from wavechain.audio import Audio
from wavechain.nodes import TAIL_FLOOR
from wavechain.stream import Block
from wavechain.testing.checks.levels import SILENT, highest, in_silence, levels
from wavechain.testing.playing import Crashed, Refused, Signal, heard
from wavechain.testing.promises import BrokenPromise, NotApplicable
from wavechain.testing.signals import impulse, noise, silence
from wavechain.testing.subject import Subject

# Level -> seconds. Of the bundled effects, steep filters at 30 Hz ring for up to 0.16 s above -60 dBFS, and nothing
# sounds for 0.01 s above -20 dBFS.
RINGING = ((float(TAIL_FLOOR), 0.2), (0.1, 0.05))


def latency_by_impulse(subject: Subject) -> None:
    """The impulse comes out where it went in: its highest point does, or (for what smears forward) its first.

    What counts is the difference to the output for silence, which need not be zero: a logarithm has its floor.
    """
    rate = subject.sample_rate
    at = int(0.4 * rate) + 11
    click = impulse(at=at, sample_rate=rate, seconds=0.8, channels=subject.channels, level=0.5)
    uneven = np.linspace(1, 0.6, click.channels, dtype=np.float32)[:, np.newaxis]  # also the difference of two is heard
    signal = subject.signal(Audio(click.waveform * uneven, rate))
    after = subject.play(signal)
    quiet = subject.signal(silence(sample_rate=rate, seconds=0.8, channels=subject.channels))
    heard_of_it = _against(after.data, _played(subject, quiet))
    curve = levels(heard_of_it)
    # From features back to audio, the place in the audio that the features were made of is the one that counts.
    start, start_rate = (
        (at, rate) if after.spec.kind == "audio" else (highest(_against(signal.data, quiet.data)), signal.spec.rate)
    )
    ratio = after.spec.rate / start_rate
    due = float(start * ratio)
    slack = 0.0 if ratio == 1 else 1.0
    if not curve.size or curve.max() <= 1e-7:
        raise subject.broken("latency-by-impulse", f"Of an impulse of 0.5 at frame {int(due)}, nothing comes out.")
    peak = highest(heard_of_it)
    starts = [int(np.argmax(curve > floor * curve.max())) for floor in (0.0, 1e-6, 1e-3, 0.03)]
    if abs(peak - due) > slack and all(abs(start - due) > slack for start in starts):
        raise subject.broken(
            "latency-by-impulse",
            f"An impulse due at step {due:g} starts at step {starts[2]} and peaks at step {peak}: "
            f"{peak - due:+g} steps.",
            f"latency is declared as {after.latency}; {after.latency + round(peak - due)} would bring the peak there.",
            heard(signal, ()),
        )


def _played(subject: Subject, quiet: Signal) -> Block | None:
    """What the stage makes of silence, where it makes anything of it."""
    try:
        return subject.play(quiet).data
    except (BrokenPromise, Crashed, Refused):  # each has a promise of its own
        return None


def _against(data: Block, quiet: Block | None) -> Block:
    """*data* as it differs from what silence gives; as it is, where that is of another length."""
    return data if quiet is None or quiet.shape != data.shape else data - quiet


def tail_rings_out(subject: Subject) -> None:
    """Followed by silence, the same input sounds on no longer than its output did.

    A filter that keeps its length loses some ringing, by custom: that is no tail, as long as it is short or faint.
    """
    if subject.before:
        raise NotApplicable("tails are of audio")
    rate = subject.sample_rate
    burst = noise(sample_rate=rate, seconds=0.5, channels=subject.few_channels, rms_dbfs=-12, seed=9).waveform.copy()
    quiet = np.zeros((burst.shape[0], 3 * rate), np.float32)
    short = subject.play(_audio(burst, rate))
    if short.spec.kind != "audio":
        raise NotApplicable("tails are of audio")
    if levels(in_silence(subject).data).max(initial=0) > SILENT:
        raise NotApplicable("it sounds in silence, which is reported as such")
    if short.spec.rate != rate:  # a sharp edge rings on in every resampler, by a few steps of no consequence
        burst[:, -rate // 10 :] *= np.linspace(1, 0, len(burst[0, -rate // 10 :]), dtype=np.float32) ** 4
        short = subject.play(_audio(burst, rate))
    long = subject.play(_audio(np.concatenate([burst, quiet], axis=1), rate))
    beyond = levels(long.data[..., short.steps :])
    last = _end(beyond, float(TAIL_FLOOR))
    if any(_end(beyond, level) > seconds * short.spec.rate for level, seconds in RINGING):
        raise subject.broken(
            "tail-rings-out",
            f"{burst.shape[1]} frames of noise give {short.steps} frames; followed by silence they ring on for "
            f"{last} frames more, up to {20 * np.log10(beyond.max()):.1f} dBFS.",
            f"tail is declared as {short.tail:g}.",
        )


def _end(curve: Block, level: float) -> int:
    """How many steps it takes until *curve* stays below *level*."""
    loud = np.flatnonzero(curve >= level)
    return int(loud[-1]) + 1 if loud.size else 0


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


def _audio(waveform: Block, rate: int) -> Signal:
    return Signal.of(Audio(np.ascontiguousarray(waveform), rate))
