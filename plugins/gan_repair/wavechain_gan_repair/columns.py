"""Columns of spectra out of a stream and back: the Fourier transforms around the network, in fixed stretches.

Conventions: column k is centred on frame k * hop_length, outside the stream there are zeros; a Hann window both ways,
the overlap divided by the squared windows that met. Stretches of `hops` columns are counted from the start of the
stream, so nothing depends on the caller's blocks. Spectra are (channels, 2, hops, bins) float32 without the last bin.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wavechain.processors import Pending, pad_end
from wavechain.stream import Block, Spec


class Columns:
    """Cuts a stream into stretches of `hops` columns and the `ahead` columns after them.

    inside  how many columns of the latest stretch are centred in the stream; what comes after its end is none of it
    """

    def __init__(self, spec: Spec, n_fft: int, hop_length: int, hops: int, ahead: int) -> None:
        self.n_fft, self.hop_length, self.hops, self.ahead = n_fft, hop_length, hops, ahead
        self._window = hann(n_fft)
        self._span = (hops + ahead - 1) * hop_length + n_fft
        self._pending = Pending(spec)
        self._pending.push(spec.zeros(n_fft // 2))
        self._frames = self._columns = 0
        self.inside = hops

    def push(self, block: Block) -> Iterator[Block]:
        """The stretches that are complete with *block*."""
        self._frames += block.shape[-1]
        self._pending.push(block)
        while self._pending.steps >= self._span:
            yield self._stretch()

    def rest(self) -> Iterator[Block]:
        """The stretches that reach to the end of the stream, completed with zeros."""
        due = -(-self._frames // self.hop_length) + 1 if self._frames else 0
        while self._columns < due:
            self.inside = min(self.hops, max(1, self._frames // self.hop_length + 1 - self._columns))
            yield self._stretch()

    def _stretch(self) -> Block:
        waveform = pad_end(self._pending.peek(self._span), self._span)
        self._pending.drop(self.hops * self.hop_length)
        self._columns += self.hops
        frames = np.lib.stride_tricks.sliding_window_view(waveform, self.n_fft, axis=-1)[:, :: self.hop_length]
        spectra = np.fft.rfft(frames * self._window)[..., :-1]
        return np.stack([spectra.real, spectra.imag], axis=1, dtype=np.float32)


class Overlap:
    """Adds stretches of columns up to a stream again."""

    def __init__(self, channels: int, n_fft: int, hop_length: int, hops: int) -> None:
        self.n_fft, self.hop_length, self.hops = n_fft, hop_length, hops
        self._window = hann(n_fft)
        self._sum: Block = np.zeros(
            (channels + 1, (hops - 1) * hop_length + n_fft), np.float32
        )  # the last: squared windows
        self._skip = n_fft // 2

    def add(self, spectra: Block) -> Block:
        """The frames that no later column reaches. Shape (channels, 2, hops, bins) -> (channels, frames)."""
        whole = np.zeros((*spectra.shape[:1], *spectra.shape[2:3], self.n_fft // 2 + 1), np.complex64)
        whole[..., :-1] = spectra[:, 0] + 1j * spectra[:, 1]
        frames: Block = (np.fft.irfft(whole, self.n_fft) * self._window).astype(np.float32)
        for column in range(self.hops):
            start = column * self.hop_length
            self._sum[:-1, start : start + self.n_fft] += frames[:, column]
            self._sum[-1, start : start + self.n_fft] += self._window**2
        return self._emit(self.hops * self.hop_length)

    def rest(self) -> Block:
        return self._emit(self._sum.shape[1])

    def _emit(self, frames: int) -> Block:
        skip = min(self._skip, frames)
        done = np.divide(self._sum[:-1, skip:frames], np.maximum(self._sum[-1, skip:frames], 1e-3), dtype=np.float32)
        self._sum[:, : -frames or None] = self._sum[:, frames:].copy()
        self._sum[:, -frames:] = 0
        self._skip -= skip
        return done


def hann(size: int) -> Block:
    """One period of the window, its peak of 1 at index size / 2."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
