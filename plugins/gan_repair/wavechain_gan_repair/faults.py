"""The faults that repairnet knows, in the order of its condition vector and of its detector's outputs."""

from __future__ import annotations

FAULTS = ("noise", "room", "clip", "codec", "band-limit", "clicks", "dropouts", "hum")
LOST_HIGHS = ("codec", "band-limit")  # of them, those that take the top away
