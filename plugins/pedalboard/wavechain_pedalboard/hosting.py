"""What every pedalboard stage stands on: `PedalboardEffect` (the settings) and `Hosted` (the work).

Conventions
    A stage's parameters carry pedalboard's own names, so that `settings` can hand them over as they are.
    pedalboard objects see chunks of one fixed size, counted from the first frame of the stream, for four reasons:
      - an object that is given a larger chunk than ever before prepares itself anew and forgets its state;
      - a few (convolution, codecs) round differently when the signal is cut differently;
      - it takes (channels, frames) arrays with few frames for (frames, channels);
      - a chunk that is a whole block of the engine is handed over without a copy.
    With `reset=False` pedalboard drops its own latency from the start of the output. So nothing is declared here: the
    frames that are owed at the end are fetched in `flush` by feeding silence.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from pedalboard import Plugin

from wavechain import Block, Effect, Processor, Spec
from wavechain.errors import ParameterError, SpecMismatchError, StageError, TooLargeError
from wavechain.processors import Pending, join, pad_end

# pedalboard works in pieces of 8,192 frames inside; a chunk that is a multiple of it is cut exactly as a whole file is.
PIECE = 8_192
# Fewer frames than channels would be read as the other layout.
SHORTEST = 64
# An object that still owes frames after this much silence will never give them.
PATIENCE_SECONDS = 60
# Some objects count frames in 32 bits, and fall silent when the count overflows.
COUNTED_FRAMES = 2**31 - 2**18


class Hosted(Processor):
    """pedalboard objects at work on one stream, each on its own share of the channels."""

    def __init__(
        self, spec: Spec, plugins: list[Plugin], channels_each: int, *, latency: int = 0, tail: float = 0
    ) -> None:
        super().__init__(spec)
        self.latency, self.tail = latency, tail
        self._plugins = plugins
        self._each = channels_each
        self._sample_rate = float(spec.sample_rate)
        self._size = max(PIECE, spec.block_steps())
        self._pending = Pending(spec)
        self._owed = 0

    def process(self, block: Block) -> Block:
        self._owed += block.shape[-1]
        return join([self._run(chunk) for chunk in self._pending.chunks(block, self._size)], self.spec)

    def flush(self) -> Block:
        done = []
        chunk = pad_end(self._pending.take(), SHORTEST)
        silence = self.spec.zeros(PIECE)
        patience = PATIENCE_SECONDS * self._sample_rate
        while self._owed > 0:
            owed = self._owed
            done.append(self._run(chunk)[..., :owed])
            chunk = silence
            patience -= PIECE
            if patience < 0:
                raise StageError(f"pedalboard still owes {self._owed} frames after {PATIENCE_SECONDS} s of silence.")
        return join(done, self.spec)

    def _run(self, chunk: Block) -> Block:
        if len(self._plugins) == 1:
            done = self._plugins[0].process(chunk, self._sample_rate, reset=False)
        else:
            shares = [chunk[start : start + self._each] for start in range(0, chunk.shape[0], self._each)]
            done = np.concatenate(
                [
                    plugin.process(share, self._sample_rate, reset=False)
                    for plugin, share in zip(self._plugins, shares, strict=True)
                ]
            )
        self._owed -= done.shape[-1]
        return done


class PedalboardEffect(Effect):
    """Settings of one pedalboard object.

    pedal          the class in pedalboard
    frequencies    the parameters that must lie below half the sample rate
    called         what pedalboard calls a parameter, where the name here is another
    channels_each  how many channels one object takes; more channels get more objects
    counts_frames  whether the object counts frames in 32 bits, which limits the length of a stream
    """

    pedal: ClassVar[Callable[..., Plugin]]
    frequencies: ClassVar[tuple[str, ...]] = ()
    called: ClassVar[dict[str, str]] = {}
    channels_each: ClassVar[int | None] = None
    counts_frames: ClassVar[bool] = False

    def settings(self, spec: Spec) -> dict[str, Any]:
        """The arguments for the class in pedalboard."""
        return {self.called.get(name, name): value for name, value in self.model_dump().items()}

    def tail_seconds(self, spec: Spec) -> float:
        """How long it rings on after the input ends."""
        return 0.0

    def latency(self, spec: Spec) -> int:
        """Delay in frames that pedalboard does not compensate itself."""
        return 0

    def check(self, spec: Spec) -> None:
        """Refuse a stream that the object cannot take. Raises SpecMismatchError, ParameterError or TooLargeError."""

    def open(self, spec: Spec) -> Processor:
        self._check_frequencies(spec)
        if self.counts_frames:
            self._check_length(spec)
        self.check(spec)
        each = self.channels_each or spec.channels
        settings = self.settings(spec)
        plugins = [type(self).pedal(**settings) for _ in range(0, spec.channels, each)]
        seconds = self.tail_seconds(spec)
        tail = seconds if seconds == math.inf else math.ceil(seconds * spec.sample_rate - 1e-6)
        return Hosted(spec, plugins, each, latency=self.latency(spec), tail=tail)

    def _check_frequencies(self, spec: Spec) -> None:
        for name in self.frequencies:
            value = getattr(self, name)
            if value >= spec.sample_rate / 2:
                raise ParameterError(
                    f"{name} = {value:g} Hz is not below half the sample rate of {spec.sample_rate} Hz.",
                    hint=f"below {spec.sample_rate / 2:g} Hz.",
                )

    def _check_length(self, spec: Spec) -> None:
        if spec.length is not None and spec.length > COUNTED_FRAMES:
            raise TooLargeError(
                f"takes at most {COUNTED_FRAMES / spec.sample_rate / 3600:.1f} hours of "
                f"{spec.sample_rate} Hz audio; it is given {spec.length / spec.sample_rate / 3600:.1f}.",
                hint="split the file.",
            )

    def _at_most_stereo(self, spec: Spec) -> None:
        if spec.channels > 2:
            raise SpecMismatchError(
                f"takes 1 or 2 channels; it is given {spec.channels}.",
                hint="add channels:layout=stereo before it.",
            )


def echo_seconds(period: float, feedback: float, level: float, *, longest: float) -> float:
    """How long echoes last to -60 dB.

    Units  *period* in seconds from one to the next; *level* of the first; *feedback* from each to the next
    """
    if level < 1e-3 or period <= 0:
        return 0.0
    fading = abs(feedback)
    if fading >= 1.0:
        return longest
    echoes = 1 + (math.floor(math.log(1e-3 / level) / math.log(fading)) if fading > 0 else 0)
    return min(echoes * period, max(longest, period))
