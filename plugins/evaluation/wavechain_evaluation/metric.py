"""What a metric is: a number for how far an estimate is from its reference.

Any class with these attributes and this call does, whatever its base: a plugin registers it as a part of kind
``metric`` and need not import this module.

Conventions
    waveforms  float32 (channels, frames), of one shape, at one sample rate
    result     a float; NaN where there is nothing to measure (silence, too short, a rate too low)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from wavechain.stages import Stage
from wavechain.stream import Block

Content = Literal["any", "speech"]


class Metric(Stage, ABC):
    """One number about a pair.

    unit              as shown to a person
    higher_is_better  else lower is
    content           what it can be asked about: ``speech`` metrics are left out for all else
    keeps_level       whether it must see the level as the row left it: others see outside programs gain-matched
    costly            takes seconds an item: asked about a few items of each fault only
    """

    unit: ClassVar[str] = "dB"
    higher_is_better: ClassVar[bool] = True
    content: ClassVar[Content] = "any"
    keeps_level: ClassVar[bool] = False
    costly: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, reference: Block, estimate: Block, sample_rate: int) -> float:
        """Shape (channels, frames) twice -> a number."""


def matching_gain(reference: Block, estimate: Block) -> float:
    """The gain that brings *estimate* closest to *reference* (least squares over all channels); 1 for silence."""
    wide = estimate.astype(np.float64)
    power = float(np.vdot(wide, wide))
    return float(np.vdot(reference.astype(np.float64), wide)) / power if power > 0 else 1.0


def resampled(waveform: Block, sample_rate: int, new_rate: int) -> NDArray[np.float64]:
    """Each channel at another rate, the same sound at the same time. Shape (channels, frames) -> (channels, frames)"""
    if sample_rate == new_rate:
        return waveform.astype(np.float64)
    import soxr

    found: NDArray[np.float64] = soxr.resample(waveform.T.astype(np.float64), sample_rate, new_rate, quality="HQ").T
    return found
