"""What transforms and models promise beyond the stream: features that can be traced back, sampling by seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from wavechain.audio import Audio
from wavechain.processors import Processor
from wavechain.stages import FeatureTransform, Model
from wavechain.stream import Spec
from wavechain.testing.checks.hunting import hunt
from wavechain.testing.playing import Signal, heard, play
from wavechain.testing.promises import BrokenPromise, NotApplicable
from wavechain.testing.streaming import latency_of
from wavechain.testing.subject import Subject, difference

EXACT = 1e-4  # of the peak: -80 dB, float32 rounding and a long way to go
CAPABILITIES = {"sample", "process", "encode", "decode"}


def features_described(subject: Subject) -> None:
    transform = _transform(subject)
    signal = subject.input
    out = subject.play(signal)
    spec, faults = out.spec, []
    if spec.kind == "audio":
        faults.append("Its output is called audio.")
    if spec.recipe != transform:
        faults.append(f"spec.recipe is {spec.recipe!r}, not the transform itself.")
    if spec.source is None or (spec.source.rate, spec.source.shape) != (signal.spec.rate, signal.spec.shape):
        faults.append(f"spec.source is {spec.source}, the audio was {signal.spec}.")
    if signal.steps and abs(out.steps / float(spec.rate) - signal.steps / float(signal.spec.rate)) > 0.25:
        faults.append(f"{out.steps} steps at {float(spec.rate):g} a second do not last as long as {signal.spec}.")
    if faults:
        raise subject.broken("features-described", *faults)


def inverse_comes_back(subject: Subject) -> None:
    transform = _transform(subject)
    signal = subject.input
    features = subject.play(signal)
    if transform.inverse_kind == "none":
        try:
            transform.inverse(features.spec)
        except NotImplementedError:
            return
        raise subject.broken("inverse-comes-back", "inverse_kind is none, and inverse() gives a processor.")
    back = _inverted(transform, Signal(features.spec.with_length(features.steps), features.data))
    if back.spec.rate != signal.spec.rate or back.spec.shape != signal.spec.shape:
        raise subject.broken("inverse-comes-back", f"{signal.spec} comes back as {back.spec}.")
    if back.steps != signal.steps:
        raise subject.broken("inverse-comes-back", f"{signal.steps} frames go in, {back.steps} come back.")
    if transform.inverse_kind == "exact":
        limit = EXACT * float(np.abs(signal.data).max())
        found = difference(signal.data, back.data, limit, ("before", "after the way there and back"))
        if found:
            raise subject.broken("inverse-comes-back", "inverse_kind is exact.", found)
        return
    rate = signal.spec.sample_rate
    late = latency_of(Audio(signal.data, rate), Audio(back.data, rate))
    if late:
        raise subject.broken("inverse-comes-back", f"The sound comes back {late:+d} frames late.")


def inverse_streamed_is_whole(subject: Subject) -> None:
    transform = _transform(subject)
    if transform.inverse_kind == "none":
        raise NotApplicable("it has no inverse")
    made = subject.play(subject.input)
    features = Signal(made.spec.with_length(made.steps), made.data)

    def compare(steps: int, sizes: list[int]) -> None:
        part = features.first(steps)
        whole, cut = _inverted(transform, part), _inverted(transform, part, sizes)
        found = difference(whole.data, cut.data, transform.tolerance, ("in one block", "in blocks"))
        if found:
            raise subject.broken("inverse-streamed-is-whole", heard(part, sizes), found)

    hunt(compare, features.steps, subject.examples)


class _Backwards(FeatureTransform):
    """The inverse of a transform, as a stage."""

    accepts = ("",)
    forward: Any

    def open(self, spec: Spec) -> Processor:
        processor: Processor = self.forward.inverse(spec)
        return processor


def _inverted(transform: FeatureTransform, features: Signal, sizes: list[int] | None = None) -> Any:
    backwards = type("Backwards", (_Backwards,), {"accepts": (features.spec.kind,), "__module__": __name__})
    return play(backwards(forward=transform), features, sizes or ())


def _transform(subject: Subject) -> FeatureTransform:
    if not isinstance(subject.stage, FeatureTransform):
        raise NotApplicable("it is no FeatureTransform")
    return subject.stage


def capabilities_true(subject: Subject) -> None:
    model = _model(subject)
    unknown = set(model.capabilities) - CAPABILITIES
    if unknown or not model.capabilities:
        raise subject.broken("capabilities-true", f"capabilities are {sorted(model.capabilities)}.")
    overridden = type(model).sample is not Model.sample
    if overridden != ("sample" in model.capabilities):
        said = "has sample()" if overridden else "has no sample()"
        raise subject.broken("capabilities-true", f"capabilities are {sorted(model.capabilities)}; it {said}.")


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
