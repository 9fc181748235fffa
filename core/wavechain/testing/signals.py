"""Test signals. Every one is an `Audio` of the rate, length and channel count that is asked for."""

from __future__ import annotations

import numpy as np

from wavechain.audio import Audio


def _spread(signal: np.ndarray, sample_rate: int, channels: int) -> Audio:
    return Audio.of(np.tile(np.asarray(signal, np.float32), (channels, 1)), sample_rate)


def _time(sample_rate: int, seconds: float) -> np.ndarray:
    return np.arange(round(sample_rate * seconds)) / sample_rate


def silence(*, sample_rate: int = 48_000, seconds: float = 1.0, channels: int = 1) -> Audio:
    """Digital silence."""
    return _spread(np.zeros(round(sample_rate * seconds)), sample_rate, channels)


def impulse(
    *, at: int = 0, sample_rate: int = 48_000, seconds: float = 1.0, channels: int = 1, level: float = 1.0
) -> Audio:
    """One sample of *level* at frame *at*, silence around it."""
    signal = np.zeros(round(sample_rate * seconds))
    signal[at] = level
    return _spread(signal, sample_rate, channels)


def tone(
    frequency_hz: float, *, sample_rate: int = 48_000, seconds: float = 1.0, channels: int = 1, level_dbfs: float = -6.0
) -> Audio:
    """A sine whose peaks reach *level_dbfs*."""
    phase = 2 * np.pi * frequency_hz * _time(sample_rate, seconds)
    return _spread(10 ** (level_dbfs / 20) * np.sin(phase), sample_rate, channels)


def chirp(*, sample_rate: int = 48_000, seconds: float = 1.0, channels: int = 1, level_dbfs: float = -6.0) -> Audio:
    """A sine that rises exponentially from 20 Hz to 90 % of half the sample rate."""
    time, top = _time(sample_rate, seconds), 0.45 * sample_rate
    growth = np.log(top / 20)
    phase = 2 * np.pi * 20 * seconds / growth * np.expm1(time / seconds * growth)
    return _spread(10 ** (level_dbfs / 20) * np.sin(phase), sample_rate, channels)


def noise(
    *, sample_rate: int = 48_000, seconds: float = 1.0, channels: int = 1, rms_dbfs: float = -20.0, seed: int = 0
) -> Audio:
    """White Gaussian noise, different in each channel."""
    generator = np.random.default_rng(seed)
    samples = generator.standard_normal((channels, round(sample_rate * seconds)))
    return Audio.of((samples * 10 ** (rms_dbfs / 20)).astype(np.float32), sample_rate)


def music(*, sample_rate: int = 48_000, seconds: float = 4.0, channels: int = 2, seed: int = 0) -> Audio:
    """Something with a beat: decaying harmonic notes twice a second over a soft bed of noise, peaks near -3 dBFS."""
    generator = np.random.default_rng(seed)
    frames = round(sample_rate * seconds)
    mix = generator.standard_normal((channels, frames)) * 0.003
    for beat in range(int(seconds * 2)):
        start = beat * sample_rate // 2
        time = np.arange(min(frames - start, 2 * sample_rate)) / sample_rate  # -100 dB by then
        pitch = 110 * 2 ** (generator.integers(0, 24) / 12)
        note = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 6) if pitch * k < sample_rate / 2.2)
        pan = generator.uniform(0.3, 1.0, (channels, 1))
        mix[:, start : start + time.size] += pan * note * np.exp(-6 * time)
    return Audio.of((0.7 * mix / np.abs(mix).max()).astype(np.float32), sample_rate)
