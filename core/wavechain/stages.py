"""The stage interfaces. A stage is an immutable settings object; `open` gives a fresh worker for one stream.

    Stage
    ├── Loader             opens a file: `open(path) -> Source`
    ├── Chainable          what can stand in a chain: these, and the combinators of `wavechain.combinators`
    │   └── StreamStage        turns one stream into another: `open(spec) -> Processor`
    │       ├── Effect             audio to audio (or features to features of the same kind)
    │       │   ├── MeasuredEffect     looks at everything first, then applies: loudness, peak, trim
    │       │   └── WholeEffect        needs the whole signal at once
    │       ├── FeatureTransform   audio to features, with an `inverse` where there is one
    │       └── Model              a trained network
    ├── Trainer            a recipe and data into weights
    └── Writer             the last mile: `open(path, spec, encoding) -> Sink`

A stage in ten lines:

    class Gain(Effect):
        gain_db: float = param(0.0, unit="dB", ge=-120, le=60, help="How much louder (+) or quieter (-).")

        def open(self, spec: Spec) -> Processor:
            factor = np.float32(10 ** (self.gain_db / 20))
            return pointwise(spec, lambda block: block * factor)
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from wavechain.errors import UsageError
from wavechain.params import parameter_error
from wavechain.processors import Processor, Whole
from wavechain.stream import Block, Spec

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from wavechain.audio import Audio, Media
    from wavechain.chain import Chain
    from wavechain.output import OutputOptions


class Stage(BaseModel):
    """Settings of one stage: frozen, compared by value, picklable; unknown and out-of-range parameters are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)

    if not TYPE_CHECKING:

        def __init__(self, *args: Any, **data: Any) -> None:
            if args:
                raise UsageError(f"{self.stage_name()} takes its parameters by name.", hint="Gain(gain_db=3).")
            try:
                super().__init__(**data)
            except ValidationError as error:
                raise parameter_error(type(self), self.stage_name(), error) from None

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """pydantic takes true for 1.0; a person who wrote it meant something else."""
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation in (int, float):
            raise ValueError("true and false are not numbers")
        return value

    @classmethod
    def stage_name(cls) -> str:
        """The short name as in chain files: ``HighShelf`` is ``high-shelf``, unless a plugin registered another."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()


class Chainable(Stage):
    """A stage that can stand in a chain."""

    def __or__(self, other: Chainable | Chain) -> Chain:
        from wavechain.chain import Chain

        return Chain([self]) | other

    def __call__(self, audio: Audio) -> Audio:
        """Run this one stage on a signal in memory."""
        from wavechain.chain import Chain

        return Chain([self])(audio)


class StreamStage(Chainable, ABC):
    """A stage that turns one stream into another.

    accepts        kinds of stream it takes; none: any, and `open` refuses what it cannot take
    keeps_samples  True when every output sample is an input sample or zero (trim, pad, channel choice): no dither is
                   then needed on the way out
    cost           CPU-seconds per hour of 44.1 kHz stereo, roughly; decides whether to repeat a stage or to spool
    tolerance      0 when streamed output equals whole output bit for bit; otherwise the largest difference allowed
    """

    accepts: ClassVar[tuple[str, ...]] = ("audio",)
    keeps_samples: ClassVar[bool] = False
    cost: ClassVar[float] = 5.0
    tolerance: ClassVar[float] = 0.0

    @abstractmethod
    def open(self, spec: Spec) -> Processor:
        """A fresh processor for a stream of *spec*. Raises SpecMismatchError for a stream it cannot take."""

    def out_spec(self, spec: Spec) -> Spec:
        """What comes out for *spec*, known before anything runs."""
        return self.open(spec).spec


class Effect(StreamStage):
    """Audio to audio."""


class Analysis(ABC):
    """What a measured effect does with the stream while it only listens."""

    @abstractmethod
    def feed(self, block: Block) -> None: ...

    @abstractmethod
    def result(self) -> Any:
        """What was found. Called once, after the last block."""


class MeasuredEffect(Effect):
    """Measures the whole stream first, then applies.

    The core calls `analyse` with the results so far, runs the stream through the analysis it returns, and asks again,
    until `analyse` answers None; then it calls `open_measured` with all results. Most effects need one pass.
    """

    @abstractmethod
    def analyse(self, spec: Spec, results: Sequence[Any]) -> Analysis | None:
        """The next analysis to run, or None when *results* suffice."""

    @abstractmethod
    def open_measured(self, spec: Spec, results: Sequence[Any]) -> Processor: ...

    def open(self, spec: Spec) -> Processor:
        raise TypeError(f"{self.stage_name()} measures before it applies: run it in a chain, or call it on an Audio")

    def out_spec(self, spec: Spec) -> Spec:
        return spec


class WholeEffect(Effect):
    """Needs the whole signal at once. Slow and heavy, never wrong; prefer another kind where one fits."""

    @abstractmethod
    def apply(self, waveform: Block, spec: Spec) -> Block:
        """Shape (channels, frames) -> (channels, frames); *waveform* is read-only and may be a memory map."""

    def open(self, spec: Spec) -> Processor:
        return Whole(self.out_spec(spec), lambda waveform: self.apply(waveform, spec), in_spec=spec)

    def out_spec(self, spec: Spec) -> Spec:
        return spec


@dataclass(frozen=True, slots=True)
class Rows:
    """What the rows of features are (their last axis but time), for pictures and files.

    hz     the frequency that each stands for; none where they are no frequencies
    scale  ``amplitude`` or ``power``, which pictures show in dB; ``as-is`` for all else
    unit   of the values, as shown to a person
    """

    hz: tuple[float, ...] = ()
    scale: Literal["amplitude", "power", "as-is"] = "as-is"
    unit: str = ""


class FeatureTransform(StreamStage):
    """Audio to features.

    inverse_kind  ``exact`` (what was not changed comes back), ``approximate``, ``learned`` or ``none``
    """

    inverse_kind: ClassVar[Literal["exact", "approximate", "learned", "none"]] = "none"

    def inverse(self, spec: Spec) -> Processor:
        """A processor from features of *spec* (made by this transform) back to audio."""
        raise NotImplementedError(f"{self.stage_name()} has no inverse")

    def rows(self, spec: Spec) -> Rows:
        """What the rows of its features are, for audio of *spec*."""
        return Rows()


class Model(StreamStage):
    """A trained network, of whatever family: the core never asks which.

    capabilities  some of ``sample``, ``process``, ``encode``, ``decode``; `open` serves the last three
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"process"})

    def sample(self, seconds: float, *, seed: int) -> Audio:
        """New sound out of nothing but a seed."""
        raise NotImplementedError(f"{self.stage_name()} cannot sample; it can {', '.join(sorted(self.capabilities))}")


