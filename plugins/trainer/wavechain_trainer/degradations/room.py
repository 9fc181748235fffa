"""Room: the walls answer. A short made-up impulse response: direct sound, first reflections, dense decaying tail.

Conventions: the direct sound arrives at once. What is wanted keeps the first reflections, which the ear hears as part
of the voice: the tail alone is to be taken away.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from wavechain import param
from wavechain.recipes import Degradation, Surroundings
from wavechain.stream import Block
from wavechain_trainer.degradations.levels import rms
from wavechain_trainer.degradations.spans import Span, draw, draw_log, within


class Room(Degradation):
    """Put the clip into a room. Level over all as before; what is wanted is as loud as it is in the room."""

    changes_wanted: ClassVar[bool] = True

    decay_seconds: Annotated[Span, within(0.01, 10)] = param(
        (0.15, 0.8), unit="s", help="How long the tail takes to fall by 60 dB, drawn from this range."
    )
    direct_db: Annotated[Span, within(-40, 60)] = param(
        (-3.0, 15.0), unit="dB", help="How far direct sound and reflections lie above the tail, drawn from this range."
    )
    early_ms: Annotated[Span, within(1, 200)] = param(
        (20.0, 50.0), unit="ms", help="Up to when reflections belong to what is wanted, drawn from this range."
    )

    def apply(
        self, waveform: Block, sample_rate: int, rng: np.random.Generator, surroundings: Surroundings
    ) -> tuple[Block, Block]:
        channels, frames = waveform.shape
        start = max(2, round(draw(rng, self.early_ms) * sample_rate / 1000))
        times, heights = _reflections(channels, start, sample_rate, rng)
        wanted = waveform.copy()
        for index, time in enumerate(times):
            wanted[:, time:] += heights[:, index, None] * waveform[:, : max(0, frames - time)]
        tail = _tail(channels, draw_log(rng, self.decay_seconds) * sample_rate, rng)
        # Both parts are compared by the energy of their responses: the direct sound has height 1.
        direct = np.sqrt(1 + np.square(heights).sum() / channels)
        energy = np.sqrt(np.square(tail).sum() / channels)
        tail *= np.float32(direct / energy * 10 ** (-draw(rng, self.direct_db) / 20))
        size = scipy.fft.next_fast_len(frames + tail.shape[1], real=True)
        late = scipy.fft.irfft(scipy.fft.rfft(waveform, size) * scipy.fft.rfft(tail, size), size)
        heard = wanted.copy()
        heard[:, start:] += late[:, : max(0, frames - start)]
        gain = np.float32(rms(waveform) / max(rms(heard), 1e-20))
        return heard * gain, wanted * gain


def _reflections(
    channels: int, until: int, sample_rate: int, rng: np.random.Generator
) -> tuple[list[int], NDArray[np.float32]]:
    """When (frames, the same for all channels) and how strongly (channels, count) the nearest walls answer.

    They come after 1 ms (30 cm further) or later, weaker the later, and differ from ear to ear in height.
    """
    count = int(rng.integers(3, 9))
    times = rng.integers(min(sample_rate // 1000, until - 1), until, count)
    heights = rng.uniform(0.1, 0.7, (channels, count)) * rng.choice([-1.0, 1.0], count) * np.exp(-2 * times / until)
    return times.tolist(), heights.astype(np.float32)


def _tail(channels: int, decay_frames: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise that falls by 60 dB, its highs up to three times as fast: walls and air swallow them first."""
    frames = max(1, int(decay_frames))
    noise = rng.random((channels, frames), dtype=np.float32) - np.float32(0.5)
    pole = np.float32(draw(rng, (0.3, 0.9)))
    dark = scipy.signal.lfilter([1 - pole], np.array([1, -pole], dtype=np.float32), noise)
    fall = np.arange(frames, dtype=np.float32) * np.float32(-np.log(1000) / decay_frames)
    faster = np.float32(draw(rng, (1.3, 3.0)))
    tail: NDArray[np.float32] = (dark * np.exp(fall) + (noise - dark) * np.exp(faster * fall)).astype(np.float32)
    return tail
