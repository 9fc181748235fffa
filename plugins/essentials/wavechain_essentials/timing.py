"""Seconds into frames, the same way everywhere."""

from __future__ import annotations

import math


def frames_of(seconds: float, sample_rate: int) -> int:
    """The nearest number of whole frames; a half goes up.

    >>> frames_of(0.5, 44_100)
    22050
    """
    return math.floor(seconds * sample_rate + 0.5)
