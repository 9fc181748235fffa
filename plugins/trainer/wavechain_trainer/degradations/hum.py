"""Hum: the mains and its harmonics, from a bad earth, a transformer or a dimmer.

Conventions: the level compares the hum with the parts of the clip that sound; channels hum in step.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wavechain import param
from wavechain.recipes import Degradation, Surroundings
from wavechain.stream import Block
from wavechain_trainer.degradations.levels import active_rms, rms
from wavechain_trainer.degradations.spans import Span, draw, within

_ROW = 256


class Hum(Degradation):
    """Add 50 or 60 Hz and harmonics that fall off at random."""

    level_db: Annotated[Span, within(-120, 40)] = param(
        (-45.0, -10.0), unit="dB", help="How loud the hum is against the clip, drawn from this range."
    )
    mains_hz: Annotated[tuple[float, ...], Field(min_length=1)] = param(
        (50.0, 60.0), unit="Hz", help="The frequencies there are to choose from."
    )
    drift: float = param(0.01, ge=0, le=0.2, help="How far off the frequency may be, as a share of it.")
    harmonics: int = param(20, ge=1, le=200, help="The most lines there may be, the mains itself included.")

    def apply(
        self, waveform: Block, sample_rate: int, rng: np.random.Generator, surroundings: Surroundings
    ) -> tuple[Block, Block]:
        channels, frames = waveform.shape
        mains = float(rng.choice(self.mains_hz)) * (1 + draw(rng, (-self.drift, self.drift)))
        lines = np.arange(1, int(rng.integers(1, self.harmonics + 1)) + 1)
        fall = draw(rng, (0.3, 2.0))
        heights: NDArray[np.float64] = np.exp(-fall * np.log(lines) + np.log(10) / 20 * rng.normal(0, 5, lines.size))
        kind = rng.random()
        if kind < 0.3:
            heights[lines % 2 == 0] *= 0.1  # a symmetric waveform: odd lines
        elif kind < 0.6:
            heights[lines % 2 == 1] *= 0.3  # behind a rectifier: twice the mains
        phases = rng.uniform(0, 2 * np.pi, lines.size)
        heard = lines * mains < sample_rate / 2
        gains: NDArray[np.float64] = np.ones((channels, 1)) if channels == 1 else rng.uniform(0.3, 1.0, (channels, 1))
        turn = lines[heard].astype(np.float64) * (2 * np.pi * mains / sample_rate)
        hum = (gains * _sines(turn, heights[heard], phases[heard], frames)).astype(np.float32)
        gain = active_rms(waveform, sample_rate) / max(rms(hum), 1e-20) * 10 ** (draw(rng, self.level_db) / 20)
        return waveform + hum * np.float32(gain), waveform


def _sines(
    turn: NDArray[np.float64], heights: NDArray[np.float64], phases: NDArray[np.float64], frames: int
) -> NDArray[np.float64]:
    """The sum of ``heights * cos(turn * frame + phases)``, (frames,).

    With frame = 256 r + c, cos(a + b) = cos a cos b - sin a sin b makes the sum one matrix product, which asks for
    (rows + 256) cosines a line instead of one for every frame.
    """
    rows = np.outer(np.arange(-(-frames // _ROW)) * _ROW, turn) + phases
    columns = np.outer(turn, np.arange(_ROW))
    left = np.hstack([np.cos(rows) * heights, -np.sin(rows) * heights])
    table: NDArray[np.float64] = left @ np.vstack([np.cos(columns), np.sin(columns)])
    return table.ravel()[:frames]
