"""Noise: the room, the street, the tape and the amplifier that are in the recording as well.

Conventions: one level for all channels; the ratio compares the parts of the clip that sound with the whole noise.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from wavechain import param
from wavechain.recipes import Degradation, Surroundings
from wavechain.stream import Block
from wavechain_trainer.degradations.levels import active_rms, rms
from wavechain_trainer.degradations.spans import Span, draw, draw_log, within

_LOWEST_HZ = 30.0  # steeper noise has no more power below this than at it
_INAUDIBLE = 1e-6


class Noise(Degradation):
    """Add noise: recorded where there is some, else made from chance and a random colour."""

    snr_db: Annotated[Span, within(-60, 120)] = param(
        (-5.0, 20.0), unit="dB", help="How far the clip lies above the noise, drawn from this range."
    )
    generated: float = param(0.3, ge=0, le=1, help="How often noise is made though recorded noise is there.")
    tilt: float = param(0.5, ge=0, lt=1, help="How far recorded noise may be made darker or brighter; 0 not at all.")

    def apply(
        self, waveform: Block, sample_rate: int, rng: np.random.Generator, surroundings: Surroundings
    ) -> tuple[Block, Block]:
        snr_db = draw(rng, self.snr_db)
        made = rng.random() < self.generated or not surroundings.noises
        noise = None if made else self._recorded(waveform.shape, rng, surroundings)
        level = 0.0 if noise is None else rms(noise)
        if noise is None or level < _INAUDIBLE:
            noise = coloured(waveform.shape, sample_rate, rng)
            level = rms(noise)
        gain = active_rms(waveform, sample_rate) / max(level, 1e-20) * 10 ** (-snr_db / 20)
        return waveform + noise * np.float32(gain), waveform

    def _recorded(self, shape: tuple[int, ...], rng: np.random.Generator, surroundings: Surroundings) -> Block:
        """Pieces of one recording: the same for all channels, or for each its own, as in a diffuse field."""
        recording = surroundings.noises[int(rng.integers(len(surroundings.noises)))].reshape(-1)
        channels, frames = shape
        count = channels if rng.random() < 0.5 else 1
        pieces = np.stack([_piece(recording, frames + 1, rng) for _ in range(count)])
        # A two-tap filter turns the spectrum about its middle: by at most 9.5 dB for 0.5.
        slope = np.float32(rng.uniform(-self.tilt, self.tilt))
        return np.broadcast_to(pieces[:, 1:] + slope * pieces[:, :-1], shape)


def _piece(recording: Block, frames: int, rng: np.random.Generator) -> Block:
    spare = recording.shape[-1] - frames
    if spare >= 0:
        start = int(rng.integers(spare + 1))
        return np.asarray(recording[start : start + frames], dtype=np.float32)
    start = int(rng.integers(max(1, recording.shape[-1])))
    return np.resize(np.roll(np.asarray(recording, dtype=np.float32), -start), frames)


def coloured(shape: tuple[int, ...], sample_rate: int, rng: np.random.Generator) -> Block:
    """Stationary noise of a random colour: between blue-ish and brown, often with bumps, at times hiss alone.

    Made in the frequency domain, where colour is a product. The real and imaginary parts are uniform, which costs a
    fifth of normal ones; the inverse transform sums so many of them that the samples are normal.
    """
    channels, frames = shape
    # The length of the transform is a handy one; what is left over is cut.
    size = scipy.fft.next_fast_len(frames, real=True)
    octaves = _octaves(size, sample_rate)
    shape_db = -6.02 * draw(rng, (-0.25, 1.0)) * octaves
    kind = rng.random()
    if kind < 0.5:
        marks = np.sort(rng.uniform(0, 10, 8))
        shape_db = shape_db + np.interp(octaves, marks, rng.uniform(-12, 12, 8)).astype(np.float32)
    elif kind < 0.7:
        edge = np.log2(draw_log(rng, (1500.0, 6000.0)) / _LOWEST_HZ)
        shape_db = shape_db - 24 * np.maximum(0, np.float32(edge) - octaves)
    magnitude = np.exp(np.float32(np.log(10) / 20) * shape_db)
    magnitude[0] = 0
    count = channels if rng.random() < 0.7 else 1
    spectrum = (rng.random((count, 2 * octaves.size), dtype=np.float32) - np.float32(0.5)).view(np.complex64)
    noise = scipy.fft.irfft(spectrum * magnitude, size)[:, :frames]
    return np.broadcast_to(noise, shape)


@lru_cache(maxsize=4)
def _octaves(size: int, sample_rate: int) -> NDArray[np.float32]:
    """For each bin of a real transform of *size*: octaves above the lowest frequency of interest."""
    frequencies = np.fft.rfftfreq(size, 1 / sample_rate)
    octaves: NDArray[np.float32] = np.log2(np.maximum(frequencies, _LOWEST_HZ) / _LOWEST_HZ).astype(np.float32)
    octaves.flags.writeable = False
    return octaves
