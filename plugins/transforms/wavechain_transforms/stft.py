"""Short-time Fourier transform: a waveform as complex spectra, one column every `hop_length` frames, and back again.

Conventions
    Hop k is centred on frame k * hop_length: an event in the sound stands in the column of the same instant. Outside
    the signal there are zeros. A signal of L > 0 frames has ceil(L / hop_length) + 1 hops, so that its last frame lies
    between two columns; an empty one has none.
    Spectra are float32 blocks ``(channels, 2, bins, hops)``, real and imaginary parts, bins = n_fft / 2 + 1. They are
    not scaled: a sine of amplitude a reads a * sum(window) / 2 in its bin.
    The inverse is weighted overlap-add: each column is transformed back, weighted with the same window, added to its
    neighbours, and the sum divided by the squared windows that met there (D. W. Griffin, J. S. Lim, "Signal estimation
    from modified short-time Fourier transform", IEEE Trans. ASSP 32, 1984, equation 6). That is the least-squares
    answer to a changed spectrum and, on an unchanged one, the signal itself but for float32 rounding: what differs is
    more than 120 dB below the signal's peak.

Why hop_length may not exceed n_fft / 2: up to there, every frame lies within n_fft / 4 of a column's centre, where
all windows offered here are above a third of their peak, so the division never magnifies rounding by more than
10 dB. Beyond, frames between two columns fade towards weights of zero, and at n_fft they are lost.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.params import param
from wavechain.processors import Pending, Processor, join, pad_end
from wavechain.stages import FeatureTransform
from wavechain.stream import Block, Spec

WindowName = Literal["hann", "hamming", "blackman", "sine", "rectangular"]

# Samples that one batch of columns puts through the FFT, into buffers made once: 32 columns at n_fft 2048. Batches are
# counted from the start of the stream, so that results do not depend on the caller's blocks.
BATCH_SAMPLES = 65_536


class Stft(FeatureTransform):
    n_fft: int = param(
        2048,
        unit="frames",
        ge=16,
        le=65_536,
        help="Frames a column looks at: more tell close pitches apart, fewer close events.",
    )
    hop_length: int = param(
        512, unit="frames", ge=1, le=32_768, help="Frames from one column to the next; half of n_fft at most."
    )
    window: WindowName = param("hann", help="How a column weighs its frames, from its centre outwards.")

    inverse_kind: ClassVar[Literal["exact", "approximate", "learned", "none"]] = "exact"
    cost: ClassVar[float] = 5.0

    @model_validator(mode="after")
    def _columns_overlap(self) -> Stft:
        if self.n_fft % 2:
            raise ParameterError(f"stft: n_fft = {self.n_fft} has no centre frame.", hint=f"n_fft={self.n_fft + 1}.")
        if self.hop_length > self.n_fft // 2:
            raise ParameterError(
                f"stft: hop_length = {self.hop_length} leaves gaps between columns of n_fft = {self.n_fft}.",
                hint=f"hop_length={self.n_fft // 4}, or at most n_fft / 2 = {self.n_fft // 2}.",
            )
        return self

    @property
    def bins(self) -> int:
        return self.n_fft // 2 + 1

    def hops(self, frames: int) -> int:
        """Columns of a signal of *frames* frames."""
        return -(-frames // self.hop_length) + 1 if frames else 0

    def open(self, spec: Spec) -> Processor:
        if spec.kind != "audio":
            raise SpecMismatchError(f"stft takes audio; the stream is {spec}.", hint="stft on the sound itself.")
        return _Forward(self, spec)

    def inverse(self, spec: Spec) -> Processor:
        """From spectra of *spec* back to audio.

        The length is that of the audio the spectra were made from. Where that is unknown, or a stage in between
        changed the number of hops, it is (hops - 1) * hop_length: the signal and up to hop_length - 1 frames of the
        zeros after it.
        """
        shape, rate = (2, self.bins), None if spec.source is None else spec.source.rate / self.hop_length
        if spec.kind != "stft" or spec.shape[1:] != shape or spec.rate != rate:
            raise SpecMismatchError(
                f"stft of n_fft = {self.n_fft}, hop_length = {self.hop_length} cannot turn {spec} back into audio.",
                hint="stages between stft and its inverse that keep bins and hops.",
            )
        return _Inverse(self, spec)


class _Forward(Processor):
    def __init__(self, stage: Stft, spec: Spec) -> None:
        hops = None if spec.length is None else stage.hops(spec.length)
        shape = (spec.channels, 2, stage.bins)
        super().__init__(Spec("stft", spec.rate / stage.hop_length, shape, hops, recipe=stage, source=spec))
        self._stage = stage
        # With its default norm, rfft computes float32 input in float64 and copies it there and back, at twice the cost
        # and with a fresh allocation each time; norm="forward" stays in float32. The window takes its 1 / n_fft back.
        self._window = (window(stage.window, stage.n_fft) * stage.n_fft).astype(np.float32)
        self._columns = batch_columns(stage.n_fft)
        self._weighted = np.empty((self._columns, stage.n_fft), np.float32)
        self._spectra = np.empty((self._columns, stage.bins), np.complex64)
        self._span = (self._columns - 1) * stage.hop_length + stage.n_fft
        self._pending = Pending(spec)
        self._pending.push(spec.zeros(stage.n_fft // 2))
        self._frames = self._hops = 0

    def process(self, block: Block) -> Block:
        self._frames += block.shape[-1]
        self._pending.push(block)
        done = []
        while self._pending.steps >= self._span:
            done.append(self._batch())
        return join(done, self.spec)

    def flush(self) -> Block:
        done, hops = [], self._stage.hops(self._frames)
        while self._hops < hops:
            left = hops - self._hops
            done.append(self._batch()[..., :left])
        return join(done, self.spec)

    def _batch(self) -> Block:
        waveform = pad_end(self._pending.peek(self._span), self._span)
        self._pending.drop(self._columns * self._stage.hop_length)
        self._hops += self._columns
        spectra = np.empty((*self.spec.shape, self._columns), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(waveform, self._stage.n_fft, axis=-1)
        for frames, spectrum in zip(windows[:, :: self._stage.hop_length], spectra, strict=True):
            np.multiply(frames, self._window, out=self._weighted)
            np.fft.rfft(self._weighted, norm="forward", out=self._spectra)  # type: ignore[arg-type]  # stub: complex128
            spectrum[0], spectrum[1] = self._spectra.real.T, self._spectra.imag.T
        return spectra


class _Inverse(Processor):
    def __init__(self, stage: Stft, spec: Spec) -> None:
        assert spec.source is not None
        super().__init__(spec.source.with_channels(spec.channels).with_length(_frames(stage, spec)))
        self._stage = stage
        self._pending = Pending(spec)
        self._columns = batch_columns(stage.n_fft)
        weights = window(stage.window, stage.n_fft)
        self._window = weights.astype(np.float32)
        self._spectra = np.empty((self._columns, stage.bins), np.complex64)
        # Each column is a row of whole hops (…, columns, row, hop_length), so that all columns are added at once, place
        # by place. The last channel of both arrays is not sound: it adds up the squared windows in step with it.
        row = -(-stage.n_fft // stage.hop_length)
        self._rows = np.zeros((spec.channels + 1, self._columns, row, stage.hop_length), np.float32)
        self._frames = self._rows.reshape(spec.channels + 1, self._columns, -1)[..., : stage.n_fft]
        self._frames[-1] = weights**2
        self._sum = np.zeros((spec.channels + 1, (self._columns - 1 + row) * stage.hop_length), np.float32)
        self._skip = stage.n_fft // 2
        self._hops = self._done = 0

    def process(self, block: Block) -> Block:
        return join(
            [self._batch(chunk, self._columns) for chunk in self._pending.chunks(block, self._columns)], self.spec
        )

    def flush(self) -> Block:
        rest = self._pending.take()
        hops = rest.shape[-1]
        done = [self._batch(pad_end(rest, self._columns), hops)] if hops else []
        if self._hops:
            whole = (self._hops - 1) * self._stage.hop_length
            length = whole if self.spec.length is None else min(whole, self.spec.length)
            done.append(self._emit(max(0, self._skip + length - self._done)))
        return join(done, self.spec)

    def _batch(self, spectra: Block, hops: int) -> Block:
        """Add the first *hops* of a batch of columns, and give out the frames that no later column reaches."""
        for spectrum, frames in zip(spectra, self._frames, strict=False):
            self._spectra.real, self._spectra.imag = spectrum[0].T, spectrum[1].T
            np.fft.irfft(self._spectra, self._stage.n_fft, out=frames)
            frames *= self._window
        lines = self._sum.reshape(len(self._sum), -1, self._stage.hop_length)
        for place in range(self._rows.shape[2]):
            lines[:, place : place + hops] += self._rows[:, :hops, place]
        self._hops += hops
        return self._emit(hops * self._stage.hop_length)

    def _emit(self, frames: int) -> Block:
        """The next *frames* frames, less those before the signal starts and after its length; the sum moves up."""
        skip = min(frames, self._skip)
        keep = frames if self.spec.length is None else min(frames, skip + self.spec.length - self._done)
        waveform = self._sum[:-1, skip:keep] / self._sum[-1, skip:keep]
        self._sum[:, : -frames or None] = self._sum[:, frames:].copy()
        if frames:
            self._sum[:, -frames:] = 0
        self._skip -= skip
        self._done += waveform.shape[-1]
        return waveform


def _frames(stage: Stft, spec: Spec) -> int | None:
    source = spec.source
    if source is not None and source.length is not None and spec.length == stage.hops(source.length):
        return source.length
    return None if spec.length is None else max(0, spec.length - 1) * stage.hop_length


def batch_columns(n_fft: int) -> int:
    """Columns of one batch: a power of two for the usual sizes, 1 for the largest."""
    return max(1, BATCH_SAMPLES // n_fft)


def window(name: WindowName, size: int) -> NDArray[np.float64]:
    """One period of a window, its peak of 1 at index size / 2.

    Source  F. J. Harris, "On the use of windows for harmonic analysis with the DFT", Proc. IEEE 66, 1978
    """
    turn = 2 * np.pi * np.arange(size) / size
    if name == "sine":
        return np.sin(turn / 2)
    cosines = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08), "rectangular": (1.0,)}
    return np.asarray(sum((-1) ** n * weight * np.cos(n * turn) for n, weight in enumerate(cosines[name])))
