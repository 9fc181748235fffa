"""Playing a signal through one stage, in blocks of given sizes, through the engine that runs files.

The processors inside are watched: a block of the wrong type or shape, NaN, or a wrong length is a `BrokenPromise` of
that name, in whichever check it turns up. `Crashed` and `Refused` are left to the check to judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from wavechain.audio import Audio
from wavechain.engine import Opening, Prepared, prepare
from wavechain.errors import MediaError, NonFiniteError, StageError, TooLargeError, WavechainError
from wavechain.nodes import Leaf, Listen, Node
from wavechain.origins import AudioOrigin, Origin
from wavechain.processors import Processor
from wavechain.stages import Analysis, MeasuredEffect, Stage, StreamStage
from wavechain.stream import Block, Spec
from wavechain.testing.promises import BrokenPromise, NotApplicable
from wavechain.testing.streaming import in_blocks


class Crashed(Exception):  # noqa: N818 - what happened, not what it is called
    """The stage raised an exception that is not one of wavechain's."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__(f"failed with {type(error).__name__}: {error}")


class Refused(Exception):  # noqa: N818
    """The stage refused the stream with one of wavechain's errors."""

    def __init__(self, error: WavechainError) -> None:
        self.error = error
        super().__init__(f"refused: {error}")

    @property
    def clean(self) -> bool:
        """Whether it was refused for what it is, before any work, and not because the work failed."""
        return not isinstance(self.error, MediaError) or isinstance(self.error, TooLargeError)


@dataclass(frozen=True, eq=False)
class Signal:
    """A stream in memory: audio, or features that were made from audio."""

    spec: Spec
    data: Block

    @classmethod
    def of(cls, audio: Audio, through: Sequence[Stage] = ()) -> Signal:
        """*audio*, or what the stages *through* make of it."""
        if not through:
            return cls(audio.spec, audio.waveform)
        prepared = prepare(through, AudioOrigin(audio), Opening())
        data = np.concatenate([prepared.spec.zeros(0), *prepared.blocks], axis=-1)
        return cls(prepared.spec.with_length(data.shape[-1]), data)

    @property
    def steps(self) -> int:
        return int(self.data.shape[-1])

    def first(self, steps: int) -> Signal:
        if steps >= self.steps:
            return self
        source = None if self.spec.source is None else self.spec.source.with_length(None)
        spec = replace(self.spec, length=steps, source=source)
        return Signal(spec, np.ascontiguousarray(self.data[..., :steps]))

    def __str__(self) -> str:
        return str(self.spec)


@dataclass(frozen=True, eq=False)
class Played:
    """What came out, latency and tail settled by the core. `latency` and `tail` are those that were declared."""

    spec: Spec
    data: Block
    latency: int
    tail: float

    @property
    def steps(self) -> int:
        return int(self.data.shape[-1])


def play(
    stage: Stage,
    signal: Signal,
    sizes: Sequence[int] = (),
    *,
    know_length: bool = True,
    watch_input: bool = False,
    tail_seconds: float | None = None,
) -> Played:
    """Raises BrokenPromise, Crashed or Refused. *sizes* repeat as needed; without any, all comes in one block."""
    watching = Watching(watch_input=watch_input, tail_seconds=tail_seconds)
    prepared: Prepared | None = None
    try:
        prepared = prepare([stage], Fed(signal, sizes or [max(1, signal.steps)], know_length), watching)
        declared = [leaf for leaf in prepared.series.leaves() if isinstance(leaf, Leaf)]
        latency, tail = max(leaf.latency for leaf in declared), max(leaf.tail for leaf in declared)
        data = np.concatenate([prepared.spec.zeros(0), *prepared.blocks], axis=-1)
    except WavechainError as error:
        raise _judged(error, stage, signal, sizes, prepared) from None
    except Exception as error:  # noqa: BLE001 - an analysis may raise anything
        raise _judged(error, stage, signal, sizes, prepared) from None
    return Played(prepared.spec, data, latency, tail)


def processor_for(stage: Stage, spec: Spec, block: Block) -> Processor:
    """A bare processor for a stream of *spec*, for checks below the engine. A measured stage hears *block* first."""
    if not isinstance(stage, StreamStage):
        raise NotApplicable("a combinator has no processor of its own")
    if "seed" in type(stage).model_fields and getattr(stage, "seed", 0) is None:
        stage = stage.model_copy(update={"seed": 1})
    if not isinstance(stage, MeasuredEffect):
        return stage.open(spec)
    results: list[Any] = []
    while (analysis := stage.analyse(spec, results)) is not None:
        analysis.feed(block.copy())
        results.append(analysis.result())
    return stage.open_measured(spec, results)


class Fed(Origin):
    """A signal in blocks that the stage may do with what it likes: each is a copy."""

    def __init__(self, signal: Signal, sizes: Sequence[int], know_length: bool = True) -> None:
        self.spec = signal.spec if know_length else signal.spec.with_length(None)
        self._signal, self._sizes = signal, sizes

    def read(self) -> Iterator[Block]:
        for block in in_blocks(self._signal.data, self._sizes):
            yield block.copy()


