"""Short-time Fourier transform: a waveform as complex spectra, one column every `hop_length` frames, and back again.

Conventions
    Columns lie and are scaled as `wavechain_transforms.framing` says. Spectra are float32 blocks
    ``(channels, 2, bins, hops)``, real and imaginary parts, bins = n_fft / 2 + 1.
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

from wavechain.params import param
from wavechain.processors import Pending, Processor, join, pad_end
from wavechain.stages import FeatureTransform, Rows
from wavechain.stream import Block, Spec
from wavechain_transforms.framing import (
    Columns,
    WindowName,
    audio_spec,
    batch_columns,
    features_spec,
    refuse_gaps,
    window,
)


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
        refuse_gaps("stft", self.n_fft, self.hop_length)
        return self

    @property
    def bins(self) -> int:
        return self.n_fft // 2 + 1

    def rows(self, spec: Spec) -> Rows:
        """Complex amplitudes in bins that are spaced evenly from 0 Hz to half the sample rate."""
        return Rows(hz=tuple(np.linspace(0, float(spec.rate) / 2, self.bins)), scale="amplitude")

    def open(self, spec: Spec) -> Processor:
        return _Forward(self, spec)

    def inverse(self, spec: Spec) -> Processor:
        """From spectra of *spec* back to audio. Raises SpecMismatchError for what this transform did not make."""
        return _Inverse(self, spec, audio_spec(self, "stft", spec, (2, self.bins), self.hop_length))


class _Forward(Columns):
    def __init__(self, stage: Stft, source: Spec) -> None:
        spec = features_spec(stage, "stft", source, (2, stage.bins), stage.hop_length)
        super().__init__(spec, source, window(stage.window, stage.n_fft), stage.hop_length)

    def describe(self, spectra: NDArray[np.complex64], features: Block) -> None:
        features[0], features[1] = spectra.real.T, spectra.imag.T


class _Inverse(Processor):
    def __init__(self, stage: Stft, spec: Spec, audio: Spec) -> None:
        super().__init__(audio)
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
