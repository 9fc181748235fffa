"""What models promise beyond the stream: what they can do, in time, and from a seed."""

from __future__ import annotations

import math

import numpy as np

from wavechain.audio import Audio
from wavechain.stages import Model
from wavechain.testing.promises import BrokenPromise, NotApplicable
from wavechain.testing.streaming import latency_of
from wavechain.testing.subject import Subject, difference

CLEAR = 12.0  # two sounds that have nothing in common reach 10
AGREED_SECONDS = 0.001
FILTER_SECONDS = 0.0005  # by how much a filter may move all that it lets through
CAPABILITIES = {"sample", "process", "encode", "decode"}


def capabilities_true(subject: Subject) -> None:
    model = _model(subject)
    unknown = set(model.capabilities) - CAPABILITIES
    if unknown or not model.capabilities:
        raise subject.broken("capabilities-true", f"capabilities are {sorted(model.capabilities)}.")
    overridden = type(model).sample is not Model.sample
    if overridden != ("sample" in model.capabilities):
        said = "has sample()" if overridden else "has no sample()"
        raise subject.broken("capabilities-true", f"capabilities are {sorted(model.capabilities)}; it {said}.")


def process_keeps_time(subject: Subject) -> None:
    model = _model(subject)
    if "process" not in model.capabilities:
        raise NotApplicable("it does not process")
    signal = subject.input
    after = subject.plain(signal)
    steps = after.steps - (after.tail if math.isfinite(after.tail) else 0)
    apart = float(steps / after.spec.rate - signal.steps / signal.spec.rate)
    if abs(apart) > 1 / float(min(after.spec.rate, signal.spec.rate)):
        raise subject.broken("process-keeps-time", f"{signal} comes out {apart:+.4f} s longer.")
    if signal.spec.kind != "audio" or (after.spec.kind, after.spec.rate) != ("audio", signal.spec.rate):
        return
    before, found = Audio(signal.data, signal.spec.sample_rate), Audio(after.data, signal.spec.sample_rate)
    if late := _lateness(before, found):
        raise subject.broken("process-keeps-time", f"{signal} comes out {late:+d} frames late.")


def _lateness(before: Audio, after: Audio) -> int:
    """How many frames *after* is behind *before*; 0 where nobody can be sure.

    The strongest cross-correlation of a tonal sound moves with whatever filters it: the derivative of music lies a
    quarter of a period ahead. With all frequencies made equally strong (Knapp and Carter's phase transform, IEEE
    Trans. ASSP 24, 1976), a filter moves it by its own short delay. Late is what both say, and what stands out.
    """
    plain = latency_of(before, after)
    late, clear = _whitened(before, after)
    if clear < CLEAR or abs(plain - late) > AGREED_SECONDS * before.sample_rate:
        return 0
    return late if late == plain or abs(late) > FILTER_SECONDS * before.sample_rate else 0


def _whitened(before: Audio, after: Audio) -> tuple[int, float]:
    """The lag of the strongest whitened cross-correlation, and by how much that exceeds all of it (RMS)."""
    size = 1 << (before.frames + after.frames).bit_length()
    spectrum = np.fft.rfft(after.waveform.sum(axis=0), size) * np.fft.rfft(before.waveform.sum(axis=0), size).conj()
    magnitude = np.abs(spectrum)
    curve = np.abs(np.fft.irfft(spectrum / np.maximum(magnitude, 1e-9 * magnitude.max(initial=1e-12)), size))
    lag = int(np.argmax(curve))
    return (lag - size if lag > size // 2 else lag), float(curve[lag] / max(np.sqrt((curve**2).mean()), 1e-12))


def samples_from_the_seed(subject: Subject) -> None:
    model = _model(subject)
    if "sample" not in model.capabilities or type(model).sample is Model.sample:
        raise NotApplicable("it does not sample")
    first, other, again = (model.sample(0.5, seed=seed) for seed in (1, 2, 1))
    facts = []
    if first.waveform.dtype != np.float32 or not np.isfinite(first.waveform).all():
        facts.append(f"sample(0.5, seed=1) gives {first.waveform.dtype}, or NaN.")
    elif abs(first.seconds - 0.5) * first.sample_rate >= 1:
        facts.append(f"sample(0.5, seed=1) gives {first.seconds:g} s.")
    else:
        found = difference(first.waveform, again.waveform, 0, ("for seed 1", "for seed 1 again"))
        if found:
            facts.append(found)
        if first.waveform.shape == other.waveform.shape and np.array_equal(first.waveform, other.waveform):
            facts.append("Seeds 1 and 2 give the same sound.")
    if facts:
        raise subject.broken("samples-from-the-seed", *facts)


def _model(subject: Subject) -> Model:
    if not isinstance(subject.stage, Model):
        raise BrokenPromise("capabilities-true", "It is no Model.", who=subject.who)
    return subject.stage
