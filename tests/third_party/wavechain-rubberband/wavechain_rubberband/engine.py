"""Rubber Band on one stream, fed in equal chunks.

What the library gives depends on how its input is cut: on noise, chunks of 333 and of 512 frames differ by 0.3. So it
is always given chunks of 512. It runs in its real-time mode: one pass, constant memory.

Conventions: `push` and `rest` return what the library has ready, as it comes. The image of input frame 0 is the output
frame `delay`.
"""

from __future__ import annotations

import numpy as np
from pylibrb import MAX_CHANNELS_NUM, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, Option, RubberBandStretcher

from wavechain import Block, Spec
from wavechain.errors import SpecMismatchError

CHUNK = 512


class Engine:
    """A stretcher at work.

    factor    output duration / input duration
    pitch     output frequency / input frequency
    formants  ``follow`` the pitch, or ``stay`` where they are
    """

    def __init__(self, spec: Spec, *, factor: float = 1.0, pitch: float = 1.0, formants: str = "follow") -> None:
        if not MIN_SAMPLE_RATE <= spec.sample_rate <= MAX_SAMPLE_RATE:
            raise SpecMismatchError(
                f"Rubber Band takes {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz, not {spec.sample_rate} Hz.",
                hint="resample:sample_rate=48000 before it.",
            )
        if spec.channels > MAX_CHANNELS_NUM:
            raise SpecMismatchError(
                f"Rubber Band takes up to {MAX_CHANNELS_NUM} channels, not {spec.channels}.", hint="channels before it."
            )
        envelope = Option.FORMANT_PRESERVED if formants == "stay" else Option.FORMANT_SHIFTED
        options = Option.PROCESS_REALTIME | Option.ENGINE_FINER | envelope
        self._stretcher = RubberBandStretcher(spec.sample_rate, spec.channels, options, factor, pitch)
        self._stretcher.set_max_process_size(CHUNK)
        self._silence = np.zeros((spec.channels, CHUNK), np.float32)
        self._held = self._silence[:, :0]
        self._ready: list[Block] = []
        self.delay: int = self._stretcher.get_start_delay()
        for start in range(0, padding := self._stretcher.get_preferred_start_pad(), CHUNK):
            self._feed(self._silence[:, : min(CHUNK, padding - start)])

    def push(self, block: Block) -> Block:
        held = np.concatenate([self._held, block], axis=-1)
        whole = held.shape[-1] // CHUNK * CHUNK
        for start in range(0, whole, CHUNK):
            self._feed(held[:, start : start + CHUNK])
        self._held = held[:, whole:]
        return self._taken()

    def rest(self, frames: int) -> Block:
        """The last *frames* frames: what is still inside, with silence after the input."""
        last = np.concatenate([self._held, self._silence], axis=-1)[:, :CHUNK]
        while sum(block.shape[-1] for block in self._ready) < frames:
            self._feed(last)
            last = self._silence
        return self._taken()[:, :frames]

    def _feed(self, chunk: Block) -> None:
        self._stretcher.process(np.ascontiguousarray(chunk))
        self._ready.append(self._stretcher.retrieve_available())

    def _taken(self) -> Block:
        ready, self._ready = self._ready, []
        return np.concatenate([self._silence[:, :0], *ready], axis=-1)
