"""For tests of stages: signals that one can hum, and streaming with any block sizes."""

from __future__ import annotations

from wavechain.testing.signals import chirp, impulse, music, noise, silence, tone
from wavechain.testing.streaming import in_blocks, latency_of, streamed

__all__ = ["chirp", "impulse", "in_blocks", "latency_of", "music", "noise", "silence", "streamed", "tone"]
