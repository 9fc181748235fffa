"""How loud a clip is where something sounds."""

from __future__ import annotations

import numpy as np

from wavechain.stream import Block

_ACTIVE_BELOW_PEAK_DB = 40.0


def rms(waveform: Block) -> float:
    """Level over all channels and frames; 0 for no frames."""
    flat = waveform.ravel()
    return float(np.sqrt(np.dot(flat, flat) / max(1, flat.size)))


def active_rms(waveform: Block, sample_rate: int) -> float:
    """Level of the parts that sound: the 20 ms pieces within 40 dB of the loudest one. 0 for silence.

    Pauses would otherwise make the same voice count as quieter, and noise "at 10 dB" would depend on how much was said.
    """
    size = max(1, min(sample_rate // 50, waveform.shape[-1]))
    pieces = waveform[:, : waveform.shape[-1] // size * size].reshape(waveform.shape[0], -1, size)
    power = np.einsum("cpf,cpf->p", pieces, pieces) / (waveform.shape[0] * size)
    if not power.size or power.max() == 0:
        return 0.0
    return float(np.sqrt(power[power >= power.max() * 10 ** (-_ACTIVE_BELOW_PEAK_DB / 10)].mean()))
