"""SI-SDR: signal over distortion, whatever the level.

The estimate is split into what is a scaled copy of the reference and the rest; the ratio of their powers in dB, all
channels together. It compares waveforms: what is plausible but not the truth (new highs, a filled gap) scores low.

Source  J. Le Roux, S. Wisdom, H. Erdogan, J. Hershey, "SDR - half-baked or well done?", ICASSP 2019
"""

from __future__ import annotations

import math

import numpy as np

from wavechain.stream import Block
from wavechain_evaluation.metric import Metric

_MOST_DB = 120.0  # float32 holds no more


class SiSdr(Metric):
    """Higher is better; 120 for equal waveforms, NaN for a silent reference."""

    def __call__(self, reference: Block, estimate: Block, sample_rate: int) -> float:
        wanted, found = reference.astype(np.float64), estimate.astype(np.float64)
        power = float(np.vdot(wanted, wanted))
        if power == 0:
            return math.nan
        copy = float(np.vdot(found, wanted)) / power * wanted
        signal, rest = float(np.vdot(copy, copy)), float(np.square(found - copy).sum())
        if signal == 0:
            return -_MOST_DB
        return max(-_MOST_DB, min(_MOST_DB, 10 * math.log10(signal / rest))) if rest > 0 else _MOST_DB
