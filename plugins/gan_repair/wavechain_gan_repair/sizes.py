"""The sizes of repairnet by name: what its state looks like is known without torch."""

from __future__ import annotations

SIZES: dict[str, dict[str, int]] = {
    "xs": {"channels": 16, "width": 32, "bands": 36, "layers": 2, "convolutions": 1},
    "s": {"channels": 16, "width": 36, "bands": 36, "layers": 3, "convolutions": 2},
    "m": {"channels": 32, "width": 48, "bands": 48, "layers": 4, "convolutions": 2},
}
