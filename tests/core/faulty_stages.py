"""Stages with one fault each, as an author might write them. `test_testing_faults.py` holds the kit to finding them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from pydantic import ConfigDict

from wavechain import (
    Analysis,
    Audio,
    Block,
    Effect,
    FeatureTransform,
    MeasuredEffect,
    Model,
    Processor,
    Spec,
    param,
    pointwise,
)
from wavechain.errors import SpecMismatchError
from wavechain.processors import Pending, join


class Smoother(Processor):
    """Adds to each sample some of the one before: state that has to be carried."""

    def __init__(self, spec: Spec, weight: float = 0.3) -> None:
        super().__init__(spec)
        self.weight, self.before = np.float32(weight), spec.zeros(1)

    def process(self, block: Block) -> Block:
        both = np.concatenate([self.before, block], axis=-1)
        self.before = both[:, -1:]
        return both[:, 1:] + self.weight * both[:, :-1]


class Late(Processor):
    """Late by some frames, to which it owes the same number at the end."""

    def __init__(self, spec: Spec, frames: int) -> None:
        super().__init__(spec)
        self.held = spec.zeros(frames)

    def process(self, block: Block) -> Block:
        both = np.concatenate([self.held, block], axis=-1)
        self.held = both[..., block.shape[-1] :]
        return np.ascontiguousarray(both[..., : block.shape[-1]])


# -- without a fault ---------------------------------------------------------------------------------------------------


class Fine(Effect):
    """Half as loud."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block * np.float32(0.5))


class FineFilter(Effect):
    """Duller."""

    weight: float = param(0.3, gt=0, le=1, help="How bright it stays.")

    def open(self, spec: Spec) -> Processor:
        return Smoother(spec, self.weight)


class FineLate(Effect):
    """Late, and says so."""

    def open(self, spec: Spec) -> Processor:
        processor = Late(spec, 64)
        processor.latency = 64
        return processor


class FineLookAhead(Effect):
    """Sees far ahead: most of what it is given comes out after the end of the input."""

    def open(self, spec: Spec) -> Processor:
        processor = Late(spec, round(0.6 * spec.sample_rate))
        processor.latency = processor.held.shape[-1]
        return processor


class FineNoise(Effect):
    """Crackles by a seed."""

    seed: int | None = param(None, help="Where the crackling starts from.")

    def open(self, spec: Spec) -> Processor:
        generator = np.random.default_rng(self.seed)

        def crackle(block: Block) -> Block:
            return block * generator.uniform(0.5, 1, (1, block.shape[-1])).astype(np.float32)

        return pointwise(spec, crackle)


# -- blocks ------------------------------------------------------------------------------------------------------------


class Float64Output(Effect):
    """Half as loud, in double precision."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block.astype(np.float64) / 2)


class TransposedInMemory(Effect):
    """Works on (frames, channels), and hands out a view of that."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: np.ascontiguousarray(block.T).T)


class FramesFirst(Effect):
    """Takes the first axis for time."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: np.ascontiguousarray(block.T))


class MonoBecomesStereo(Effect):
    """Doubles a mono signal without a word."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: np.repeat(block, 2, axis=0) if len(block) == 1 else block * 1)


class WrongLength(Effect):
    """Announces ten frames more than there will be."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec.with_length(None if spec.length is None else spec.length + 10), lambda block: block * 1)


class LosesTheLastBlock(Effect):
    """Works in chunks of 1000 and forgets the incomplete one."""

    def open(self, spec: Spec) -> Processor:
        pending = Pending(spec)
        return pointwise(spec, lambda block: join(list(pending.chunks(block, 1000)), spec))


class IgnoresFlush(Effect):
    """Holds 100 frames back to look ahead, and keeps them."""

    class _Ahead(Processor):
        def __init__(self, spec: Spec) -> None:
            super().__init__(spec)
            self.pending = Pending(spec)

        def process(self, block: Block) -> Block:
            self.pending.push(block)
            return np.ascontiguousarray(self.pending.take(max(0, self.pending.steps - 100)))

    def open(self, spec: Spec) -> Processor:
        return self._Ahead(spec)


class MakesNaN(Effect):
    """Takes the square root of what may be negative."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, np.sqrt)


