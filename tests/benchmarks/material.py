"""What the benchmarks listen to: synthetic music of any length, made block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from wavechain.testing import music, noise


def make_flac(path: Path, *, minutes: float, sample_rate: int = 44_100) -> Path:
    """A 16-bit stereo FLAC of *minutes*, loud and quiet by turns; made once."""
    if path.exists():
        return path
    piece = music(sample_rate=sample_rate, seconds=20, channels=2).waveform
    piece = 0.5 * (piece + noise(sample_rate=sample_rate, seconds=20, channels=2, rms_dbfs=-50).waveform)
    with soundfile.SoundFile(path, "w", sample_rate, 2, "PCM_16") as file:
        for turn in range(round(minutes * 3)):
            level = 0.5 + 0.5 * np.abs(np.sin(turn))
            file.write((piece * level).T)
    return path


def make_room(path: Path, *, sample_rate: int = 44_100) -> Path:
    """The impulse response of a small room: 1.2 s of decaying noise."""
    decay = np.exp(-6.9 * np.arange(round(1.2 * sample_rate)) / (1.2 * sample_rate))
    response = noise(sample_rate=sample_rate, seconds=1.2, channels=2, rms_dbfs=-30).waveform * decay
    soundfile.write(path, response.T, sample_rate)
    return path
