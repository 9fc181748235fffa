"""Spectrograms as PNG, with nothing but NumPy and zlib: a report has its pictures wherever it is made.

Conventions: time to the right, low frequencies at the bottom, 80 dB from black to white.
Source  W3C, "Portable Network Graphics (PNG) Specification", second edition: signature, IHDR, PLTE, IDAT, IEND
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

FLOOR_DB = -80.0
SIZE, WIDEST = 512, 900
# Black over violet and orange to white; even steps of lightness.
STOPS = ((0, 0, 4), (59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191))


def spectrogram_png(waveform: NDArray[np.float32]) -> bytes:
    """Shape (frames,) -> a picture 257 pixels high and at most `WIDEST` wide."""
    padded = np.pad(waveform, (0, max(0, SIZE - waveform.size)))
    hop = max(SIZE // 4, -(-(padded.size - SIZE) // WIDEST))
    columns = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::hop][:WIDEST]
    magnitude = np.abs(np.fft.rfft(columns * np.hanning(SIZE), axis=1)).T / (SIZE / 4)
    level = 20 * np.log10(np.maximum(magnitude, 1e-10))
    shades = np.clip(255 * (1 - level / FLOOR_DB), 0, 255).astype(np.uint8)
    return _png(shades[::-1])


def _png(shades: NDArray[np.uint8]) -> bytes:
    """Shape (rows, columns), each the number of a colour."""
    height, width = shades.shape
    stops = np.linspace(0, 255, len(STOPS))
    palette = np.stack([np.interp(np.arange(256), stops, each) for each in zip(*STOPS, strict=True)], axis=1)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), shades], axis=1)  # each line says: not filtered
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, content)
        for kind, content in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", palette.round().astype(np.uint8).tobytes()),
            (b"IDAT", zlib.compress(lines.tobytes(), 9)),
            (b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
