"""Mel-frequency cepstral coefficients: the shape of the log-mel spectrum in few numbers, the coarsest first.

Conventions
    ``(channels, n_mfcc, hops)``: the first coefficients of the orthonormal DCT-II of the mel levels in dB. That is what
    librosa does (``dct_type=2, norm="ortho"``, without its ``top_db``, which needs the loudest column of all), and
    torchaudio with ``norm="ortho"``. Coefficient 0 is the mean level times sqrt(n_mels).
    The way back fills in zeros for the coefficients that were left out, so that the levels come back smoothed over
    about n_mels / n_mfcc bands; onsets, whose spectra are then others, come back to within about half of n_fft.
Source  S. B. Davis, P. Mermelstein, "Comparison of parametric representations for monosyllabic word recognition in
        continuously spoken sentences", IEEE Trans. ASSP 28, 1980
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from wavechain.errors import ParameterError
from wavechain.params import param
from wavechain.stages import Rows
from wavechain.stream import Block, Spec
from wavechain_transforms.log_mel import LogMel


class Mfcc(LogMel):
    n_mfcc: int = param(20, ge=1, le=1024, help="How many coefficients; n_mels at most.")

    _kind: ClassVar[str] = "mfcc"

    @model_validator(mode="after")
    def _no_more_than_bands(self) -> Mfcc:
        if self.n_mfcc > self.n_mels:
            raise ParameterError(
                f"mfcc: {self.n_mels} bands have no more than {self.n_mels} coefficients, not {self.n_mfcc}.",
                hint=f"n_mfcc={self.n_mels}, or n_mels={self.n_mfcc}.",
            )
        return self

    @property
    def _features(self) -> int:
        return self.n_mfcc

    def rows(self, spec: Spec) -> Rows:
        """Coefficients: no frequencies."""
        return Rows()

    def from_bands(self, bands: Block) -> Block:
        # Not a matrix product: a large one would be shared among threads, and its last bits would tell.
        coefficients: Block = np.einsum("km,mc->kc", cosines(self.n_mfcc, self.n_mels), super().from_bands(bands))
        return coefficients

    def to_bands(self, features: Block) -> Block:
        return super().to_bands(np.einsum("km,nkc->nmc", cosines(self.n_mfcc, self.n_mels), features))


@lru_cache(maxsize=16)
def cosines(n_mfcc: int, n_mels: int) -> NDArray[np.float32]:
    """The first rows of the orthonormal DCT-II matrix. Shape (n_mfcc, n_mels)"""
    row, column = np.arange(n_mfcc)[:, np.newaxis], np.arange(n_mels)
    matrix = np.sqrt(2 / n_mels) * np.cos(np.pi / n_mels * (column + 0.5) * row)
    matrix[0] /= np.sqrt(2)
    rows: NDArray[np.float32] = matrix.astype(np.float32)
    rows.flags.writeable = False
    return rows
