"""Log-mel spectrogram: the level of each mel band, as networks and eyes like it.

Conventions
    ``(channels, n_mels, hops)``. The level is 10 log10 of a power and 20 log10 of a magnitude; `log` turns it into the
    natural or decadic logarithm of the value itself, as many networks want it. Below `floor_db` everything is the
    floor: 1e-10 as a power and 1e-5 as a magnitude, unless told otherwise. Nothing is relative to the loudest column:
    a stream has not heard it yet (librosa's ``top_db`` is what that leaves out).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from wavechain.params import param
from wavechain.stages import Rows
from wavechain.stream import Block, Spec
from wavechain_transforms.mel_bands import MelBands


class LogMel(MelBands):
    log: Literal["db", "ln", "log10"] = param(
        "db", help="Decibels, or the plain logarithm of each band, to base e or 10."
    )
    floor_db: float = param(-100.0, unit="dB", ge=-300, le=100, help="What is softer counts as this level.")

    _kind: ClassVar[str] = "log_mel"

    def rows(self, spec: Spec) -> Rows:
        """Bands, by their centres."""
        return Rows(hz=self.centres_hz(spec), unit="dB" if self.log == "db" else self.log)

    def from_bands(self, bands: Block) -> Block:
        levels: Block = np.log10(np.maximum(bands, np.float32(10 ** (self.floor_db / self._db))))
        return levels * self._units

    def to_bands(self, features: Block) -> Block:
        bands: Block = np.float32(10) ** (features / self._units)
        return bands - np.float32(10 ** (self.floor_db / self._db))

    @property
    def _db(self) -> int:
        """Decibels in a factor of ten."""
        return 10 if self.spectrum == "power" else 20

    @property
    def _units(self) -> np.float32:
        """What a factor of ten adds to a feature."""
        return np.float32({"db": self._db, "ln": np.log(10), "log10": 1}[self.log])
