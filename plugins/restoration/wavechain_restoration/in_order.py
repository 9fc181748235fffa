"""Repair in order: each stretch of the stream is mended once, next to what was mended before it.

A fault that begins in the stretch at hand is settled there and then, also where it reaches into what follows: no fault
is judged twice, and none is cut in two. What lies to the left has been repaired, what lies to the right is as it came.

Conventions: channels are handled one by one, in float64, so that each comes out as it would alone; samples that no
repair touches pass through bit for bit. Outside the stream there are zeros.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from wavechain import Block, Processor, Spec
from wavechain.processors import Pending, join, pad_end

Signal = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class InOrder(Processor):
    """Subclass it and write `mend`.

    left   frames of repaired context
    core   frames that one step settles; counted from the start of the stream, so blocks do not matter
    right  frames of context still to come
    """

    def __init__(self, spec: Spec, left: int, core: int, right: int) -> None:
        super().__init__(spec)
        self.left, self.core, self.right = left, core, right
        self._pending = Pending(spec)
        self._pending.push(spec.zeros(left))
        self._due = 0

    @abstractmethod
    def mend(self, window: Signal, channel: int, frames: int) -> Mask | None:
        """Repair one channel, editing *window* from frame `left` on; answer which frames were changed, if any.

        Shape   (left + core + right,)
        frames  how many of the core lie in the stream: fewer than `core` at its end only
        """

    def process(self, block: Block) -> Block:
        self._due += block.shape[-1]
        self._pending.push(block)
        done = []
        while self._pending.steps >= self.left + self.core + self.right:
            done.append(self._advance())
        return join(done, self.spec)

    def flush(self) -> Block:
        done = []
        while self._due > 0:
            done.append(self._advance())
        return join(done, self.spec)

    def _advance(self) -> Block:
        size, frames = self.left + self.core + self.right, min(self.core, self._due)
        held = self._pending.steps
        window = pad_end(self._pending.peek(size), size)
        for channel in range(self.spec.channels):
            signal = window[channel].astype(np.float64)
            changed = self.mend(signal, channel, frames)
            if changed is None or not changed.any():
                continue
            if not window.flags.owndata or not window.flags.writeable:
                window = window.copy()
            window[channel, changed] = signal[changed]
        rest = self._pending.take()[..., size:]
        self._pending.push(window[..., self.core : min(size, held)])
        self._pending.push(rest)
        self._due -= frames
        return np.ascontiguousarray(window[..., self.left : self.left + frames])