class DividesByLevel(Effect):
    """Brings every sample to its sign: 0 / 0 in silence."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block / np.abs(block))


class OutSpecLies(Effect):
    """Plans with another length than it makes."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block * 1)

    def out_spec(self, spec: Spec) -> Spec:
        return spec.with_length(None if spec.length is None else spec.length // 2)


class NormalizesEachBlock(Effect):
    """Depends on how the input is cut."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block / np.maximum(np.abs(block).max(initial=0), np.float32(1e-3)))


class DependsOnTheFirstBlock(Effect):
    """Sets its gain by the length of the first block."""

    class _First(Processor):
        gain: np.float32 | None = None

        def process(self, block: Block) -> Block:
            if self.gain is None:
                self.gain = np.float32(0.5 if block.shape[-1] < 1000 else 1)
            return block * self.gain

    def open(self, spec: Spec) -> Processor:
        return self._First(spec)


class ForgetsItsState(Effect):
    """Starts the filter anew with every block."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: Smoother(spec).process(block))


class CrashesOnOneFrame(Effect):
    """Interpolates between the first two frames of each block."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block * np.float32(1 + 0 * block[0, 1]))


class AlwaysCrashes(Effect):
    """Divides a number by nothing."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block * np.float32(1 // 0))


class CrashesOnMono(Effect):
    """Takes a right channel for granted."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block * np.float32(1 + 0 * block[1, 0]))


class NeedsTheLength(Effect):
    """Fades by the length that it takes for known."""

    def open(self, spec: Spec) -> Processor:
        gain = np.float32(1 / (1 + spec.length / spec.length))  # type: ignore[operator]
        return pointwise(spec, lambda block: block * gain)


# -- time --------------------------------------------------------------------------------------------------------------


class WrongLatency(Effect):
    """64 frames late, and does not say so."""

    def open(self, spec: Spec) -> Processor:
        return Late(spec, 64)


class LatencyTooLarge(Effect):
    """On time, and says it is 100 frames late."""

    def open(self, spec: Spec) -> Processor:
        processor = pointwise(spec, lambda block: block * 1)
        processor.latency = 100
        return processor


class CutTail(Effect):
    """An echo after half a second, of which the end is not announced."""

    seconds: ClassVar[float] = 0.5
    level: ClassVar[float] = 1.0
    ringing: ClassVar[float] = 0.0

    class _Echo(Processor):
        def __init__(self, spec: Spec, seconds: float, level: float) -> None:
            super().__init__(spec)
            self.late, self.level = Late(spec, round(seconds * spec.sample_rate)), np.float32(level)

        def process(self, block: Block) -> Block:
            return block + self.level * self.late.process(block)

    def open(self, spec: Spec) -> Processor:
        processor = self._Echo(spec, self.seconds, self.level)
        processor.tail = round(self.ringing * spec.sample_rate)
        return processor


class FineEcho(CutTail):
    """An echo after half a second, to its end."""

    ringing: ClassVar[float] = 0.5


class CutSlapback(CutTail):
    """The short echo of a tape machine, of which the end is not announced."""

    seconds: ClassVar[float] = 0.12
    level: ClassVar[float] = 0.5


class FineRinging(CutTail):
    """Rings on faintly for 0.15 s, as a steep filter does, and keeps its length."""

    seconds: ClassVar[float] = 0.15
    level: ClassVar[float] = 0.01


class EndlessTail(Effect):
    """Hums on for ever."""

    class _Hum(Processor):
        tail = math.inf
        done = 0

        def process(self, block: Block) -> Block:
            time = np.arange(self.done, self.done + block.shape[-1]) / float(self.spec.rate)
            self.done += block.shape[-1]
            return (block + 0.1 * np.sin(2 * np.pi * 50 * time)).astype(np.float32)

    def open(self, spec: Spec) -> Processor:
        return self._Hum(spec)


class CountsFramesAt44100(Effect):
    """An echo whose time is counted in frames."""

    class _Echo(Processor):
        tail = 13_230

        def __init__(self, spec: Spec) -> None:
            super().__init__(spec)
            self.late = Late(spec, 13_230)

        def process(self, block: Block) -> Block:
            return block + self.late.process(block)

    def open(self, spec: Spec) -> Processor:
        return self._Echo(spec)


class KnowsTwoRates(Effect):
    """Looks its coefficients up in a table of the usual sample rates."""

    def open(self, spec: Spec) -> Processor:
        gain = np.float32({44_100: 0.5, 48_000: 0.5, 88_200: 0.5}[spec.sample_rate])
        return pointwise(spec, lambda block: block * gain)


class AddsDc(Effect):
    """Adds an offset."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block + np.float32(0.01))


class HidesNaN(Effect):
    """Turns NaN into silence."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, np.nan_to_num)


class HidesNaNAhead(FineLookAhead):
    """Turns NaN into silence, and hands it out much later."""

    class _Clean(Late):
        def process(self, block: Block) -> Block:
            return super().process(np.nan_to_num(block))

    def open(self, spec: Spec) -> Processor:
        processor = self._Clean(spec, round(0.6 * spec.sample_rate))
        processor.latency = processor.held.shape[-1]
        return processor


# -- isolation ---------------------------------------------------------------------------------------------------------


class StateOnTheClass(Effect):
    """Filters every stream with the same memory."""

    before: ClassVar[dict[int, Block]] = {}

    class _Shared(Smoother):
        def process(self, block: Block) -> Block:
            self.before = StateOnTheClass.before.get(len(block), self.before)
            after = super().process(block)
            StateOnTheClass.before[len(block)] = self.before
            return after

    def open(self, spec: Spec) -> Processor:
        return self._Shared(spec)


class UnseededChance(Effect):
    """Crackles otherwise each time."""

    def open(self, spec: Spec) -> Processor:
        generator = np.random.default_rng()
        return pointwise(spec, lambda block: block * generator.uniform(0.9, 1, block.shape).astype(np.float32))


class EditsInPlace(Effect):
    """Turns down the very block that it is given."""

    def open(self, spec: Spec) -> Processor:
        def turn_down(block: Block) -> Block:
            block *= np.float32(0.5)
            return block

        return pointwise(spec, turn_down)


class ScratchInTheModule(Effect):
    """Works in one buffer for all streams."""

    scratch: ClassVar[np.ndarray] = np.zeros((8, 1 << 20), np.float32)

    def open(self, spec: Spec) -> Processor:
        def work(block: Block) -> Block:
            buffer = self.scratch[: len(block), : block.shape[-1]]
            buffer[:] = block
            for _ in range(20):
                buffer += np.float32(0)
            return buffer * np.float32(0.5)

        return pointwise(spec, work)


class SetUpElsewhere(Effect):
    """Takes its gain from a call that only this process made."""

    gain: ClassVar[float] = 1.0

    def open(self, spec: Spec) -> Processor:
        gain = np.float32(type(self).gain)
        return pointwise(spec, lambda block: block * gain)


class Leaks(Effect):
    """Keeps everything it has heard."""

    def open(self, spec: Spec) -> Processor:
        heard: list[Block] = []

        def keep(block: Block) -> Block:
            heard.append(block)
            return block * 1

        return pointwise(spec, keep)


class AnalysisLeaks(MeasuredEffect):
    """Keeps everything, to measure it at the end."""

    class _Peak(Analysis):
        def __init__(self) -> None:
            self.heard: list[Block] = []

        def feed(self, block: Block) -> None:
            self.heard.append(block)

        def result(self) -> float:
            return max((float(np.abs(block).max(initial=0)) for block in self.heard), default=0.0)

    def analyse(self, spec: Spec, results: Sequence[Any]) -> Analysis | None:
        return None if results else self._Peak()

    def open_measured(self, spec: Spec, results: Sequence[Any]) -> Processor:
        gain = np.float32(0.5 / max(results[0], 1e-3))
        return pointwise(spec, lambda block: block * gain)


# -- settings ----------------------------------------------------------------------------------------------------------


class Unpicklable(Fine):
    """Half as loud, and carries a function."""

    shape: Any = param(lambda x: x, help="What happens to a sample.")

    def __getstate__(self) -> Any:
        raise TypeError("cannot pickle a function")


class WithoutHelp(Fine):
    """Half as loud."""

    amount: float = param(1.0, help="")


class WithoutUnit(Fine):
    """Half as loud."""

    cutoff_hz: float = param(100.0, help="From where on.")


class Mutable(Fine):
    """Half as loud, until someone changes it."""

    model_config = ConfigDict(frozen=False)
    amount: float = param(1.0, help="How much.")


class TakesAnything(Fine):
    """Half as loud, with a typing error too."""

    model_config = ConfigDict(extra="ignore")


# -- transforms and models ---------------------------------------------------------------------------------------------

HOP = 64


class FineFrames(FeatureTransform):
    """A waveform cut into columns of 64 frames."""

    inverse_kind: ClassVar[Any] = "exact"

    class _Forward(Processor):
        def __init__(self, stage: FineFrames, spec: Spec) -> None:
            hops = None if spec.length is None else -(-spec.length // HOP)
            super().__init__(Spec("columns", spec.rate / HOP, (spec.channels, HOP), hops, recipe=stage, source=spec))
            self.pending = Pending(spec)

        def process(self, block: Block) -> Block:
            return join([chunk[..., np.newaxis] for chunk in self.pending.chunks(block, HOP)], self.spec)

        def flush(self) -> Block:
            rest = self.pending.take()
            if not rest.shape[-1]:
                return self.spec.zeros(0)
            return np.pad(rest, ((0, 0), (0, HOP - rest.shape[-1])))[..., np.newaxis]

    class _Back(Processor):
        def __init__(self, spec: Spec) -> None:
            assert spec.source is not None
            length = spec.source.length
            if spec.length is None or length is None or -(-length // HOP) != spec.length:
                length = None if spec.length is None else spec.length * HOP
            super().__init__(spec.source.with_length(length))
            self.done = 0

        def process(self, block: Block) -> Block:
            wave = np.ascontiguousarray(np.moveaxis(block, -1, 1).reshape(len(block), -1))
            if self.spec.length is not None:
                wave = np.ascontiguousarray(wave[:, : max(0, self.spec.length - self.done)])
            self.done += wave.shape[-1]
            return wave

    def open(self, spec: Spec) -> Processor:
        return self._Forward(self, spec)

    def inverse(self, spec: Spec) -> Processor:
        if spec.kind != "columns" or spec.shape[1:] != (HOP,):
            raise SpecMismatchError(f"columns of {HOP} are expected, not {spec}.")
        return self._Back(spec)


class InverseIsShifted(FineFrames):
    """Comes back three frames late."""

    class _Shifted(FineFrames._Back):
        def __init__(self, spec: Spec) -> None:
            super().__init__(spec)
            self.late = Late(self.spec, 3)

        def process(self, block: Block) -> Block:
            return self.late.process(super().process(block))

    def inverse(self, spec: Spec) -> Processor:
        super().inverse(spec)
        return self._Shifted(spec)


class InverseDependsOnBlocks(FineFrames):
    """Fades in every block on the way back."""

    class _Faded(FineFrames._Back):
        def process(self, block: Block) -> Block:
            wave = super().process(block)
            wave[:, :1] *= np.float32(0.99995)
            return wave

    def inverse(self, spec: Spec) -> Processor:
        super().inverse(spec)
        return self._Faded(spec)


class InverseTakesAnything(FineFrames):
    """Finds out that the columns are not its own when the sound is there."""

    def inverse(self, spec: Spec) -> Processor:
        return self._Back(spec)


class InverseLeaks(FineFrames):
    """Keeps every column it has turned back."""

    class _Keeping(FineFrames._Back):
        def __init__(self, spec: Spec) -> None:
            super().__init__(spec)
            self.seen: list[Block] = []

        def process(self, block: Block) -> Block:
            self.seen.append(block)
            return super().process(block)

    def inverse(self, spec: Spec) -> Processor:
        super().inverse(spec)
        return self._Keeping(spec)


class FineApproximation(FineFrames):
    """Comes back upside down, which few ears can tell."""

    inverse_kind: ClassVar[Any] = "approximate"
    factor: ClassVar[float] = -1.0
    late: ClassVar[int] = 0

    class _Rough(FineFrames._Back):
        def __init__(self, spec: Spec, factor: float, late: int) -> None:
            super().__init__(spec)
            self.factor, self.held = np.float32(factor), Late(self.spec, late)

        def process(self, block: Block) -> Block:
            return self.held.process(self.factor * super().process(block))

    def inverse(self, spec: Spec) -> Processor:
        super().inverse(spec)
        return self._Rough(spec, self.factor, self.late)


class ApproximatesNothing(FineApproximation):
    """Comes back 60 dB down."""

    factor: ClassVar[float] = 0.001


class ApproximatesLater(FineApproximation):
    """Comes back a twentieth of a second late."""

    late: ClassVar[int] = 2400


class WithoutRecipe(FineFrames):
    """Does not say who made the columns."""

    def open(self, spec: Spec) -> Processor:
        processor = super().open(spec)
        processor.spec = replace(processor.spec, recipe=None)
        return processor


class FineLogarithm(FineFrames):
    """Columns of logarithms: silence is the largest number there is, below zero."""

    inverse_kind: ClassVar[Any] = "none"
    late: ClassVar[int] = 0

    class _Logarithm(FineFrames._Forward):
        def __init__(self, stage: FineLogarithm, spec: Spec) -> None:
            super().__init__(stage, spec)
            self.late = Late(self.spec, stage.late)

        def process(self, block: Block) -> Block:
            return self.late.process(np.log(np.abs(super().process(block)) + np.float32(1e-5)))

        def flush(self) -> Block:
            return self.late.process(np.log(np.abs(super().flush()) + np.float32(1e-5)))

    def open(self, spec: Spec) -> Processor:
        return self._Logarithm(self, spec)

    def inverse(self, spec: Spec) -> Processor:
        raise NotImplementedError


class LogarithmIsLate(FineLogarithm):
    """Three columns late, and does not say so."""

    late: ClassVar[int] = 3


class FineModel(Model):
    """Hums by a seed, and halves what it is given."""

    capabilities: ClassVar[frozenset[str]] = frozenset({"process", "sample"})

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block * np.float32(0.5))

    def sample(self, seconds: float, *, seed: int) -> Audio:
        wave = np.random.default_rng(seed).uniform(-0.1, 0.1, round(seconds * 16_000))
        return Audio.of(wave.astype(np.float32), 16_000)


class FineSampler(Model):
    """Hums by a seed, and takes no sound."""

    capabilities: ClassVar[frozenset[str]] = frozenset({"sample"})

    def open(self, spec: Spec) -> Processor:
        raise NotImplementedError

    def sample(self, seconds: float, *, seed: int) -> Audio:
        return FineModel().sample(seconds, seed=seed)


class ModelIsLate(FineModel):
    """Its network looks ahead by 64 frames, which nobody takes off."""

    def open(self, spec: Spec) -> Processor:
        return Late(spec, 64)


class FineDerivative(FineModel):
    """Hands out what changes from frame to frame, in time, at the one rate that it was trained on."""

    late: ClassVar[int] = 0

    def open(self, spec: Spec) -> Processor:
        if spec.rate != 48_000:
            raise SpecMismatchError(f"48000 Hz are expected, not {spec}.")
        change, late = Smoother(spec, -0.97), Late(spec, self.late)
        return pointwise(spec, lambda block: late.process(change.process(block)))


class DerivativeIsLate(FineDerivative):
    """Its network looks ahead by one hop, which nobody takes off."""

    late: ClassVar[int] = 256


class ModelOfHalfTheSound(FineModel):
    """Gives every second frame only."""

    class _Half(Processor):
        done = 0

        def process(self, block: Block) -> Block:
            start, self.done = self.done % 2, self.done + block.shape[-1]
            return np.ascontiguousarray(block[:, start::2])

    def open(self, spec: Spec) -> Processor:
        return self._Half(spec.with_length(None if spec.length is None else -(-spec.length // 2)))


class ModelOfOtherColumns(FineModel):
    """Weighs 64 bins, and finds out later that there are others."""

    accepts: ClassVar[tuple[str, ...]] = ("columns",)

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block * np.ones((1, HOP, 1), np.float32))


class SamplesByChance(FineModel):
    """Does not care for its seed."""

    def sample(self, seconds: float, *, seed: int) -> Audio:
        return super().sample(seconds, seed=int(np.random.default_rng().integers(1 << 30)))


class CannotSample(Model):
    """Says that it samples."""

    capabilities: ClassVar[frozenset[str]] = frozenset({"process", "sample"})

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block * np.float32(0.5))
