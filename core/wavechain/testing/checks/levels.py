"""How loud something is, step by step."""

from __future__ import annotations

import numpy as np

from wavechain.stream import Block
from wavechain.testing.playing import Played
from wavechain.testing.signals import silence
from wavechain.testing.subject import Subject

SILENT = 1e-5  # -100 dBFS
SILENCE_SECONDS = 0.7


def levels(data: Block) -> Block:
    """The largest magnitude of each step."""
    levels: Block = np.abs(data).max(axis=tuple(range(data.ndim - 1)), initial=0)
    return levels


def highest(data: Block) -> int:
    return int(np.argmax(levels(data)))


def in_silence(subject: Subject) -> Played:
    """What comes out when silence goes in."""
    quiet = silence(sample_rate=subject.sample_rate, seconds=SILENCE_SECONDS, channels=subject.channels)
    return subject.play(subject.signal(quiet))