class Trainer(Stage, ABC):
    """Turns its settings (the recipe) and a folder of data into a folder of weights."""

    @abstractmethod
    def train(self, data: Sequence[Path], output: Path, *, resume: bool = False) -> Path: ...


class Source(ABC):
    """An open file, read from front to back."""

    spec: Spec
    media: Media

    @abstractmethod
    def read(self, frames: int) -> Block:
        """The next *frames* frames, fewer only at the end, none after it. Shape (channels, frames), C-contiguous."""

    def close(self) -> None:  # noqa: B027 - some sources hold nothing open
        """Close the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Loader(Stage, ABC):
    """Opens files. Which suffixes it serves is said where it is registered."""

    cost: ClassVar[float] = 4.0

    @abstractmethod
    def open(self, path: Path) -> Source:
        """Raises UnreadableError, EmptyAudioError or TooLargeError, naming the file."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How an output file holds its samples.

    container, codec  for people: ``FLAC``, ``PCM_24``
    bits              integer depth: the sink is given int16 (up to 16) or left-justified int32, interleaved
                      ``(frames, channels)``; None: it is given float32 blocks ``(channels, frames)``
    clips             whether the format cannot hold samples beyond full scale
    lossy             whether what comes back may differ
    settings          whatever else the writer needs to open the file
    """

    container: str
    codec: str
    bits: int | None
    clips: bool = True
    lossy: bool = False
    settings: tuple[tuple[str, Any], ...] = ()


class Sink(ABC):
    """An open output file."""

    @abstractmethod
    def write(self, samples: Block | NDArray[np.int16] | NDArray[np.int32]) -> None:
        """Raises UnwritableError (or OSError) when it does not fit."""

    @abstractmethod
    def close(self) -> None: ...


class Writer(Stage, ABC):
    """Encodes files. Which suffixes it serves is said where it is registered.

    The core does the rest of the last mile: temporary name, dither, overs, tags, fsync, rename (`wavechain.output`).
    """

    @abstractmethod
    def encoding(self, suffix: str, spec: Spec, media: Media, wanted: OutputOptions) -> Encoding:
        """Settle format and depth before anything is written; what *wanted* leaves open follows the source (*media*).

        Raises SpecMismatchError when the format cannot hold *spec* (rate, channels), ParameterError for an option that
        the format does not have.
        """

    @abstractmethod
    def open(self, path: Path, spec: Spec, encoding: Encoding) -> Sink: ...
