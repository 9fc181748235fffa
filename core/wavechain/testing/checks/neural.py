"""What models promise beyond the stream: what they can do, in time, and from a seed."""

from __future__ import annotations

import math

import numpy as np

from wavechain.audio import Audio
from wavechain.stages import Model
from wavechain.testing.promises import BrokenPromise, NotApplicable
from wavechain.testing.streaming import latency_of
from wavechain.testing.subject import Subject, difference

ALIKE = 0.5  # correlation from which on two sounds are one and the same, earlier or later
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
    late = latency_of(before, found)
    if late and _likeness(before, found, late) > max(ALIKE, 1.1 * _likeness(before, found, 0)):
        raise subject.broken("process-keeps-time", f"{signal} comes out {late:+d} frames late.")


def _likeness(before: Audio, after: Audio, late: int) -> float:
    """The correlation of two sounds, the second taken to be *late* by so many frames."""
    one, two = (each.waveform.sum(axis=0).astype(np.float64) for each in (before, after))
    one, two = one[max(0, -late) :], two[max(0, late) :]
    count = min(one.size, two.size)
    scale = float(np.linalg.norm(one[:count]) * np.linalg.norm(two[:count]))
    return abs(float(one[:count] @ two[:count])) / scale if scale else 0.0


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
