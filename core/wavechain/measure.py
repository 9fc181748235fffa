"""Measuring files: what ``wavechain inspect`` says about one, and ``wavechain compare`` about two.

One pass for one file, in memory that does not grow with its length beyond a few numbers a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavechain.dsp.levels import LevelMeter, db
from wavechain.dsp.loudness import LoudnessMeter
from wavechain.dsp.spectrum import AverageSpectrum, PowerFrames, SpectralDistance, SpectrogramSketch
from wavechain.dsp.true_peak import TruePeakMeter
from wavechain.errors import EmptyAudioError, SpecMismatchError
from wavechain.files import open_input
from wavechain.origins import FileOrigin, Progress
from wavechain.processors import Pending
from wavechain.stream import Block, Spec

ENVELOPE_FRAMES = 1024
_OFFSET_FRAMES = 1 << 18


@dataclass(frozen=True)
class Picture:
    """What a plot of a file needs.

    envelope  (2, columns): lowest and highest sample of each `ENVELOPE_FRAMES` frames, over all channels
    average   the long-term average spectrum
    sketch    the spectrogram
    """

    sample_rate: int
    envelope: NDArray[np.float32]
    average: AverageSpectrum
    sketch: SpectrogramSketch


@dataclass(frozen=True)
class Measurement:
    """What was found in one file. Levels in dB re full scale; None where there is nothing to measure."""

    path: str
    format: str
    codec: str
    bits: int | None
    sample_rate: int
    channels: int
    frames: int
    seconds: float
    integrated_lufs: float | None
    loudness_range_lu: float | None
    max_momentary_lufs: float | None
    max_short_term_lufs: float | None
    true_peak_dbtp: float | None
    sample_peak_dbfs: float | None
    rms_dbfs: float | None
    crest_factor_db: float | None
    dc_offset: float
    clipped_frames: int
    noise_floor_dbfs: float | None
    bandwidth_hz: float
    tags: dict[str, list[str]]
    pictures: int
    picture: Picture | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return {key: value for key, value in self.__dict__.items() if key != "picture"}


def measure_file(path: Path, *, picture: bool = False, progress: Progress | None = None) -> Measurement:
    """Measure one file. Raises as loaders do."""
    origin = open_input(path)
    origin.progress = progress
    return measure_origin(origin, str(path), picture=picture)


def measure_origin(origin: FileOrigin, name: str, *, picture: bool = False) -> Measurement:
    rate, channels = origin.spec.sample_rate, origin.spec.channels
    loudness, true_peak, levels = (
        LoudnessMeter(rate, channels),
        TruePeakMeter(rate, channels),
        LevelMeter(rate, channels),
    )
    frames_of, average = PowerFrames(channels), AverageSpectrum(rate)
    sketch = SpectrogramSketch(rate) if picture else None
    envelope = _Envelope(origin.spec) if picture else None

    def spectra(powers: Iterator[NDArray[np.float32]]) -> None:
        for power in powers:
            average.add(power)
            if sketch is not None:
                sketch.add(power)

    for block in origin.blocks():
        loudness.feed(block)
        true_peak.feed(block)
        levels.feed(block)
        spectra(frames_of.push(block))
        if envelope is not None:
            envelope.feed(block)
    true_peak.finish()
    levels.finish()
    spectra(frames_of.rest())
    if not levels.frames:
        raise EmptyAudioError(f"{name}: holds no frames.", hint="copy the file again from its origin.")
    loudest = int(np.argmax(np.abs(levels.dc_offset)))
    media = origin.media
    return Measurement(
        path=name,
        format=media.container,
        codec=media.codec,
        bits=media.bits,
        sample_rate=rate,
        channels=channels,
        frames=levels.frames,
        seconds=round(levels.frames / rate, 6),
        integrated_lufs=_finite(loudness.integrated_lufs()),
        loudness_range_lu=_finite(loudness.loudness_range_lu()),
        max_momentary_lufs=_finite(loudness.max_momentary_lufs()),
        max_short_term_lufs=_finite(loudness.max_short_term_lufs()),
        true_peak_dbtp=_finite(true_peak.true_peak_dbtp),
        sample_peak_dbfs=_finite(float(db(levels.peak.max()))),
        rms_dbfs=_finite(float(db(np.sqrt(np.square(levels.rms).mean())))),
        crest_factor_db=_finite(float(np.nanmax(levels.crest_factor_db, initial=-math.inf))),
        dc_offset=round(float(levels.dc_offset[loudest]), 9),
        clipped_frames=levels.clipped_frames,
        noise_floor_dbfs=_finite(levels.noise_floor_dbfs),
        bandwidth_hz=round(average.bandwidth_hz(), 1),
        tags={key: list(values) for key, values in media.tags.items()},
        pictures=len(media.pictures),
        picture=Picture(rate, envelope.columns(), average, sketch) if envelope and sketch else None,
    )


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
            hint=f"wavechain run {b} same.wav -s resample:sample_rate={one.spec.sample_rate} first.",
        )
    sums = _Differences(one.spec)
    starts: list[list[Block]] = [[], []]
    for block_a, block_b in _side_by_side(one, two):
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
        peak_difference_dbfs=_finite(float(db(sums.peak))),
        matched_gain_db=_finite(float(db(abs(gain)))),
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


def _side_by_side(one: FileOrigin, two: FileOrigin) -> Iterator[tuple[Block, Block]]:
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


class _Envelope:
    """Lowest and highest sample of every `ENVELOPE_FRAMES` frames."""

    def __init__(self, spec: Spec) -> None:
        self._pending = Pending(spec)
        self._columns: list[NDArray[np.float32]] = []

    def feed(self, block: Block) -> None:
        self._pending.push(block)
        self._add(self._pending.take(self._pending.steps // ENVELOPE_FRAMES * ENVELOPE_FRAMES))

    def columns(self) -> NDArray[np.float32]:
        rest = self._pending.take()
        if rest.shape[-1]:
            self._columns.append(np.array([[rest.min()], [rest.max()]], np.float32))
        return np.concatenate(self._columns, axis=1) if self._columns else np.zeros((2, 0), np.float32)

    def _add(self, frames: Block) -> None:
        if frames.shape[-1]:
            columns = frames.reshape(frames.shape[0], -1, ENVELOPE_FRAMES)
            self._columns.append(np.stack([columns.min(axis=(0, 2)), columns.max(axis=(0, 2))]))


def _finite(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def _ratio_db(power: float, reference: float) -> float | None:
    if power <= 0.0 or reference <= 0.0:
        return None
    return round(10 * math.log10(power / reference), 3)
