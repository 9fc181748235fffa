"""Columns: a waveform cut into overlapping frames, each put through an FFT. What the transforms of this plugin share.

Conventions
    Hop k is centred on frame k * hop_length: an event in the sound stands in the column of the same instant. Outside
    the signal there are zeros. A signal of L > 0 frames has ceil(L / hop_length) + 1 hops, so that its last frame lies
    between two columns; an empty one has none.
    Spectra are not scaled: a sine of amplitude a reads a * sum(window) / 2 in its bin.
    Batches of columns are counted from the start of the stream and are always of one size, the last one completed with
    zeros. So no FFT and no matrix product depends on how the caller cuts the sound.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wavechain.chain import plain
from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.processors import Pending, Processor, join, pad_end
from wavechain.stages import FeatureTransform
from wavechain.stream import Block, Spec

WindowName = Literal["hann", "hamming", "blackman", "sine", "rectangular"]

# Samples that one batch of columns puts through the FFT, into buffers made once: 32 columns at n_fft 2048.
BATCH_SAMPLES = 65_536


class Columns(Processor):
    """Spectra of all columns of a stream, a batch at a time, handed to `describe` for each channel.

    spec    of the features; its length is that of `hops_of`
    source  of the audio
    """

    def __init__(
        self, spec: Spec, source: Spec, weights: NDArray[np.float64], hop_length: int, columns: int | None = None
    ) -> None:
        super().__init__(spec)
        n_fft = weights.size
        self._n_fft, self._hop_length = n_fft, hop_length
        # With its default norm, rfft computes float32 input in float64 and copies it there and back, at twice the cost
        # and with a fresh allocation each time; norm="forward" stays in float32. The window takes its 1 / n_fft back.
        self._window = (weights * n_fft).astype(np.float32)
        self._columns = columns or batch_columns(n_fft)
        self._weighted = np.empty((self._columns, n_fft), np.float32)
        self._spectra = np.empty((self._columns, n_fft // 2 + 1), np.complex64)
        self._span = (self._columns - 1) * hop_length + n_fft
        self._pending = Pending(source)
        self._pending.push(source.zeros(n_fft // 2))
        self._frames = self._hops = 0

    @abstractmethod
    def describe(self, spectra: NDArray[np.complex64], features: Block) -> None:
        """Fill *features*, one channel's, from its spectra, which the next call overwrites.

        Shape  (columns, bins) -> (…, columns)
        """

    def process(self, block: Block) -> Block:
        self._frames += block.shape[-1]
        self._pending.push(block)
        done = []
        while self._pending.steps >= self._span:
            done.append(self._batch())
        return join(done, self.spec)

    def flush(self) -> Block:
        done, hops = [], hops_of(self._frames, self._hop_length)
        while self._hops < hops:
            left = hops - self._hops
            done.append(self._batch()[..., :left])
        return join(done, self.spec)

    def _batch(self) -> Block:
        waveform = pad_end(self._pending.peek(self._span), self._span)
        self._pending.drop(self._columns * self._hop_length)
        self._hops += self._columns
        features = np.empty((*self.spec.shape, self._columns), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(waveform, self._n_fft, axis=-1)
        for frames, channel in zip(windows[:, :: self._hop_length], features, strict=True):
            np.multiply(frames, self._window, out=self._weighted)
            np.fft.rfft(self._weighted, norm="forward", out=self._spectra)  # type: ignore[arg-type]  # stub: complex128
            self.describe(self._spectra, channel)
        return features


def hops_of(frames: int, hop_length: int) -> int:
    """Columns of a signal of *frames* frames."""
    return -(-frames // hop_length) + 1 if frames else 0


def frames_of(spec: Spec, hop_length: int) -> int | None:
    """Frames of the audio that features of *spec* become: as many as it had, where that is known and the hops fit."""
    source = spec.source
    if source is not None and source.length is not None and spec.length == hops_of(source.length, hop_length):
        return source.length
    return None if spec.length is None else max(0, spec.length - 1) * hop_length


def features_spec(recipe: FeatureTransform, kind: str, source: Spec, rows: tuple[int, ...], hop_length: int) -> Spec:
    """The spec of what *recipe* makes of audio. Raises SpecMismatchError for what is no audio."""
    if source.kind != "audio":
        name = recipe.stage_name()
        raise SpecMismatchError(f"{name} takes audio; the stream is {source}.", hint=f"{name} on the sound itself.")
    hops = None if source.length is None else hops_of(source.length, hop_length)
    shape = (source.channels, *rows)
    return Spec(kind, source.rate / hop_length, shape, hops, recipe=recipe, source=source)


def audio_spec(recipe: FeatureTransform, kind: str, spec: Spec, rows: tuple[int, ...], hop_length: int) -> Spec:
    """The spec of the audio that the inverse of *recipe* makes of features.

    The length is that of the audio they were made from. Where that is unknown, or a stage in between changed the
    number of hops, it is (hops - 1) * hop_length: the signal and up to hop_length - 1 frames of what follows it.

    Raises  SpecMismatchError for features that *recipe* did not make, or that no longer have its shape
    """
    source = spec.source
    fits = spec.kind == kind and spec.shape[1:] == rows
    if not fits or source is None or spec.rate != source.rate / hop_length or spec.recipe not in (None, recipe):
        made = "" if spec.recipe is None else f", made by {settings(spec.recipe, recipe)},"
        raise SpecMismatchError(
            f"{settings(recipe, spec.recipe)} cannot turn {spec}{made} back into audio.",
            hint=f"inverse instead, and between {recipe.stage_name()} and it only stages that keep rows and hops.",
        )
    return source.with_channels(spec.channels).with_length(frames_of(spec, hop_length))


def settings(stage: FeatureTransform, other: FeatureTransform | None) -> str:
    """A stage as people write it, with what tells it from *other*: ``mel:n_mels=40``."""
    said = plain(stage)
    if isinstance(other, type(stage)):
        mine, theirs = stage.model_dump(), other.model_dump()
        said = {key: value for key, value in mine.items() if key in said or value != theirs[key]}
    values = ",".join(f"{key}={value}" for key, value in said.items())
    return f"{stage.stage_name()}:{values}" if values else stage.stage_name()


def refuse_gaps(name: str, n_fft: int, hop_length: int) -> None:
    """Raises ParameterError unless columns have a centre and overlap by half at least."""
    if n_fft % 2:
        raise ParameterError(f"{name}: n_fft = {n_fft} has no centre frame.", hint=f"n_fft={n_fft + 1}.")
    if hop_length > n_fft // 2:
        raise ParameterError(
            f"{name}: hop_length = {hop_length} leaves gaps between columns of n_fft = {n_fft}.",
            hint=f"hop_length={n_fft // 4}, or at most n_fft / 2 = {n_fft // 2}.",
        )


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
