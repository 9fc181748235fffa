"""Measuring a file: what ``wavechain inspect`` says.

One pass, in memory that does not grow with the file's length beyond a few numbers a second.
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
from wavechain.dsp.spectrum import AverageSpectrum, PowerFrames, SpectrogramSketch
from wavechain.dsp.true_peak import TruePeakMeter
from wavechain.errors import EmptyAudioError
from wavechain.files import open_input
from wavechain.origins import FileOrigin, Progress
from wavechain.processors import Pending
from wavechain.stream import Block, Spec

ENVELOPE_FRAMES = 1024


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
        integrated_lufs=finite(loudness.integrated_lufs()),
        loudness_range_lu=finite(loudness.loudness_range_lu()) if np.isfinite(loudness.integrated_lufs()) else None,
        max_momentary_lufs=finite(loudness.max_momentary_lufs()),
        max_short_term_lufs=finite(loudness.max_short_term_lufs()),
        true_peak_dbtp=finite(true_peak.true_peak_dbtp),
        sample_peak_dbfs=finite(float(db(levels.peak.max()))),
        rms_dbfs=finite(float(db(np.sqrt(np.square(levels.rms).mean())))),
        crest_factor_db=finite(float(np.nanmax(levels.crest_factor_db, initial=-math.inf))),
        dc_offset=round(float(levels.dc_offset[loudest]), 9),
        clipped_frames=levels.clipped_frames,
        noise_floor_dbfs=finite(levels.noise_floor_dbfs),
        bandwidth_hz=round(average.bandwidth_hz(), 1),
        tags={key: list(values) for key, values in media.tags.items()},
        pictures=len(media.pictures),
        picture=Picture(rate, envelope.columns(), average, sketch) if envelope and sketch else None,
    )


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


def finite(value: float) -> float | None:
    """A level as it is reported: to a thousandth, and None where it is infinite."""
    return round(value, 3) if math.isfinite(value) else None
