"""The sizes of repairnet by name: what its state looks like is known without torch."""

from __future__ import annotations

SIZES: dict[str, dict[str, int]] = {
    "xs": {"width": 32, "hidden": 64, "layers": 2},
    "s": {"width": 48, "hidden": 96, "layers": 3},
    "m": {"width": 64, "hidden": 128, "layers": 4},
}

# Bins of each band, and how many such bands, from below; the last size is repeated until no bin is left.
BANDS = ((2, 16), (4, 12), (16, 10), (64, 6), (80, 5))


def split(bins: int) -> tuple[tuple[int, int], ...]:
    """(bands, bins of each), from below: narrow where the ear and most of the energy are, wide at the top.

    Raises ValueError for a number of bins that cannot be split.
    """
    groups, left = [], bins
    for size, count in BANDS:
        count = min(count, left // size)
        if count:
            groups.append((count, size))
            left -= count * size
    if left:
        groups.append((1, left))
    return tuple(groups)


def bands(bins: int) -> int:
    return sum(count for count, _ in split(bins))
