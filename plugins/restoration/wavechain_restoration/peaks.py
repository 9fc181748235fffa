"""What stages report that make peaks higher than they were."""

from __future__ import annotations

import math
from typing import Any


def told(highest: float, kind: str) -> dict[str, Any]:
    """How high the *kind* of peaks came out, with a warning where that is over full scale.

    >>> told(0.5, "rebuilt")
    {'peak_db': -6.02}
    """
    peak_db = 20 * math.log10(highest)
    said: dict[str, Any] = {"peak_db": round(peak_db, 2)}
    if peak_db > 0:
        said["warning"] = f"{kind} peaks reach {peak_db:+.1f} dBFS: lower the gain before the file is written"
    return said
