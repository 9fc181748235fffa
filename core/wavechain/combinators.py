"""Combinators: chains inside a chain.

    parallel   the same input into several branches, summed with weights
    bands      split by frequency, a chain for each band, summed
    mid-side   a chain for what both channels share, another for what differs
    mix        one chain blended with the untouched input (wet/dry)
    inverse    from features back to audio, by the transform that made them

All branches are aligned: latency is trimmed inside each, shorter tails go on in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.params import param, parameter_error
from wavechain.stages import Chainable, FeatureTransform, Stage, StreamStage
from wavechain.stream import Block, Spec

if TYPE_CHECKING:
    from wavechain.engine import Opening
    from wavechain.nodes import Node
    from wavechain.processors import Processor


def _stages(value: Any) -> Any:
    from wavechain.chain import Chain, stage_from

    if isinstance(value, Chain):
        return value.stages
    if isinstance(value, Stage):
        return (value,)
    if isinstance(value, str):
        return (stage_from(value),)
    if isinstance(value, list | tuple):
        return tuple(item if isinstance(item, Stage) else stage_from(item) for item in value)
    return value


Stages = Annotated[tuple[Stage, ...], BeforeValidator(_stages)]


class Branch(BaseModel):
    """One branch: a chain, and how loud it enters the sum."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    stages: Stages = param((), help="What this branch does; nothing at all passes the input on.")
    weight: float = param(1.0, ge=-100, le=100, help="Factor of this branch in the sum; negative inverts it.")

    if not TYPE_CHECKING:

        def __init__(self, stages: Any = (), weight: float = 1.0, **unknown: Any) -> None:
            try:
                super().__init__(stages=stages, weight=weight, **unknown)
            except ValidationError as error:
                raise parameter_error(type(self), "branch", error) from None


class Combinator(Chainable):
    """A stage made of chains. `open_node` wires them together."""

    def open_node(self, spec: Spec, opening: Opening, path: str, place: str) -> Node:
        raise NotImplementedError

    def chains(self) -> Sequence[tuple[str, tuple[Stage, ...]]]:
        """The chains inside, each with the name that error messages and plans use."""
        raise NotImplementedError

    @property
    def cost(self) -> float:
        return sum(getattr(stage, "cost", 5.0) for _, stages in self.chains() for stage in stages) + 1.0


class Parallel(Combinator):
    """The same input into several branches, summed with weights."""

    branches: tuple[Branch, ...] = param(help="Chains that run side by side, each with its weight.")

    if not TYPE_CHECKING:

        def __init__(self, branches: Sequence[Any] = (), **data: Any) -> None:
            super().__init__(branches=tuple(_branch(branch) for branch in branches), **data)

    @model_validator(mode="after")
    def _not_empty(self) -> Parallel:
        if not self.branches:
            raise ParameterError("parallel needs at least one branch.", hint="[[stage.branches]] in the chain file.")
        return self

    def chains(self) -> Sequence[tuple[str, tuple[Stage, ...]]]:
        return [(f"branch{number}", branch.stages) for number, branch in enumerate(self.branches, 1)]

    def open_node(self, spec: Spec, opening: Opening, path: str, place: str) -> Node:
        weights = [np.float32(branch.weight) for branch in self.branches]
        return _fork(self, spec, opening, path, place, _Same(len(weights)), lambda parts: _sum(parts, weights))


class Mix(Combinator):
    """One chain blended with the untouched input."""

    stages: Stages = param(help="The wet side.")
    wet: float = param(0.5, ge=0, le=1, help="Share of the wet side: 0 is the input alone, 1 the chain alone.")

    if not TYPE_CHECKING:

        def __init__(self, stages: Any = None, **data: Any) -> None:
            super().__init__(**({} if stages is None else {"stages": stages}), **data)

    def chains(self) -> Sequence[tuple[str, tuple[Stage, ...]]]:
        return [("wet", self.stages), ("dry", ())]

    def open_node(self, spec: Spec, opening: Opening, path: str, place: str) -> Node:
        weights = [np.float32(self.wet), np.float32(1 - self.wet)]
        return _fork(self, spec, opening, path, place, _Same(2), lambda parts: _sum(parts, weights))


class MidSide(Combinator):
    """A chain for mid (what both channels share) and one for side (what differs): M = (L + R) / 2, S = (L - R) / 2."""

    mid: Stages = param((), help="What happens to the middle; one channel in, one out.")
    side: Stages = param((), help="What happens to the sides; one channel in, one out.")

    def chains(self) -> Sequence[tuple[str, tuple[Stage, ...]]]:
        return [("mid", self.mid), ("side", self.side)]

    def open_node(self, spec: Spec, opening: Opening, path: str, place: str) -> Node:
        if spec.kind != "audio" or spec.channels != 2:
            raise SpecMismatchError(
                f"{place} takes stereo audio; it is given {spec}.", hint="add channels:layout=stereo before it."
            )
        return _fork(self, spec, opening, path, place, _ToMidSide(), _from_mid_side, inner=spec.with_channels(1))


