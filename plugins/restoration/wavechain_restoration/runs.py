"""Runs of marked frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def runs(mask: Mask) -> list[tuple[int, int]]:
    """Start and end of each run of True, the end not included.

    >>> runs(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    padded = np.zeros(mask.size + 2, np.int8)
    padded[1:-1] = mask
    edges = np.flatnonzero(np.diff(padded)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def joined(mask: Mask, gap: int) -> Mask:
    """*mask*, with runs that are *gap* frames apart or less made one.

    >>> joined(np.array([False, True, False, True, False]), 1).tolist()
    [False, True, True, True, False]
    """
    whole = mask.copy()
    for start, end in runs(~mask):
        if end - start <= gap and start > 0 and end < mask.size:
            whole[start:end] = True
    return whole
