"""Codecs: the clip as MP3 or Vorbis at a low rate gives it back.

Conventions: channels are coded in pairs; a clip beyond full scale is coded below it and brought back to its level.

Only what comes back where it lay, as loud as it was, is used. libsndfile 1.2.2 writes MP3 of a low constant rate
without the tag that says how long the encoder's delay is, and the sound comes back 1105 frames late; at average rates
it comes back 0.45 dB quieter; variable rates are exact. Opus below about 60 kbit/s a channel comes back up to three
frames off, and above that there is little to repair: it is left out.
"""

from __future__ import annotations

import io
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from wavechain import param
from wavechain.recipes import Degradation, Surroundings
from wavechain.stream import Block
from wavechain_trainer.degradations.spans import Span, draw, within

_MP3_RATES = (32_000, 44_100, 48_000)


class Codec(Degradation):
    """Code the clip at a low rate and decode it."""

    formats: Annotated[tuple[Literal["mp3", "vorbis"], ...], Field(min_length=1)] = param(
        ("mp3", "mp3", "vorbis"), help="The codecs to choose from; one that is named twice is chosen twice as often."
    )
    squeeze: Annotated[Span, within(0, 1)] = param(
        (0.3, 1.0),
        help="How hard it is squeezed, drawn from this range: 1 is about 36 kbit/s a channel in MP3, 65 in Vorbis.",
    )

    def apply(
        self, waveform: Block, sample_rate: int, rng: np.random.Generator, surroundings: Surroundings
    ) -> tuple[Block, Block]:
        chosen = self.formats[int(rng.integers(len(self.formats)))]
        squeeze = draw(rng, self.squeeze)
        settings: dict[str, Any] = {"format": "OGG", "subtype": "VORBIS", "compression_level": squeeze}
        if chosen == "mp3" and sample_rate in _MP3_RATES:
            # The encoder refuses level 1.
            settings = {"format": "MP3", "bitrate_mode": "VARIABLE", "compression_level": 0.99 * squeeze}
        peak = max(1.0, float(np.abs(waveform).max(initial=0)))
        pairs = [waveform[first : first + 2] / np.float32(peak) for first in range(0, waveform.shape[0], 2)]
        coded = np.concatenate([_coded(pair, sample_rate, settings) for pair in pairs]) * np.float32(peak)
        return coded, waveform


def _coded(waveform: Block, sample_rate: int, settings: dict[str, Any]) -> Block:
    import soundfile

    channels, frames = waveform.shape
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", samplerate=sample_rate, channels=channels, **settings) as encoder:
        encoder.write(waveform.T)
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32", always_2d=True)
    out = np.zeros_like(waveform)
    out[:, : len(decoded)] = decoded[:frames].T
    return out