class Bands(Combinator):
    """Split by frequency into bands (Linkwitz-Riley, 24 dB per octave), a chain for each, summed.

    With nothing in the bands the magnitude is flat; the phase is that of the crossover's all-pass.
    """

    crossovers_hz: tuple[float, ...] = param(
        unit="Hz", help="Where to split: rising frequencies, one fewer than bands."
    )
    bands: tuple[Branch, ...] = param(help="A chain for each band, lowest first.")

    if not TYPE_CHECKING:

        def __init__(self, bands: Sequence[Any] = (), **data: Any) -> None:
            super().__init__(bands=tuple(_branch(branch) for branch in bands), **data)

    @model_validator(mode="after")
    def _fits(self) -> Bands:
        if list(self.crossovers_hz) != sorted(set(self.crossovers_hz)) or not self.crossovers_hz:
            raise ParameterError(
                f"bands: crossovers_hz = {list(self.crossovers_hz)} must rise.", hint="crossovers_hz = [200, 2000]."
            )
        if len(self.bands) != len(self.crossovers_hz) + 1:
            raise ParameterError(
                f"bands: {len(self.crossovers_hz)} crossovers make {len(self.crossovers_hz) + 1} bands; "
                f"{len(self.bands)} are given.",
                hint="one [[stage.bands]] for each band, an empty one leaves it as it is.",
            )
        return self

    def chains(self) -> Sequence[tuple[str, tuple[Stage, ...]]]:
        return [(f"band{number}", band.stages) for number, band in enumerate(self.bands, 1)]

    def open_node(self, spec: Spec, opening: Opening, path: str, place: str) -> Node:
        from wavechain.dsp.crossover import Crossover

        if spec.kind != "audio":
            raise SpecMismatchError(f"{place} takes audio; it is given {spec}.", hint="add inverse before it.")
        weights = [np.float32(band.weight) for band in self.bands]
        crossover = Crossover(self.crossovers_hz, spec.sample_rate, spec.channels)
        return _fork(self, spec, opening, path, place, _ByBand(crossover), lambda parts: _sum(parts, weights))


class Inverse(StreamStage):
    """From features back to audio, by the transform that made them."""

    accepts: ClassVar[tuple[str, ...]] = ()  # of whatever kind: the recipe decides
    cost: ClassVar[float] = 3.0

    def open(self, spec: Spec) -> Processor:
        if spec.recipe is None or not isinstance(spec.recipe, FeatureTransform):
            raise SpecMismatchError(
                f"nothing says how these features were made: {spec}.", hint="a transform before it."
            )
        if spec.recipe.inverse_kind == "none":
            raise SpecMismatchError(f"{spec.recipe.stage_name()} has no inverse.", hint="another transform.")
        return spec.recipe.inverse(spec)


def _branch(value: Any) -> Any:
    if isinstance(value, Branch):
        return value
    if isinstance(value, dict):
        return Branch(**value)
    return Branch(stages=value)


def _fork(
    combinator: Combinator,
    spec: Spec,
    opening: Opening,
    path: str,
    place: str,
    splitter: Any,
    merge: Any,
    *,
    inner: Spec | None = None,
) -> Node:
    from wavechain.nodes import Fork

    branches = [opening.series(stages, inner or spec, f"{path}.{name}.") for name, stages in combinator.chains()]
    return Fork(place, splitter, branches, merge)


def _sum(parts: list[Block], weights: Sequence[np.float32]) -> Block:
    shapes = {part.shape[:-1] for part in parts}
    if len(shapes) > 1:
        raise SpecMismatchError(
            f"its branches end with different shapes: {' and '.join(map(str, sorted(shapes)))}.",
            hint="the same channels stage at the end of each branch.",
        )
    total = parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total += part * weight
    return total


def _from_mid_side(parts: list[Block]) -> Block:
    mid, side = parts
    if mid.shape[0] != 1 or side.shape[0] != 1:
        raise SpecMismatchError(
            f"mid and side must stay one channel each; they end with {mid.shape[0]} and {side.shape[0]}."
        )
    return np.concatenate([mid + side, mid - side])


class _Same:
    def __init__(self, count: int) -> None:
        self._count = count

    def push(self, block: Block) -> Sequence[Block]:
        return [block] * self._count

    def finish(self) -> Sequence[Block]:
        return []


class _ToMidSide:
    def push(self, block: Block) -> Sequence[Block]:
        half = np.float32(0.5)
        return [(block[:1] + block[1:]) * half, (block[:1] - block[1:]) * half]

    def finish(self) -> Sequence[Block]:
        return []


class _ByBand:
    def __init__(self, crossover: Any) -> None:
        self._crossover = crossover

    def push(self, block: Block) -> Sequence[Block]:
        return list(self._crossover.process(block))

    def finish(self) -> Sequence[Block]:
        return list(self._crossover.flush())