@dataclass
class Watching(Opening):
    """Opens stages as the core does, and looks at every block that their processors return."""

    watch_input: bool = False
    planning: bool = field(default=False, init=False)

    def _open(self, stage: Stage, spec: Spec, path: str, place: str) -> Node:
        node = super()._open(stage, spec, path, place)
        if isinstance(node, Leaf):
            node.processor = _Watched(node.processor, self.watch_input)
        elif isinstance(node, Listen) and node.analysis is not None and self.watch_input:
            node.analysis = _WatchedAnalysis(node.analysis)
        return node


class _WatchedAnalysis(Analysis):
    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis

    def feed(self, block: Block) -> None:
        before = block.copy()
        self._analysis.feed(block)
        _refuse_changed(before, block)

    def result(self) -> Any:
        return self._analysis.result()


class _Watched(Processor):
    """A processor whose blocks are looked at as they come, before the engine puts right what it can."""

    def __init__(self, inner: Processor, watch_input: bool) -> None:
        super().__init__(inner.spec)
        self._inner, self._watch_input = inner, watch_input
        self.latency, self.tail = inner.latency, inner.tail

    def process(self, block: Block) -> Block:
        # The core locks blocks, and a stage that writes to its input would fail in every check. Given a copy, it fails
        # in the one that is about it.
        given = block.copy()
        after = self._looked_at(self._inner.process(given), "process")
        if self._watch_input:
            _refuse_changed(block, given)
        return after

    def flush(self) -> Block:
        return self._looked_at(self._inner.flush(), "flush")

    @property
    def report(self) -> dict[str, Any]:
        return self._inner.report

    def _looked_at(self, block: Any, method: str) -> Block:
        if not isinstance(block, np.ndarray) or block.dtype != np.float32:
            found = f"of {block.dtype}" if isinstance(block, np.ndarray) else f"but a {type(block).__name__}"
            raise BrokenPromise("float32-blocks", f"{method}() returned no float32 array, {found}.")
        if block.shape[:-1] != self.spec.shape:
            raise BrokenPromise(
                "declared-shape",
                f"the processor's spec announces {self.spec.shape}, {method}() returned {block.shape[:-1]}"
                f" (with {block.shape[-1] if block.ndim else 0} steps).",
            )
        # A slice along time is still in order, and the core makes it compact; a transposed array has to be turned.
        if block.size and not (block.shape[-1] == 1 or block.strides[-1] == block.itemsize):
            raise BrokenPromise(
                "float32-blocks",
                f"{method}() returned an array whose time axis has strides of {block.strides[-1]} bytes in memory.",
            )
        if not np.isfinite(block).all():
            raise BrokenPromise("finite-output", f"{method}() returned {_first_bad(block)}.")
        return block


def _first_bad(block: Block) -> str:
    *axes, step = np.argwhere(~np.isfinite(block))[0]
    return f"{block[(*axes, step)]} in channel {axes[0]}, step {step} of a block of {block.shape[-1]}"


def _refuse_changed(before: Block, after: Block) -> None:
    changed = np.argwhere(~((before == after) | (np.isnan(before) & np.isnan(after))))
    if changed.size:
        place = tuple(changed[0])
        raise BrokenPromise(
            "input-untouched",
            f"of a block of {before.shape[-1]} steps, step {place[-1]} of channel {place[0]} was "
            f"{before[place]:.6g} before and is {after[place]:.6g} after.",
        )


def _judged(
    error: Exception, stage: Stage, signal: Signal, sizes: Sequence[int], prepared: Prepared | None
) -> Exception:
    """What went wrong, without the engine's wrapping."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BrokenPromise):
            return BrokenPromise(cause.promise, [*cause.facts, heard(signal, sizes)], who=repr(stage))
        cause = cause.__cause__
    if isinstance(error, NonFiniteError):
        return BrokenPromise("finite-output", [error.message, heard(signal, sizes)], who=repr(stage))
    if isinstance(error, StageError):
        if error.__cause__ is not None:
            return Crashed(error.__cause__)
        for leaf in prepared.series.leaves() if prepared is not None else ():
            if isinstance(leaf, Leaf) and leaf.spec.length not in (None, leaf.emitted):
                facts = [
                    f"spec.length + tail announce {leaf.spec.length} steps, {leaf.emitted} came out "
                    f"(latency {leaf.latency}, tail {leaf.tail:g}).",
                    heard(signal, sizes),
                ]
                return BrokenPromise("length-law", facts, who=repr(stage))
        if "changes the rate" in error.message:
            return BrokenPromise("length-law", [error.message, heard(signal, sizes)], who=repr(stage))
    return Refused(error) if isinstance(error, WavechainError) else Crashed(error)


def heard(signal: Signal, sizes: Sequence[int]) -> str:
    """The input, in words."""
    if not sizes:
        return f"Input: {signal}, in one block."
    again = ", over and over" if signal.steps > sum(sizes) else ""
    return f"Input: {signal}, in blocks of {', '.join(map(str, sizes))}{again}."
