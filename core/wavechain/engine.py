"""The engine: opens the stages of a chain into a tree of nodes, and runs measuring passes until it is complete.

While a tree contains a `Listen`, running it is a measuring pass. `prepare` repeats such passes, each on as little of
the chain as it needs; the last pass yields the sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from wavechain.errors import SpecMismatchError, StageError, TooLargeError, WavechainError
from wavechain.nodes import Leaf, Listen, Node, Series
from wavechain.seeds import derive_seed
from wavechain.stages import MeasuredEffect, Stage, StreamStage, WholeEffect
from wavechain.stream import Block, Spec

if TYPE_CHECKING:
    from wavechain.origins import Origin

WHOLE_LIMIT_BYTES = 8 << 30


@dataclass
class Opening:
    """What opening a chain needs to know beside the stages.

    tail_seconds  None: let tails ring (see above); a number: never longer than that
    results       what the measuring passes found, by path
    planning      open measured stages as if measured, to look at specs only
    """

    seed: int = 0
    file_key: str = ""
    tail_seconds: float | None = None
    planning: bool = False
    results: dict[str, list[Any]] = field(default_factory=dict)

    def series(self, stages: Sequence[Stage], spec: Spec, path: str = "", first: int = 1) -> Series:
        """Open *stages* one after the other, up to and including the first that still has to listen."""
        nodes: list[Node] = []
        for number, stage in enumerate(stages, first):
            node = self.node(stage, spec, f"{path}{number}")
            nodes.append(node)
            spec = node.spec
            if any(node.listeners()):
                break
        return Series(nodes, spec)

    def node(self, stage: Stage, spec: Spec, path: str) -> Node:
        place = f"stage {path} ({stage.stage_name()})"
        try:
            return self._open(stage, spec, path, place)
        except WavechainError as error:
            raise error.at(place) from error.__cause__
        except Exception as error:
            raise StageError(
                f"{place} cannot be opened: {type(error).__name__}: {error}.", hint="--debug for the traceback."
            ) from error

    def _open(self, stage: Stage, spec: Spec, path: str, place: str) -> Node:
        from wavechain.combinators import Combinator

        if isinstance(stage, Combinator):
            return stage.open_node(spec, self, path, place)
        if not isinstance(stage, StreamStage):
            raise SpecMismatchError(f"{place} is not a step of a chain.", hint="an effect, transform or model.")
        if stage.accepts and spec.kind not in stage.accepts:
            before = "add inverse before it." if stage.accepts == ("audio",) else f"add {stage.accepts[0]} before it."
            raise SpecMismatchError(f"{place} takes {' or '.join(stage.accepts)}; it is given {spec}.", hint=before)
        if "seed" in type(stage).model_fields and getattr(stage, "seed", 0) is None:
            stage = stage.model_copy(update={"seed": derive_seed(self.seed, self.file_key, path)})
        if isinstance(stage, WholeEffect):
            _refuse_too_long(stage, spec, place)
        if isinstance(stage, MeasuredEffect):
            found = self.results.setdefault(path, [])
            analysis = None if self.planning else stage.analyse(spec, found)
            if analysis is not None or self.planning:
                return Listen(place, path, stage.out_spec(spec), spec, analysis)
            return Leaf(place, stage.open_measured(spec, found), spec, self.tail_seconds)
        return Leaf(place, stage.open(spec), spec, self.tail_seconds)


def _refuse_too_long(stage: WholeEffect, spec: Spec, place: str) -> None:
    size = 4 * int(np.prod(spec.shape)) * (spec.length or 0)
    if size > WHOLE_LIMIT_BYTES:
        raise TooLargeError(
            f"{place} needs the whole signal at once: {size / 2**30:.1f} GiB here, the limit is "
            f"{WHOLE_LIMIT_BYTES >> 30} GiB.",
            hint="split the file, or use a stage that streams.",
        )


@dataclass
class Prepared:
    """A chain that has heard all it needs: `blocks` yields the sound, once."""

    series: Series
    blocks: Iterator[Block]
    passes: int

    @property
    def spec(self) -> Spec:
        return self.series.spec


def prepare(stages: Sequence[Stage], origin: Origin, opening: Opening) -> Prepared:
    """Run the measuring passes of *stages* on *origin*, and return the chain ready for the pass that makes sound.

    Before a pass, the stages up to the one that listens are either run again or, where that would cost more than disk
    traffic, run once into a spool that replaces the origin.
    """
    start, passes = 0, 1
    done: list[Node] = []
    while True:
        series = opening.series(stages[start:], origin.spec, first=start + 1)
        if not any(series.listeners()):
            return Prepared(Series(done + series.nodes, series.spec), _closing(series, origin), passes)
        passes += 1
        *heads, listening = series.nodes
        head = Series(heads, heads[-1].spec if heads else origin.spec)
        spool = origin.spool_for(head.spec, sum(_cost(stage) for stage in stages[start : start + len(heads)]))
        try:
            for block in head.run(origin.blocks()):
                if spool is not None:
                    spool.write(block)
                listening.push(block)
            for _ in listening.finish():
                pass
        except BaseException:
            origin.close()
            if spool is not None:
                spool.close()
            raise
        for listener in series.listeners():
            if listener.analysis is not None:
                opening.results[listener.path].append(listener.analysis.result())
        if spool is not None:
            done += heads
            start += len(heads)
            origin = origin.replaced_by(spool)


def _closing(series: Series, origin: Origin) -> Iterator[Block]:
    try:
        yield from series.run(origin.blocks())
    finally:
        origin.close()


def _cost(stage: Stage) -> float:
    return float(getattr(stage, "cost", 5.0))
