"""Features: traced back to what made them, refused where they do not fit, and turned into sound again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from wavechain.audio import Audio
from wavechain.errors import SpecMismatchError
from wavechain.processors import Processor, Whole
from wavechain.registry import registry
from wavechain.registry.register import CORE
from wavechain.stages import FeatureTransform
from wavechain.stream import Block, Spec
from wavechain.testing.checks import plugin
from wavechain.testing.checks.hunting import hunt
from wavechain.testing.checks.memory import refuse_growth
from wavechain.testing.checks.plugin import PluginSubject
from wavechain.testing.checks.settings import registered
from wavechain.testing.playing import Crashed, Refused, Signal, heard, play
from wavechain.testing.promises import NotApplicable
from wavechain.testing.streaming import latency_of
from wavechain.testing.subject import Subject, difference

EXACT = 1e-4  # of the peak: -80 dB, float32 rounding and a long way to go
AS_LOUD_DB = 12.0  # an approximation may lose bands, not the sound
ENVELOPE_SECONDS = 0.005


def features_described(subject: Subject) -> None:
    transform = _transform(subject)
    signal = subject.input
    out = subject.plain(signal)
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
    features = subject.plain(signal)
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
    kind = f"inverse_kind is {transform.inverse_kind}."
    louder = 20 * np.log10((back.data.std() + 1e-9) / (signal.data.std() + 1e-9))
    if abs(louder) > AS_LOUD_DB:
        raise subject.broken("inverse-comes-back", kind, f"The sound comes back {louder:+.1f} dB louder.")
    rate = signal.spec.sample_rate
    late = latency_of(_envelope(signal.data, rate), _envelope(back.data, rate))
    if abs(late) > max(ENVELOPE_SECONDS * rate, rate / float(features.spec.rate)):  # a column knows no finer time
        raise subject.broken("inverse-comes-back", kind, f"The sound comes back {late:+d} frames late.")


def _envelope(data: Block, rate: int) -> Audio:
    """How loud it is from instant to instant, around its mean. Phases need not come back, and are not in it."""
    size = max(1, round(ENVELOPE_SECONDS * rate))
    level = np.convolve(np.abs(data).mean(axis=0), np.full(size, 1 / size), mode="same")
    return Audio.of((level - level.mean())[np.newaxis].astype(np.float32), rate)


def entry_module_light(subject: Subject) -> None:
    """Of the plugin that registers it: listing stages loads no torch."""
    spec = registered(subject.stage)
    record = next(each for each in registry().plugins(spec.plugin) if each.usable)
    if not record.entry or record.name == CORE:
        raise NotApplicable("the core has no entry module")
    plugin.entry_module_light(PluginSubject(record.entry.partition(":")[0], record.name))


def mismatch_refused(subject: Subject) -> None:
    """Features of another kind, or with one bin more: the way back of a transform, or a model that takes features."""
    if isinstance(subject.stage, FeatureTransform):
        transform, made = subject.stage, subject.plain(subject.input).spec
        if transform.inverse_kind == "none":
            raise NotApplicable("it has no inverse")
        for spec in (replace(made, kind="something-else"), _one_bin_more(made)):
            _refuse_inverse(subject, transform, spec)
        return
    signal = subject.input
    if signal.spec.kind == "audio":
        raise NotApplicable("it takes audio: `sample-rates` and `channel-counts` are about that")
    spec = _one_bin_more(signal.spec)
    try:
        play(subject.stage, Signal(spec, np.resize(signal.data, (*spec.shape, signal.steps))))
    except Refused as refused:
        if not refused.clean:
            raise subject.broken("mismatch-refused", f"{spec}: it {refused}") from None
    except Crashed as crash:
        raise subject.broken("mismatch-refused", f"{spec}: it {crash}, in place of a refusal.") from None


def _one_bin_more(spec: Spec) -> Spec:
    return replace(spec, shape=(*spec.shape[:-1], spec.shape[-1] + 1))


def _refuse_inverse(subject: Subject, transform: FeatureTransform, spec: Spec) -> None:
    try:
        transform.inverse(spec)
    except SpecMismatchError:
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not ours
        said = f"inverse() raises {type(error).__name__} ({error}), not SpecMismatchError, for {spec}."
        raise subject.broken("mismatch-refused", said) from None
    raise subject.broken("mismatch-refused", f"inverse() takes {spec}.")


def inverse_bounded_memory(subject: Subject) -> None:
    transform = _transform(subject)
    if transform.inverse_kind == "none":
        raise NotApplicable("it has no inverse")
    made = subject.plain(subject.input)
    size = max(1, round(made.spec.rate / 10))
    blocks = [
        np.ascontiguousarray(made.data[..., start : start + size]) for start in range(0, made.steps - size + 1, size)
    ]

    def inverse(spec: Spec) -> Callable[[Block], object]:
        processor = transform.inverse(spec)
        if isinstance(processor, Whole):
            raise NotApplicable("the inverse holds the whole signal in a file, by declaration")
        return processor.process

    spec = made.spec if made.spec.source is None else replace(made.spec, source=made.spec.source.with_length(None))
    refuse_growth(subject, "inverse-bounded-memory", "The inverse holds", inverse, spec, blocks)


def inverse_streamed_is_whole(subject: Subject) -> None:
    transform = _transform(subject)
    if transform.inverse_kind == "none":
        raise NotApplicable("it has no inverse")
    made = subject.plain(subject.input)
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
