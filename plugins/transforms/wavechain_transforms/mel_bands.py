"""Mel bands: spectra summed into bands that are as wide as the ear's, and spectra that have given bands.

Conventions
    A band is a triangle over frequency in Hz: it rises from the centre of the band below to its own, and falls to the
    centre of the band above. Centres lie evenly on the mel scale between `low_hz` and `high_hz`.
    scale  ``slaney``: linear to 1000 Hz, logarithmic above, 27 bands to a factor of 6.4 (M. Slaney, "Auditory Toolbox",
           1998; what librosa does unless told otherwise); ``htk``: 2595 log10(1 + f / 700) (S. Young et al., "The HTK
           Book"; what torchaudio does unless told otherwise)
    norm   ``slaney``: every triangle has the same area, 1 Hz high and wide; ``none``: every triangle has a peak of 1
    Spectra are not scaled, so that the numbers are those of librosa and torchaudio with zeros around the signal
    (``pad_mode="constant"``).

The way back is a guess, twice: many spectra have the same bands, and no band knows of phases. Of the spectra, one
is found that has no negative power (`from_bands`); phases come from `wavechain_transforms.phases`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from wavechain.errors import SpecMismatchError
from wavechain.params import param
from wavechain.processors import Processor
from wavechain.stages import FeatureTransform, Rows
from wavechain.stream import Block, Spec
from wavechain_transforms.framing import Columns, WindowName, audio_spec, features_spec, refuse_gaps, window
from wavechain_transforms.phases import FromMagnitudes

Scale = Literal["slaney", "htk"]

UPDATES = 40
_TINY = np.float32(1e-30)


class MelBands(FeatureTransform):
    """What `mel`, `log-mel` and `mfcc` share: their bands, and the way from bands back to sound."""

    n_mels: int = param(80, ge=1, le=1024, help="How many bands.")
    n_fft: int = param(
        2048, unit="frames", ge=16, le=65_536, help="Frames a column looks at: low bands need many to be told apart."
    )
    hop_length: int = param(
        512, unit="frames", ge=1, le=32_768, help="Frames from one column to the next; half of n_fft at most."
    )
    window: WindowName = param("hann", help="How a column weighs its frames, from its centre outwards.")
    low_hz: float = param(0.0, unit="Hz", ge=0, le=384_000, help="Where the lowest band begins.")
    high_hz: float | None = param(
        None, unit="Hz", gt=0, le=384_000, help="Where the highest band ends; half the sample rate unless given."
    )
    spectrum: Literal["power", "magnitude"] = param("power", help="What is summed in a band.")
    scale: Scale = param("slaney", help="Where the bands lie: as in librosa (slaney), or as in HTK and torchaudio.")
    norm: Literal["slaney", "none"] = param("slaney", help="Bands of equal area (slaney), or of equal height (none).")

    inverse_kind: ClassVar[Literal["exact", "approximate", "learned", "none"]] = "approximate"
    cost: ClassVar[float] = 8.0

    @model_validator(mode="after")
    def _columns_overlap(self) -> MelBands:
        refuse_gaps(self.stage_name(), self.n_fft, self.hop_length)
        return self

    def filters(self, source: Spec) -> NDArray[np.float32]:
        """The weight of each bin in each band, for audio of *source*. Shape (n_mels, bins)

        Raises  SpecMismatchError when bands lie beyond half the sample rate, or between two bins
        """
        nyquist = float(source.rate) / 2
        high_hz = nyquist if self.high_hz is None else self.high_hz
        name = self.stage_name()
        if high_hz > nyquist or self.low_hz >= high_hz:
            raise SpecMismatchError(
                f"{name}: bands from {self.low_hz:g} Hz to {high_hz:g} Hz do not fit {source}.",
                hint=f"low_hz below high_hz, and high_hz up to {nyquist:g}.",
            )
        edges = band_edges(self.n_mels, self.low_hz, high_hz, self.scale)
        weights = triangles(edges, self.n_fft, nyquist)
        deaf = int((weights.max(axis=1) <= 0).sum())
        if deaf:
            raise SpecMismatchError(
                f"{name}: {deaf} of {self.n_mels} bands lie between two bins of n_fft = {self.n_fft} "
                f"({2 * nyquist / self.n_fft:.1f} Hz apart) and would hear nothing of {source}.",
                hint=f"n_fft={2 * self.n_fft}, or fewer bands.",
            )
        if self.norm == "slaney":
            weights *= 2 / (edges[2:] - edges[:-2])[:, np.newaxis]
        return weights.astype(np.float32)

    def centres_hz(self, source: Spec) -> tuple[float, ...]:
        high_hz = float(source.rate) / 2 if self.high_hz is None else self.high_hz
        return tuple(band_edges(self.n_mels, self.low_hz, high_hz, self.scale)[1:-1])

    def rows(self, spec: Spec) -> Rows:
        """Bands, by their centres."""
        return Rows(hz=self.centres_hz(spec), scale="power" if self.spectrum == "power" else "amplitude")

    # -- what a subclass says: what it makes of bands, and what bands it takes its features for

    _kind: ClassVar[str]

    @property
    def _features(self) -> int:
        return self.n_mels

    def from_bands(self, bands: Block) -> Block:
        """Features of bands. Shape (n_mels, columns) -> (features, columns)"""
        return bands

    def to_bands(self, features: Block) -> Block:
        """Shape (channels, features, columns) -> (channels, n_mels, columns)"""
        return features

    def open(self, spec: Spec) -> Processor:
        return _Forward(self, spec)

    def inverse(self, spec: Spec) -> Processor:
        """From features back to audio. Raises SpecMismatchError for what this transform did not make."""
        audio = audio_spec(self, self._kind, spec, (self._features,), self.hop_length)
        spread = _Spread(self.filters(audio), self.spectrum == "power")
        return FromMagnitudes(
            audio,
            spec,
            lambda features: spread(self.to_bands(features)),
            window(self.window, self.n_fft),
            self.hop_length,
        )


class _Forward(Columns):
    def __init__(self, stage: MelBands, source: Spec) -> None:
        spec = features_spec(stage, stage._kind, source, (stage._features,), stage.hop_length)
        super().__init__(spec, source, window(stage.window, stage.n_fft), stage.hop_length)
        self._stage = stage
        self._bands = Triangles(stage.filters(source))

    def describe(self, spectra: NDArray[np.complex64], features: Block) -> None:
        strength = np.square(spectra.real) + np.square(spectra.imag)
        if self._stage.spectrum == "magnitude":
            strength = np.sqrt(strength)
        features[...] = self._stage.from_bands(self._bands.gather(np.ascontiguousarray(strength.T)))


class Triangles:
    """Products with a matrix of triangles (bands, bins) and with its transpose.

    Between two edges lie the falling side of one band and the rising side of the next, so that every bin counts twice
    at most. Sums and products in a fixed order: a matrix product of this size would be shared among threads, and its
    last bits would tell how many there were.
    """

    def __init__(self, weights: NDArray[np.float32]) -> None:
        bands, self._bins = weights.shape
        bins, there = np.arange(self._bins), weights > 0
        # The band that rises in each bin, or the only one there; the one below it falls.
        highest = np.where(there.any(axis=0), bands - 1 - there[::-1].argmax(axis=0), 0)
        self._band = np.maximum.accumulate(highest)
        framed = np.pad(weights, ((1, 0), (0, 0)))
        self._falling = np.ascontiguousarray(framed[self._band, bins][:, np.newaxis])
        self._rising = np.ascontiguousarray(framed[self._band + 1, bins][:, np.newaxis])
        starts = np.searchsorted(self._band, np.arange(bands))
        self._empty = np.diff(starts, append=self._bins)[:, np.newaxis] <= 0
        self._starts = np.minimum(starts, self._bins - 1)

    def gather(self, spectra: Block) -> Block:
        """The bands of spectra. Shape (…, bins, columns) -> (…, bands, columns)"""
        bands, falling = (
            np.where(self._empty, np.float32(0), np.add.reduceat(spectra * side, self._starts, axis=-2))
            for side in (self._rising, self._falling)
        )
        bands[..., :-1, :] += falling[..., 1:, :]
        return bands

    def scatter(self, bands: Block) -> Block:
        """The transpose. Shape (…, bands, columns) -> (…, bins, columns)"""
        spectra: Block = self._rising * bands[..., self._band, :]
        spectra += self._falling * bands[..., np.maximum(self._band - 1, 0), :]
        return spectra


class _Spread:
    """Spectra that have given bands and nothing negative, by multiplicative updates from a smooth start.

    Shape   (channels, n_mels, columns) -> (channels, bins, columns), magnitudes
    Source  D. D. Lee, H. S. Seung, "Algorithms for non-negative matrix factorization", NIPS 13, 2000, equation 4
    """

    def __init__(self, filters: NDArray[np.float32], power: bool) -> None:
        self._triangles, self._power = Triangles(filters), power
        start = self._triangles.scatter(filters.sum(axis=1, keepdims=True, dtype=np.float32))
        self._start = np.maximum(start, _TINY)

    def __call__(self, bands: Block) -> Block:
        wanted = self._triangles.scatter(np.maximum(bands, 0))
        spectra: Block = np.divide(wanted, self._start, dtype=np.float32)
        for _ in range(UPDATES):
            spectra *= wanted / np.maximum(self._triangles.scatter(self._triangles.gather(spectra)), _TINY)
        return np.sqrt(spectra, out=spectra) if self._power else spectra


def band_edges(n_mels: int, low_hz: float, high_hz: float, scale: Scale) -> NDArray[np.float64]:
    """Where bands begin, peak and end: band k at k, k + 1 and k + 2. Shape (n_mels + 2,)"""
    low, high = hz_to_mel(np.array([low_hz, high_hz]), scale)
    return mel_to_hz(np.linspace(low, high, n_mels + 2), scale)


def triangles(edges: NDArray[np.float64], n_fft: int, nyquist_hz: float) -> NDArray[np.float64]:
    """Bands with a peak of 1. Shape (n_mels, bins)"""
    bins_hz = np.linspace(0, nyquist_hz, n_fft // 2 + 1)
    slopes = bins_hz - edges[:, np.newaxis]
    widths = np.diff(edges)[:, np.newaxis]
    return np.maximum(0, np.minimum(slopes[:-2] / widths[:-1], -slopes[2:] / widths[1:]))


def hz_to_mel(hz: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    if scale == "htk":
        return np.asarray(2595 * np.log10(1 + hz / 700))
    return np.where(hz < 1000, hz * 3 / 200, 15 + 27 * np.log(np.maximum(hz, 1000) / 1000) / np.log(6.4))


def mel_to_hz(mel: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    if scale == "htk":
        return np.asarray(700 * (10 ** (mel / 2595) - 1))
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
