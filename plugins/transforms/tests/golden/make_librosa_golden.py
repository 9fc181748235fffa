"""Writes librosa.npz: a sound, and what librosa makes of it. Run where librosa 0.11 is installed; it pulls in numba.

python make_librosa_golden.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

RATE, FRAMES = 22_050, 22_016  # 86 hops of 256
SETTINGS = {"sr": RATE, "n_fft": 1024, "hop_length": 256}
CQT_LOW_HZ, CQT_BINS = 65.40639, 60


def sound() -> np.ndarray:
    """A chord that slides, a click, and noise; 16-bit integers, so that the file holds exactly what was heard."""
    time = np.arange(FRAMES) / RATE
    chord = sum(np.sin(2 * np.pi * (pitch * time + 15 * time**2) + pitch) for pitch in (110, 277, 660, 1_500, 4_000))
    noise = np.random.default_rng(4).standard_normal(FRAMES)
    wave = 0.12 * chord * np.exp(-time) + 0.01 * noise
    wave[9_000] += 0.3
    return np.round(wave * 32_767).astype(np.int16)


def main() -> None:
    import librosa

    samples = sound()
    waveform = samples.astype(np.float32) / 32_768
    mel = librosa.feature.melspectrogram(y=waveform, n_mels=40, pad_mode="constant", power=2, **SETTINGS)
    htk = librosa.feature.melspectrogram(
        y=waveform, n_mels=40, pad_mode="constant", power=1, fmin=100, fmax=8_000, htk=True, norm=None, **SETTINGS
    )
    levels = librosa.power_to_db(mel, amin=1e-10, top_db=None)
    magnitudes = np.abs(librosa.stft(waveform, n_fft=1024, hop_length=256, pad_mode="constant"))
    q = 1 / (2 ** (1 / 12) - 1)
    alpha = (2 ** (2 / 12) - 1) / (2 ** (2 / 12) + 1)
    cqt = librosa.cqt(
        waveform,
        sr=RATE,
        hop_length=256,
        fmin=CQT_LOW_HZ,
        n_bins=CQT_BINS,
        tuning=0,
        filter_scale=q * alpha,  # as long as 1 / (2 ** (1 / 12) - 1) periods
        sparsity=0,
        pad_mode="constant",
        res_type="soxr_vhq",
    )
    frames = q * RATE / (CQT_LOW_HZ * 2 ** (np.arange(CQT_BINS) / 12))
    np.savez_compressed(
        Path(__file__).with_name("librosa.npz"),
        sound=samples,
        mel=mel,
        mel_htk=htk,
        log_mel=levels,
        mfcc=librosa.feature.mfcc(S=levels, n_mfcc=13),
        contrast=librosa.feature.spectral_contrast(S=magnitudes, sr=RATE, n_fft=1024, n_bands=5).astype(np.float32),
        cqt=(np.abs(cqt) / np.sqrt(frames)[:, np.newaxis]).astype(np.float32),
        version=librosa.__version__,
    )


if __name__ == "__main__":
    main()
