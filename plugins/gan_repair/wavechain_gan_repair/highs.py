"""Highs that are missing, made up: copies of the bands below, as loud as the spectrum leads one to expect.

A network this small that is trained towards the truth leaves an empty band empty, since any guess of its phases is more
wrong than silence. The ear, and every measure of spectra, would rather have a plausible guess.

    cells      a dozen bins of one column; levels in dB, over all channels
    usual      how loud each cell is when it sounds: the upper quartile of a stretch, followed slowly
    expected   the same, but where `usual` falls off a cliff, the line of the two octaves below goes on
    missing    a cell far below what is expected, given how loud the column is

A missing cell gets the cell `REACH` below it, which may have been filled itself, at the level expected. Whatever is
expected, a column gets little beside what it has: the line through a drum's middle would lead to more than the drum.
Channels share decisions and gains, and each gets its own sound: the image stays.

Source       spectral band replication: M. Dietz et al., "Spectral Band Replication, a novel approach in audio coding",
             AES 112, 2002
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wavechain.stream import Block

CELL = 12  # bins; about 260 Hz
REACH = 12  # cells; about 3 kHz
LOWEST_HZ, FILLED_FROM_HZ = 500.0, 2_000.0
OCTAVES = 2.0  # below a cliff, whose line goes on
CLIFF_DB, HOLE_DB = 20.0, 35.0  # below the line: nothing was ever there; below the usual: a hole
STEEPEST, FLATTEST = -30.0, -6.0  # dB an octave
TOP_HZ, TOP_DB = 13_000.0, 3.0  # above, expectations fall by so much a kilohertz more: recordings seldom reach the top
SOFTER_DB = 3.0  # a guess is better a little too quiet
LOUDEST_GAIN = 10.0
LOUDEST_SHARE = 0.03  # of the power of a column, that is added to it at most
FOLLOW = 0.3  # weight of the latest stretch

Levels = NDArray[np.float64]


class Highs:
    """Of one stream. Shape (channels, 2, hops, bins) -> the same: what is to be added.

    Of the hops, the first *inside* (None: all) belong to the stream: only these say how loud its cells are.
    """

    def __init__(self, bins: int, hz_per_bin: float) -> None:
        self._first = round(LOWEST_HZ / hz_per_bin)
        self._count = (bins - self._first) // CELL
        centres = (self._first + (np.arange(self._count) + 0.5) * CELL) * hz_per_bin
        self._octaves = np.log2(centres / centres[0])
        self._top = TOP_DB * np.maximum(0, centres - TOP_HZ) / 1000
        self._fill_from = max(REACH, int(np.searchsorted(centres, FILLED_FROM_HZ)))
        self._usual: Levels | None = None

    def __call__(self, spectra: Block, inside: int | None = None) -> Block:
        cells = self._cells(spectra)
        levels = _levels(cells)
        loud = np.quantile(levels[:inside], 0.75, axis=0)
        self._usual = loud if self._usual is None else self._usual + FOLLOW * (loud - self._usual)
        expected, real = self._expected(self._usual)
        offset = np.median((levels - expected)[:, real], axis=1, keepdims=True)
        targets = expected + offset
        missing = levels < targets - np.where(real, HOLE_DB, SOFTER_DB)
        missing[:, : self._fill_from] = False
        added = np.zeros_like(cells)
        for cell in np.flatnonzero(missing.any(axis=0)):
            below = cells[..., cell - REACH, :] + added[..., cell - REACH, :]
            gain = 10 ** ((targets[:, cell] - SOFTER_DB - _levels(below[..., None, :])[:, 0]) / 20)
            gain = np.where(missing[:, cell], np.minimum(gain, LOUDEST_GAIN), 0).astype(np.float32)
            added[..., cell, :] = below * gain[:, None]
        heard, guessed = (np.square(each).sum(axis=(0, 1, *range(3, each.ndim))) for each in (spectra, added))
        added *= np.sqrt(np.minimum(1, LOUDEST_SHARE * heard / np.maximum(guessed, 1e-20)))[:, None, None]
        addition = np.zeros_like(spectra)
        addition[..., self._first : self._first + self._count * CELL] = added.reshape(*spectra.shape[:3], -1)
        return addition

    def _cells(self, spectra: Block) -> Block:
        part = spectra[..., self._first : self._first + self._count * CELL]
        return part.reshape(*spectra.shape[:3], self._count, CELL)

    def _expected(self, usual: Levels) -> tuple[Levels, NDArray[np.bool_]]:
        """(levels, which of them are as they were heard), from the lowest cell upwards."""
        expected, real = usual.copy(), np.ones(usual.size, np.bool_)
        for cell in range(self._fill_from, usual.size):
            near = slice(int(np.searchsorted(self._octaves, self._octaves[cell] - OCTAVES)), cell)
            octaves, levels = self._octaves[near], expected[near] + self._top[near]
            centred = octaves - octaves.mean()
            slope = float(np.clip((centred * levels).sum() / np.square(centred).sum(), STEEPEST, FLATTEST))
            line = levels.mean() + slope * (self._octaves[cell] - octaves.mean()) - self._top[cell]
            if usual[cell] < line - CLIFF_DB:
                expected[cell], real[cell] = line, False
        return expected, real


def _levels(cells: Block) -> Levels:
    """(channels, 2, hops, cells, bins) -> (hops, cells), in dB."""
    power = np.square(cells, dtype=np.float64).sum(axis=(0, 1)).mean(axis=-1)
    levels: Levels = 10 * np.log10(power + 1e-12)
    return levels
