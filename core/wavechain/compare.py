"""Comparing two files: what ``wavechain compare`` says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wavechain.dsp.levels import db
from wavechain.dsp.spectrum import AverageSpectrum, PowerFrames, SpectralDistance
from wavechain.errors import EmptyAudioError, SpecMismatchError
from wavechain.files import open_input
from wavechain.measure import finite
from wavechain.origins import FileOrigin
from wavechain.processors import Pending
from wavechain.stream import Block, Spec

_OFFSET_FRAMES = 1 << 18


@dataclass(frozen=True)
class Comparison:
    """How B differs from A.

    null_db           level of A - B relative to A; None when they are equal bit for bit
    matched_gain_db   the gain that brings B closest to A
    matched_null_db   level of A - gain x B relative to A; None when nothing is left
    offset_frames     how much later B is (positive) or earlier, by cross-correlation of the first seconds
    distance_db       log-spectral distance
    """

    a: str
    b: str
    sample_rate: int
    channels: int
    frames_a: int
    frames_b: int
    identical: bool
    null_db: float | None
    peak_difference_dbfs: float | None
    matched_gain_db: float | None
    matched_null_db: float | None
    offset_frames: int
    distance_db: float
    spectra: tuple[AverageSpectrum, AverageSpectrum, AverageSpectrum] | None = field(
        default=None, repr=False, compare=False
    )

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return {key: value for key, value in self.__dict__.items() if key != "spectra"}


def compare_files(a: Path, b: Path) -> Comparison:
    """Compare two files of one rate and channel count, sample by sample, over the length that both have.

    Raises  SpecMismatchError when rates or channels differ
    """
    one, two = open_input(a), open_input(b)
    if (one.spec.rate, one.spec.shape) != (two.spec.rate, two.spec.shape):
        raise SpecMismatchError(
            f"{a} is {one.spec}, {b} is {two.spec}: they cannot be subtracted.",
            hint="the stages resample and channels on one of them first.",
        )
    sums = _Differences(one.spec)
    starts: list[list[Block]] = [[], []]
    for block_a, block_b in side_by_side(one, two):
        sums.feed(block_a, block_b)
        if sum(block.shape[-1] for block in starts[0]) < _OFFSET_FRAMES:
            starts[0].append(block_a)
            starts[1].append(block_b)
    if not sums.frames:
        raise EmptyAudioError(f"{a} and {b} have no frames in common.", hint="longer files.")
    sums.distance.finish()
    for frames_of, average in sums.spectra:
        for power in frames_of.rest():
            average.add(power)
    identical = sums.aa == sums.bb and sums.dd == 0.0 and sums.left == (0, 0)
    gain = sums.ab / sums.bb if sums.bb else 0.0
    rest = max(0.0, sums.aa - 2 * gain * sums.ab + gain * gain * sums.bb)
    return Comparison(
        a=str(a),
        b=str(b),
        sample_rate=one.spec.sample_rate,
        channels=one.spec.channels,
        frames_a=sums.frames + sums.left[0],
        frames_b=sums.frames + sums.left[1],
        identical=identical,
        null_db=_ratio_db(sums.dd, sums.aa),
        peak_difference_dbfs=finite(float(db(sums.peak))),
        matched_gain_db=finite(float(db(abs(gain)))),
        # Below -140 dB the three sums cancel to rounding noise of their own.
        matched_null_db=_ratio_db(rest, sums.aa) if rest > 1e-14 * sums.aa else None,
        offset_frames=_offset(*(np.concatenate(start, axis=-1)[:, :_OFFSET_FRAMES] for start in starts)),
        distance_db=round(sums.distance.distance_db, 4),
        spectra=tuple(average for _, average in sums.spectra),  # type: ignore[arg-type]
    )


class _Differences:
    """Sums of products of two signals that pass by together."""

    def __init__(self, spec: Spec) -> None:
        self.frames = 0
        self.left = (0, 0)
        self.aa = self.bb = self.ab = self.dd = self.peak = 0.0
        self.distance = SpectralDistance(spec.channels)
        self.spectra = [(PowerFrames(spec.channels), AverageSpectrum(spec.sample_rate)) for _ in range(3)]

    def feed(self, a: Block, b: Block) -> None:
        frames = min(a.shape[-1], b.shape[-1])
        self.left = (self.left[0] + a.shape[-1] - frames, self.left[1] + b.shape[-1] - frames)
        if not frames:
            return
        a, b = np.ascontiguousarray(a[:, :frames]), np.ascontiguousarray(b[:, :frames])
        difference = a - b
        self.frames += frames
        wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
        self.aa += float(np.vdot(wide_a, wide_a))
        self.bb += float(np.vdot(wide_b, wide_b))
        self.ab += float(np.vdot(wide_a, wide_b))
        self.dd += float(np.square(difference, dtype=np.float64).sum())
        self.peak = max(self.peak, float(np.abs(difference).max()))
        self.distance.feed(a, b)
        for (frames_of, average), block in zip(self.spectra, (a, b, difference), strict=True):
            for power in frames_of.push(block):
                average.add(power)


def side_by_side(one: FileOrigin, two: FileOrigin) -> Iterator[tuple[Block, Block]]:
    """Blocks of equal length from both; at the end of one, the other's rest beside nothing."""
    queue = Pending(two.spec)
    others = two.blocks()
    for block in one.blocks():
        while queue.steps < block.shape[-1] and (more := next(others, None)) is not None:
            queue.push(more)
        yield block, queue.take(block.shape[-1])
    nothing = one.spec.zeros(0)
    yield nothing, queue.take()
    for block in others:
        yield nothing, block


def _offset(a: Block, b: Block) -> int:
    """The lag of B behind A where their cross-correlation is strongest (all channels together)."""
    frames = min(a.shape[-1], b.shape[-1])
    size = 1 << (2 * frames - 1).bit_length()
    spectrum = np.fft.rfft(b[:, :frames].sum(axis=0), size) * np.fft.rfft(a[:, :frames].sum(axis=0), size).conj()
    lag = int(np.argmax(np.abs(np.fft.irfft(spectrum, size))))
    return lag - size if lag >= size // 2 else lag


def _ratio_db(power: float, reference: float) -> float | None:
    if power <= 0.0 or reference <= 0.0:
        return None
    return round(10 * math.log10(power / reference), 3)
