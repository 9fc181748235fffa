"""Sound for magnitudes: phases are found that let neighbouring columns agree, a column at a time, in constant memory.

Conventions
    Magnitudes are those of `wavechain_transforms.framing`, unscaled. What comes out has the magnitudes, about, and the
    timing; its waveform is another than the one they were taken from.

Griffin and Lim's iteration needs the whole signal, again and again. Here it runs on a few columns only: those before
are settled and are not touched any more, `LOOK_AHEAD` columns after the one that is being settled help it to fit what
comes, and after `ITERATIONS` rounds its phases are kept. A new column starts from the phases that those before it give
where they overlap with it.

Source  X. Zhu, G. T. Beauregard, L. L. Wyse, "Real-time signal estimation from modified short-time Fourier transform
        magnitude spectra", IEEE Trans. ASLP 15, 2007 (RTISI-LA); D. W. Griffin, J. S. Lim, IEEE Trans. ASSP 32, 1984
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wavechain.processors import Pending, Processor, join, pad_end
from wavechain.stream import Block, Spec

LOOK_AHEAD = 3
ITERATIONS = 12
# Columns whose magnitudes are found together.
BATCH = 32
_TINY = np.float32(1e-20)


class FromMagnitudes(Processor):
    """From features of *features* to audio of *spec*.

    magnitudes  what turns features into magnitudes: (channels, …, columns) -> (channels, bins, columns)
    """

    def __init__(
        self,
        spec: Spec,
        features: Spec,
        magnitudes: Callable[[Block], Block],
        weights: NDArray[np.float64],
        hop_length: int,
    ) -> None:
        super().__init__(spec)
        self._magnitudes = magnitudes
        self._pending = Pending(features)
        self._settling = _Settling(spec.channels, weights, hop_length)
        self._hop_length = hop_length
        self._skip = weights.size // 2
        self._hops = self._done = 0

    def process(self, block: Block) -> Block:
        done = []
        for chunk in self._pending.chunks(block, BATCH):
            done += self._columns(chunk, BATCH)
        return join(done, self.spec)

    def flush(self) -> Block:
        rest = self._pending.take()
        hops = rest.shape[-1]
        done = self._columns(pad_end(rest, BATCH), hops) if hops else []
        while self._settling.waiting:
            done.append(self._trimmed(self._settling.settle()))
        done.append(self._trimmed(self._settling.rest()))
        return join(done, self.spec)

    def _columns(self, chunk: Block, hops: int) -> list[Block]:
        done = []
        self._hops += hops
        for column in np.moveaxis(self._magnitudes(chunk), -1, 0)[:hops]:
            self._settling.push(column)
            if self._settling.waiting > LOOK_AHEAD:
                done.append(self._trimmed(self._settling.settle()))
        return done

    def _trimmed(self, waveform: Block) -> Block:
        """Less what lies before the start of the signal or after its end."""
        length = self.spec.length
        if length is None:
            length = max(0, self._hops - 1) * self._hop_length
        skip = min(waveform.shape[-1], self._skip)
        self._skip -= skip
        waveform = waveform[:, skip : skip + max(0, length - self._done)]
        self._done += waveform.shape[-1]
        return np.ascontiguousarray(waveform)


class _Settling:
    """The columns whose phases are being found, and the sound of the settled ones that they overlap with."""

    def __init__(self, channels: int, weights: NDArray[np.float64], hop_length: int) -> None:
        self._n_fft, self._hop_length = weights.size, hop_length
        self._window = weights.astype(np.float32)
        self._signs = np.where(np.arange(weights.size // 2 + 1) % 2, -1, 1).astype(np.float32)
        size = weights.size + LOOK_AHEAD * hop_length
        self._sound = np.zeros((channels, size), np.float32)
        self._weight = np.zeros(size, np.float32)
        self._wanted = np.empty((channels, 0, weights.size // 2 + 1), np.float32)
        self._frames = np.empty((channels, 0, weights.size), np.float32)

    @property
    def waiting(self) -> int:
        return self._wanted.shape[1]

    def push(self, magnitudes: Block) -> None:
        """One column more. Shape (channels, bins)"""
        # irfft without its factor of 1 / n_fft stays in float32: the magnitudes bring it along.
        wanted = (magnitudes / np.float32(self._n_fft))[:, np.newaxis]
        start = self.waiting * self._hop_length
        heard = self._together()[:, np.newaxis, start : start + self._n_fft]
        self._frames = np.concatenate([self._frames, self._imposed(heard, wanted)], axis=1)
        self._wanted = np.concatenate([self._wanted, wanted], axis=1)

    def settle(self) -> Block:
        """Settle the first column, and give out the sound that no later one reaches. Shape (channels, hop_length)"""
        for _ in range(ITERATIONS):
            together = self._together()
            heard = np.lib.stride_tricks.sliding_window_view(together, self._n_fft, axis=-1)
            self._frames = self._imposed(heard[:, :: self._hop_length][:, : self.waiting], self._wanted)
        self._sound[:, : self._n_fft] += self._window * self._frames[:, 0]
        self._weight[: self._n_fft] += self._window**2
        self._frames, self._wanted = self._frames[:, 1:], self._wanted[:, 1:]
        return self._emit(self._hop_length)

    def rest(self) -> Block:
        """The sound after the last column's first hop."""
        return self._emit(self._n_fft)

    def _together(self) -> Block:
        """The sound of all columns, settled and not."""
        sound, weight = self._sound.copy(), self._weight.copy()
        for number in range(self.waiting):
            place = slice(number * self._hop_length, number * self._hop_length + self._n_fft)
            sound[:, place] += self._window * self._frames[:, number]
            weight[place] += self._window**2
        together: Block = np.divide(sound, np.maximum(weight, _TINY), dtype=np.float32)
        return together

    def _imposed(self, heard: Block, wanted: Block) -> Block:
        """Frames with the phases of *heard* and the magnitudes *wanted*; in silence all begins at the centre."""
        spectra = np.fft.rfft(heard * self._window, norm="forward").astype(np.complex64)
        size = np.abs(spectra)
        phases = np.where(size > _TINY, spectra / np.maximum(size, _TINY), self._signs)
        return np.fft.irfft(phases * wanted, self._n_fft, norm="forward").astype(np.float32)

    def _emit(self, frames: int) -> Block:
        sound: Block = np.divide(self._sound[:, :frames], np.maximum(self._weight[:frames], _TINY), dtype=np.float32)
        self._sound = np.concatenate([self._sound[:, frames:], np.zeros_like(self._sound[:, :frames])], axis=1)
        self._weight = np.concatenate([self._weight[frames:], np.zeros_like(self._weight[:frames])])
        return sound
