"""Decoded frames of any sample format as float32 blocks, exactly.

Conventions: out is ``(channels, frames)``, C-contiguous; an integer of b bits is divided by 2 ** (b - 1), as libsndfile
does; unsigned 8-bit samples have their zero at 128; floating-point samples are taken as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wavechain.stream import Block

if TYPE_CHECKING:
    from av import AudioFrame

_TYPES: dict[str, tuple[type[np.generic], float, float]] = {
    "u8": (np.uint8, 128.0, 2.0**-7),
    "s16": (np.int16, 0.0, 2.0**-15),
    "s32": (np.int32, 0.0, 2.0**-31),
    "s64": (np.int64, 0.0, 2.0**-63),
    "flt": (np.float32, 0.0, 1.0),
    "dbl": (np.float64, 0.0, 1.0),
}


def to_block(frame: AudioFrame) -> Block:
    """Shape  one frame, planar or packed -> (channels, samples)"""
    kind, middle, scale = _TYPES[frame.format.packed.name]
    channels, steps = frame.layout.nb_channels, frame.samples
    block = np.empty((channels, steps), np.float32)
    planes = frame.planes
    for channel, row in enumerate(block):
        samples = np.frombuffer(memoryview(planes[channel if frame.format.is_planar else 0]), kind)
        samples = samples[:steps] if frame.format.is_planar else samples[channel : steps * channels : channels]
        if kind is np.float32:
            row[:] = samples
        else:  # in float64, where each of these integers but the longest is exact; rounded once, into the row
            np.multiply(samples - middle if middle else samples, scale, out=row, casting="same_kind")
    return block
