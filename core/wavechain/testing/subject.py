"""What a check is given: a stage with the signals it is tried on, a loader or writer with its files, a part."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from wavechain.audio import Audio
from wavechain.output import OutputOptions
from wavechain.stages import Loader, Model, Stage, Writer
from wavechain.stream import Block
from wavechain.testing.playing import Crashed, Played, Refused, Signal, play
from wavechain.testing.promises import BrokenPromise, NotApplicable
from wavechain.testing.signals import music, noise

SAMPLE_RATE = 48_000
SECONDS = 1.2
PART_SECONDS = 0.5
CHANNELS = (2, 1, 3, 4, 6, 8)


@cache
def some_music(sample_rate: int = SAMPLE_RATE, channels: int = 2, seconds: float = SECONDS) -> Audio:
    return music(sample_rate=sample_rate, seconds=seconds, channels=channels, seed=3)


@dataclass(eq=False)
class PartSubject:
    """Anything with settings: a part that a recipe asks for by name, a recipe, a stage."""

    stage: Stage

    @property
    def who(self) -> str:
        return repr(self.stage)

    def broken(self, promise: str, *facts: str) -> BrokenPromise:
        return BrokenPromise(promise, facts, who=self.who)


@dataclass(eq=False)
class Subject(PartSubject):
    """A stage that turns one stream into another, and what it is tried on.

    before    stages that make its input out of audio: ``[Stft()]`` for an effect on spectra
    audio     the sound it is tried on, where music of 48 kHz, in as many channels as it takes, will not do
    examples  how many random ways of cutting the input into blocks are tried
    """

    before: Sequence[Stage] = ()
    audio: Audio | None = None
    examples: int = 12
    _input: Signal | None = field(default=None, init=False)
    _crash: Crashed | None = field(default=None, init=False)
    _part: Signal | None = field(default=None, init=False)
    _plain: dict[int, Played] = field(default_factory=dict, init=False)
    plain_faults: set[str] = field(default_factory=set, init=False)

    @property
    def tolerance(self) -> float:
        return _tolerance(self.stage)

    @property
    def input(self) -> Signal:
        """The sound it is tried on. Raises BrokenPromise when it takes no channel count at all."""
        if isinstance(self.stage, Model) and not self.stage.capabilities - {"sample"}:
            raise NotApplicable("it takes no sound: its capabilities name no process, encode or decode")
        if self._input is None:
            self._input = self._found_input()
        if self._crash is not None:
            raise NotApplicable("it fails on any music, which is reported as `runs`")
        return self._input

    def runs(self) -> None:
        """Raises Crashed where the stage fails on plain music."""
        try:
            _ = self.input
        except NotApplicable:
            if self._crash is None:
                raise
            raise self._crash from None

    @property
    def other(self) -> Signal:
        """Another sound of the same spec."""
        spec = self._audio_spec
        sound = noise(sample_rate=spec[0], seconds=0.5, channels=spec[1], rms_dbfs=-12, seed=5)
        return self.signal(sound)

    @property
    def sample_rate(self) -> int:
        return self._audio_spec[0]

    @property
    def channels(self) -> int:
        return self._audio_spec[1]

    @cached_property
    def few_channels(self) -> int:
        """One, where it takes a single channel as well; for what is about time and not about channels."""
        if self.before or self.audio is not None:
            return self.channels
        try:
            self.play(self.signal(some_music(self.sample_rate, 1, 0.15)))
        except (BrokenPromise, Crashed, Refused):
            return self.channels
        return 1

    def signal(self, audio: Audio) -> Signal:
        return Signal.of(audio, self.before)

    def play(self, signal: Signal, sizes: Sequence[int] = ()) -> Played:
        return play(self.stage, signal, sizes)

    def plain(self, signal: Signal) -> Played:
        """What it makes of *signal* in one block; played once only, where that is the input or the part of it."""
        if signal is not self._input and signal is not self._part:
            return self.play(signal)
        if signal.steps not in self._plain:
            self._plain[signal.steps] = self.play(signal)
        return self._plain[signal.steps]

    @property
    def part(self) -> Signal:
        """The first `PART_SECONDS` of the input, for what needs no more; all of it where so little is refused."""
        if self._part is None:
            whole = self.input
            self._part = whole.first(math.ceil(PART_SECONDS * whole.spec.rate))
            try:
                self.plain(self._part)
            except Refused:
                self._part = whole
        return self._part

    def taken(self, signal: Signal, steps: int) -> Signal:
        """The first *steps* of *signal*, or all of it where the stage refuses so few."""
        try:
            self.play(signal.first(steps))
        except Refused:
            return signal
        return signal.first(steps)

    def steady(self, signal: Signal) -> bool:
        """Whether the stage does the same twice. Where it does not, that is what is reported, and nothing else."""
        first = self.play(signal)
        with contextlib.suppress(Refused):
            self.play(self.other.first(1000))
        return not difference(first.data, self.play(signal).data, 0, ("", ""))

    @property
    def _audio_spec(self) -> tuple[int, int]:
        first = self.input.spec if self.input.spec.source is None else self.input.spec.source
        return (first.sample_rate, first.channels)

    def _found_input(self) -> Signal:
        if self.audio is not None:
            return self.signal(self.audio)
        refusal: Refused | None = None
        for channels in CHANNELS:
            signal = self.signal(some_music(channels=channels))
            try:
                self._plain = {signal.steps: self.play(signal)}
            except Refused as error:
                refusal = refusal or error
                continue
            except Crashed as crash:
                self._crash = crash
            except BrokenPromise as broken:
                self.plain_faults.add(broken.promise)
            return signal
        raise self.broken("channel-counts", f"It takes none of {CHANNELS} channels at {SAMPLE_RATE} Hz.", f"{refusal}")


def _tolerance(stage: Stage) -> float:
    inside = getattr(stage, "chains", None)
    if callable(inside):
        return max((_tolerance(each) for _, stages in inside() for each in stages), default=0.0)
    return float(getattr(stage, "tolerance", 0.0))


@dataclass(eq=False)
class FileSubject(PartSubject):
    """A loader, and how to make files for it.

    make_file  writes the sound into a folder in the format of the loader, and returns what the loader is to open
    tolerance  by how much a sample may differ after the way into the file and back
    """

    stage: Loader
    make_file: Callable[[Path, Audio], Path]
    folder: Path
    tolerance: float = 2.0**-15
    examples: int = 12


@dataclass(eq=False)
class WriterSubject(PartSubject):
    """A writer, and how its files are read back.

    suffix     of the files it is to write, ``.wav``
    read_back  reads a finished file
    tolerance  by how much a sample of a lossless format may differ after the way into the file and back
    """

    stage: Writer
    suffix: str
    folder: Path
    output: OutputOptions = field(default_factory=OutputOptions)
    read_back: Callable[[Path], Audio] = Audio.read
    tolerance: float = 2.0**-15
    examples: int = 8


def difference(expected: Block, found: Block, tolerance: float, names: tuple[str, str]) -> str:
    """Where two outputs first differ, as one sentence; nothing when they do not."""
    if expected.shape != found.shape:
        return f"Output: {expected.shape[-1]} steps {names[0]}, {found.shape[-1]} {names[1]}."
    # "not within" rather than "beyond", so that a NaN is a difference
    off = ~(np.abs(expected - found) <= tolerance) if tolerance else expected != found
    if not off.any():
        return ""
    step = int(np.argmax(off.any(axis=tuple(range(off.ndim - 1)))))
    place = (*np.argwhere(off[..., step])[0], step)
    allowed = f" (tolerance {tolerance:g})" if tolerance else ""
    return (
        f"Output step {step}, channel {place[0]}: {expected[place]:.9g} {names[0]}, "
        f"{found[place]:.9g} {names[1]}{allowed}; {np.count_nonzero(off)} of {off.size} values differ."
    )
