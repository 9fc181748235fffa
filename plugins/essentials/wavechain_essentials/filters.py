"""Filters: Butterworth high- and low-pass of any order, and the equaliser's bells and shelves.

Conventions: any channel count, every channel alike; length unchanged (the ringing after the last frame is dropped);
a frequency must lie below half the sample rate.
The designs and their sources are in `wavechain.dsp.rbj`; they run in float64, in blocks that cannot be heard
(`wavechain.dsp.iir`).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from wavechain import Block, Effect, Processor, Spec, param
from wavechain.dsp import rbj
from wavechain.dsp.iir import SosStream


class SosProcessor(Processor):
    """A cascade of second-order sections at work on one stream."""

    def __init__(self, spec: Spec, sos: npt.NDArray[np.float64]) -> None:
        super().__init__(spec)
        self._stream = SosStream(sos, spec.channels)

    def process(self, block: Block) -> Block:
        return self._stream.process(block)

    def flush(self) -> Block:
        return self._stream.flush()


class Filter(Effect):
    """A filter given by its second-order sections."""

    cost: ClassVar[float] = 1.1

    @abstractmethod
    def sections(self, sample_rate: int) -> npt.NDArray[np.float64]:
        """Shape -> (sections, 6): b0 b1 b2 a0 a1 a2 of each."""

    def open(self, spec: Spec) -> Processor:
        return SosProcessor(spec, self.sections(spec.sample_rate))


class Highpass(Filter):
    """Remove what is below a frequency: rumble, handling noise, an offset that drifts."""

    cutoff_hz: float = param(80.0, unit="Hz", ge=1, le=96_000, help="Where the level has fallen by 3 dB.")
    order: int = param(2, ge=1, le=rbj.MAX_ORDER, help="Steepness: 6 dB an octave for each order.")

    def sections(self, sample_rate: int) -> npt.NDArray[np.float64]:
        return rbj.highpass(self.cutoff_hz, sample_rate, self.order)


class Lowpass(Filter):
    """Remove what is above a frequency: hiss, whistles."""

    cutoff_hz: float = param(16_000.0, unit="Hz", ge=1, le=96_000, help="Where the level has fallen by 3 dB.")
    order: int = param(2, ge=1, le=rbj.MAX_ORDER, help="Steepness: 6 dB an octave for each order.")

    def sections(self, sample_rate: int) -> npt.NDArray[np.float64]:
        return rbj.lowpass(self.cutoff_hz, sample_rate, self.order)


class BandPass(Filter):
    """Keep what is around a frequency."""

    frequency_hz: float = param(1_000.0, unit="Hz", ge=1, le=96_000, help="The middle, which keeps its level.")
    q: float = param(1.0, ge=0.1, le=100, help="Narrowness: it is frequency_hz / q wide between its -3 dB points.")

    def sections(self, sample_rate: int) -> npt.NDArray[np.float64]:
        return rbj.band_pass(self.frequency_hz, sample_rate, self.q)


class Notch(Filter):
    """Remove one frequency: hum, a whistle."""

    frequency_hz: float = param(50.0, unit="Hz", ge=1, le=96_000, help="The frequency that is silenced.")
    q: float = param(10.0, ge=0.1, le=1000, help="Narrowness: it is frequency_hz / q wide between its -3 dB points.")

    def sections(self, sample_rate: int) -> npt.NDArray[np.float64]:
        return rbj.notch(self.frequency_hz, sample_rate, self.q)


class Peak(Filter):
    """Raise or lower what is around a frequency: the equaliser's bell."""

    frequency_hz: float = param(1_000.0, unit="Hz", ge=1, le=96_000, help="The middle of the bell.")
    gain_db: float = param(0.0, unit="dB", ge=-40, le=40, help="How much the middle moves up (+) or down (-).")
    q: float = param(1.0, ge=0.1, le=100, help="Narrowness: 0.7 is two octaves, 1.4 one, 4.3 a third of one.")

    def sections(self, sample_rate: int) -> npt.NDArray[np.float64]:
        return rbj.peak(self.frequency_hz, sample_rate, self.gain_db, self.q)


class LowShelf(Filter):
    """Raise or lower everything below a frequency."""

    frequency_hz: float = param(120.0, unit="Hz", ge=1, le=96_000, help="Where half of the gain (in dB) is reached.")
    gain_db: float = param(0.0, unit="dB", ge=-40, le=40, help="How much the lows move up (+) or down (-).")
    slope: float = param(1.0, gt=0, le=1, help="Steepness; 1 is as steep as it gets without a bump.")

    def sections(self, sample_rate: int) -> npt.NDArray[np.float64]:
        return rbj.low_shelf(self.frequency_hz, sample_rate, self.gain_db, slope=self.slope)


class HighShelf(Filter):
    """Raise or lower everything above a frequency."""

    frequency_hz: float = param(8_000.0, unit="Hz", ge=1, le=96_000, help="Where half of the gain (in dB) is reached.")
    gain_db: float = param(0.0, unit="dB", ge=-40, le=40, help="How much the highs move up (+) or down (-).")
    slope: float = param(1.0, gt=0, le=1, help="Steepness; 1 is as steep as it gets without a bump.")

    def sections(self, sample_rate: int) -> npt.NDArray[np.float64]:
        return rbj.high_shelf(self.frequency_hz, sample_rate, self.gain_db, slope=self.slope)
