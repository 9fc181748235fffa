"""Split a signal into frequency bands that add up to it again: a Linkwitz-Riley crossover of fourth order.

A Linkwitz-Riley low-pass is a second-order Butterworth low-pass applied twice, and the same for the high-pass. Both
are -6 dB at their crossover and in phase everywhere; their sum is a second-order all-pass with the Butterworth poles,
flat in magnitude:

    LP + HP = (s^4 + 1) / (s^2 + sqrt(2) s + 1)^2 = (s^2 - sqrt(2) s + 1) / (s^2 + sqrt(2) s + 1) = AP.

With several crossovers, the part above the first is split again at the second, and so on; a band that has already been
split off must turn its phase like the rest still will, so it passes the all-pass of every later crossover:

    band k = HP(1) ... HP(k)  LP(k+1)  AP(k+2) ... AP(last)        sum of all = AP(1) ... AP(last).

Conventions: bands from low to high; streamed output is bit-identical for every block size.

Source: S. Linkwitz, Active crossover networks for noncoincident drivers, JAES 24, 1976.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from wavechain.dsp.blocks import Array, Rechunk
from wavechain.dsp.iir import QUANTUM, SosFilter
from wavechain.dsp.rbj import all_pass, check_frequency, highpass, lowpass
from wavechain.dsp.state_space import Float64
from wavechain.errors import ParameterError


def split_sos(crossovers_hz: Sequence[float], sample_rate: float) -> tuple[Float64, ...]:
    """The filter of each band.

    Shape   n crossovers -> n + 1 arrays of sections (any, 6)
    Raises  ParameterError when there is no crossover, one is outside (0, Nyquist), or they do not rise
    """
    if not crossovers_hz:
        raise ParameterError("A crossover needs at least one frequency.", hint="crossovers_hz = [200, 2000].")
    for crossover_hz in crossovers_hz:
        check_frequency(crossover_hz, sample_rate, "crossover_hz")
    for lower, upper in pairwise(crossovers_hz):
        if not lower < upper:
            raise ParameterError(
                f"Crossovers must rise, {upper:g} Hz comes after {lower:g} Hz.", hint="sort crossovers_hz."
            )
    bands = []
    for band in range(len(crossovers_hz) + 1):
        sections = [highpass(below_hz, sample_rate) for below_hz in crossovers_hz[:band] for _ in range(2)]
        sections += [lowpass(above_hz, sample_rate) for above_hz in crossovers_hz[band : band + 1] for _ in range(2)]
        sections += [all_pass(later_hz, sample_rate) for later_hz in crossovers_hz[band + 1 :]]
        bands.append(np.vstack(sections))
    return tuple(bands)


class Crossover:
    """``split_sos`` for blocks of any length.

    Shape   (channels, any) -> one (channels, frames) a band, all of equal length, a multiple of the quantum;
            ``flush`` gives the rest, so that each band is as long as the input
    Raises  ParameterError as ``split_sos``
    """

    def __init__(self, crossovers_hz: Sequence[float], sample_rate: float, channels: int) -> None:
        self.bands = split_sos(crossovers_hz, sample_rate)
        self._filters = [SosFilter(sos, channels) for sos in self.bands]
        self._rechunk = Rechunk(QUANTUM, (channels,))
        self._channels = channels

    def process(self, block: Array) -> tuple[Array, ...]:
        """The bands of every quantum that *block* completes."""
        chunks = self._rechunk.push(block)
        outputs = tuple(np.empty((self._channels, len(chunks) * QUANTUM), np.float32) for _ in self._filters)
        for index, chunk in enumerate(chunks):
            place = slice(index * QUANTUM, (index + 1) * QUANTUM)
            for filter_, output in zip(self._filters, outputs, strict=True):
                filter_.process_quantum(chunk, output[:, place])
        return outputs

    def flush(self) -> tuple[Array, ...]:
        """The bands of the frames still held back; after it a new stream begins, from silence."""
        rest = self._rechunk.rest()
        frames = rest.shape[-1]
        padded = np.zeros((self._channels, QUANTUM), np.float32)
        padded[:, :frames] = rest
        outputs = tuple(np.ascontiguousarray(f.process_quantum(padded)[:, :frames]) for f in self._filters)
        for filter_ in self._filters:
            filter_.reset()
        return outputs
