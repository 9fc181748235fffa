"""Test signals. Every one is an `Audio` of the rate, length and channel count that is asked for."""

from __future__ import annotations

import numpy as np

from wavechain.audio import Audio

# The first three formants of English vowels, in Hz: averages over 33 men (Peterson and Barney, JASA 24, 1952).
FORMANTS_HZ = (
    (270, 2290, 3010),  # heed
    (530, 1840, 2480),  # head
    (660, 1720, 2410),  # had
    (730, 1090, 2440),  # hod
    (570, 840, 2410),  # hawed
    (300, 870, 2240),  # who'd
)
FORMANT_WIDTH_HZ = 60.0


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
    return Audio.of((0.7 * mix / np.abs(mix).max(initial=1e-9)).astype(np.float32), sample_rate)


def speech(*, sample_rate: int = 48_000, seconds: float = 4.0, channels: int = 1, seed: int = 0) -> Audio:
    """Someone talking, in no language: words of hissed consonants and sung vowels, pauses between, peaks at -3 dBFS.

    A syllable is 40 to 90 ms of noise, then 100 to 250 ms of a vowel whose pitch falls; a word has one to three of
    them, and 120 to 400 ms of digital silence after it. When, how high and which vowel depends on *seed* alone, and not
    on the sample rate. The same in every channel.
    """
    draw, hiss = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    voice = np.zeros(round(sample_rate * seconds))
    place = 0.0
    while place < seconds:
        for _ in range(draw.integers(1, 4)):
            noisy, sung = draw.uniform(0.04, 0.09), draw.uniform(0.1, 0.25)
            _mix(voice, place, 0.3 * _consonant(sample_rate, noisy, draw.uniform(2500, 6000), hiss), sample_rate)
            formants = FORMANTS_HZ[draw.integers(len(FORMANTS_HZ))]
            _mix(voice, place + noisy, _vowel(sample_rate, sung, draw.uniform(100, 140), formants), sample_rate)
            place += noisy + sung
        place += draw.uniform(0.12, 0.4)
    return _spread(0.7 * _to_one(voice), sample_rate, channels)


def _to_one(sound: np.ndarray) -> np.ndarray:
    """*sound*, so loud that it peaks at 1."""
    return np.asarray(sound / max(np.abs(sound).max(initial=0), 1e-9))


def _mix(voice: np.ndarray, place: float, sound: np.ndarray, sample_rate: int) -> None:
    start = round(place * sample_rate)
    end = min(start + sound.size, voice.size)
    if start < end:
        voice[start:end] += sound[: end - start]


def _consonant(sample_rate: int, seconds: float, centre_hz: float, generator: np.random.Generator) -> np.ndarray:
    """Noise around *centre_hz*, as far as the sample rate goes, that swells and fades."""
    frames = round(sample_rate * seconds)
    spectrum = np.fft.rfft(generator.standard_normal(frames))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(frames, 1 / sample_rate), 1) / min(centre_hz, 0.35 * sample_rate))
    sound = np.fft.irfft(spectrum * np.exp(-2 * octaves**2), frames) * np.hanning(frames)
    return _to_one(sound)


def _vowel(sample_rate: int, seconds: float, pitch_hz: float, formants: tuple[int, ...]) -> np.ndarray:
    """Harmonics of a pitch that falls by a seventh, as loud as the formants make them, with an onset and an end."""
    time = _time(sample_rate, seconds)
    phase = 2 * np.pi * pitch_hz * (time - time**2 / (14 * seconds))
    sound = np.zeros(time.size)
    for harmonic in range(1, int(min(4000, 0.45 * sample_rate) / pitch_hz) + 1):
        frequency = harmonic * pitch_hz
        # Resonances in series, as in Klatt's cascade synthesiser; the source falls by 6 dB an octave.
        widths = (frequency * FORMANT_WIDTH_HZ / peak**2 for peak in formants)
        gains = [1 / np.hypot(1 - (frequency / peak) ** 2, width) for peak, width in zip(formants, widths, strict=True)]
        sound += np.prod(gains) / harmonic * np.sin(harmonic * phase)
    sound *= np.clip(np.minimum(time, seconds - time) / 0.02, 0, 1)
    return _to_one(sound)
