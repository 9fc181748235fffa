"""What a recording is worth as training or test sound: measures of one waveform, and joining and cutting.

Conventions: `waveform` is float32, (channels, frames), nominally [-1, 1]; levels in dBFS RMS re 1.0; times in seconds.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np

Waveform = np.ndarray

WINDOW = 4096  # 93 milliseconds at 44.1 kHz, bands 11 Hz wide
LEVEL_FRAME_SECONDS = 0.02


def bandwidth_hz(waveform: Waveform, sample_rate: int, *, floor_db: float = 85.0, cliff_db: float = 18.0) -> int:
    """The frequency up to which there is sound, whatever the sample rate promises.

    The mean power spectrum of the loudest half of up to 400 windows, smoothed over 250 Hz. Two signs of an end, the
    lower one holds: the spectrum stays *floor_db* under its peak; or there is a cliff, *cliff_db* within 400 Hz with
    nothing above it as loud again: the mark of a codec or of resampling.

    Shape   (channels, frames) -> scalar, in Hz, at most half the sample rate; 0 for silence
    """
    mono = waveform.mean(axis=0)
    if mono.size < WINDOW:
        mono = np.pad(mono, (0, WINDOW - mono.size))
    starts = np.linspace(0, mono.size - WINDOW, num=min(400, max(1, mono.size // WINDOW * 2))).astype(int)
    frames = mono[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=-1)) ** 2
    loud = power[np.argsort(power.sum(axis=-1))[power.shape[0] // 2 :]]
    spectrum = loud.mean(axis=0)
    if spectrum.max() <= 0:
        return 0
    hz = sample_rate / WINDOW
    width = max(1, round(250 / hz))
    smooth = np.convolve(spectrum, np.ones(width) / width, mode="same")
    level_db = 10 * np.log10(smooth / smooth.max() + 1e-20)

    above_floor = np.flatnonzero(level_db > -floor_db)
    end = int(above_floor[-1]) + 1 if above_floor.size else 0
    loudest_above = np.maximum.accumulate(level_db[::-1])[::-1]  # of this band and all higher ones
    step = max(1, round(400 / hz))
    bands = np.arange(round(3000 / hz), level_db.size - 2 * step)
    cliffs = bands[level_db[bands] - loudest_above[bands + step] > cliff_db] if bands.size else bands
    # A cliff needs sound below it; a peak that falls by itself is followed by others as loud.
    if cliffs.size:
        end = min(end, int(cliffs[0]) + step // 2)
    return round(min(end * hz, sample_rate / 2))


def frame_levels_dbfs(waveform: Waveform, sample_rate: int) -> np.ndarray:
    """RMS level of each 20 millisecond frame of the mixdown, floored at -120 dBFS."""
    size = max(1, round(LEVEL_FRAME_SECONDS * sample_rate))
    mono = waveform.mean(axis=0)
    count = mono.size // size
    if not count:
        return np.full(1, -120.0)
    frames = mono[: count * size].reshape(count, size).astype(np.float64)
    return 10 * np.log10(np.maximum((frames**2).mean(axis=-1), 1e-12))


def level_dbfs(waveform: Waveform) -> float:
    """RMS level over everything, floored at -120 dBFS."""
    return (
        float(10 * np.log10(max(float((waveform.astype(np.float64) ** 2).mean()), 1e-12))) if waveform.size else -120.0
    )


def snr_db(waveform: Waveform, sample_rate: int) -> float:
    """How far the loud frames (95 %) stand above the quiet ones (5 %): low when a hiss fills the pauses."""
    levels = frame_levels_dbfs(waveform, sample_rate)
    return float(np.percentile(levels, 95) - np.percentile(levels, 5))


def clipped_share(waveform: Waveform) -> float:
    """The share of samples at the ceiling together with both neighbours, when the peak is loud.

    The ceiling is 0.5 % under the peak, and full scale at most: lossy codecs decode clipped sound to peaks above it.
    A full-scale sine of 440 Hz at 44.1 kHz spends under 5 % there; the same one clipped by 6 dB more than half.
    """
    peak = float(np.abs(waveform).max()) if waveform.size else 0.0
    if peak < 0.5:
        return 0.0
    near = np.abs(waveform) >= min(0.995 * peak, 1.0)
    return float((near[:, 1:-1] & near[:, :-2] & near[:, 2:]).mean())


def content_hash(waveform: Waveform) -> str:
    """SHA-1 of the 16-bit values without silence at the ends: equal for copies in other lossless containers."""
    values = np.round(np.clip(waveform, -1, 1) * 32767).astype("<i2")
    loud = np.flatnonzero(np.abs(values.astype(np.int32)).max(axis=0) > 8) if values.size else np.empty(0, int)
    values = values[:, loud[0] : loud[-1] + 1] if loud.size else values[:, :0]
    return hashlib.sha1(np.ascontiguousarray(values.T).tobytes()).hexdigest()


def trimmed(waveform: Waveform, sample_rate: int, *, below_db: float = 50.0, keep_seconds: float = 0.05) -> Waveform:
    """Without the leading and trailing frames that lie *below_db* under the loudest, but for *keep_seconds*."""
    levels = frame_levels_dbfs(waveform, sample_rate)
    loud = np.flatnonzero(levels > levels.max() - below_db)
    size = max(1, round(LEVEL_FRAME_SECONDS * sample_rate))
    keep = round(keep_seconds * sample_rate)
    return waveform[:, max(0, int(loud[0]) * size - keep) : (int(loud[-1]) + 1) * size + keep]


def cuts(frames: int, longest: int, shortest: int) -> list[tuple[int, int]]:
    """(start, stop) of equal pieces of at most *longest* frames that cover *frames*; none shorter than *shortest*.

    >>> cuts(70, 30, 5)
    [(0, 24), (24, 47), (47, 70)]
    """
    if frames < shortest:
        return []
    count = -(-frames // longest)
    edges = [-(-frames * at // count) for at in range(count + 1)]
    return list(pairwise(edges))


def joined(waveforms: list[Waveform], sample_rate: int, gaps_seconds: list[float]) -> Waveform:
    """One after the other with silence between, each faded over 5 milliseconds at both ends.

    Shape   n times (channels, frames), n - 1 gaps -> (channels, frames)
    """
    fade = max(1, round(0.005 * sample_rate))
    ramp = (np.arange(fade) / fade).astype(np.float32)
    parts = []
    for at, waveform in enumerate(waveforms):
        faded = waveform.copy()
        length = min(fade, faded.shape[-1])
        faded[:, :length] *= ramp[:length]
        faded[:, -length:] *= ramp[:length][::-1]
        parts.append(faded)
        if at < len(waveforms) - 1:
            parts.append(np.zeros((waveform.shape[0], round(gaps_seconds[at] * sample_rate)), np.float32))
    return np.concatenate(parts, axis=-1)


def looped(waveform: Waveform, sample_rate: int, seconds: float) -> Waveform:
    """Repeated with crossfades of 50 milliseconds (equal power) until it lasts *seconds*."""
    fade = round(0.05 * sample_rate)
    if waveform.shape[-1] <= 3 * fade:
        return waveform
    angle = np.linspace(0, np.pi / 2, fade, dtype=np.float32)
    out = waveform
    while out.shape[-1] < seconds * sample_rate:
        bridge = out[:, -fade:] * np.cos(angle) + waveform[:, :fade] * np.sin(angle)
        out = np.concatenate([out[:, :-fade], bridge, waveform[:, fade:]], axis=-1)
    return out[:, : round(seconds * sample_rate)]


def is_steady(waveform: Waveform, sample_rate: int) -> bool:
    """Whether the level hardly moves (4 dB of deviation at most): hum, engines, rain; what may be looped."""
    levels = frame_levels_dbfs(waveform, sample_rate)
    return levels.size >= 10 and float(levels.std()) <= 4.0


def is_sustained(waveform: Waveform, sample_rate: int) -> bool:
    """Whether it is there all the time: a tenth of it may be 12 dB below the median level, a twentieth above."""
    lowest, median, highest = np.percentile(frame_levels_dbfs(waveform, sample_rate), (10, 50, 95))
    return bool(median - lowest < 12 and highest - median < 12)
