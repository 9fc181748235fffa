"""For tests of stages: signals that one can hum, streaming with any block sizes, and the conformance kit.

    signals.py, streaming.py   tones, music, noise …; a signal through a stage in blocks of any sizes
    contracts.py               one pytest class per kind of stage: subclass it, name the stage, get every check
    checks/                    the same checks as plain functions, for ``wavechain plugins check``
    promises.py                what is checked, by name, and what to do when it fails

The kit needs pytest and hypothesis; signals and streaming need neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from wavechain.testing.signals import chirp, impulse, music, noise, silence, tone
from wavechain.testing.streaming import in_blocks, latency_of, streamed

if TYPE_CHECKING:
    from wavechain.testing.contracts import (
        EffectContract,
        FeatureTransformContract,
        LoaderContract,
        ModelContract,
        PluginContract,
        WriterContract,
    )

__all__ = [
    "EffectContract",
    "FeatureTransformContract",
    "LoaderContract",
    "ModelContract",
    "PluginContract",
    "WriterContract",
    "chirp",
    "impulse",
    "in_blocks",
    "latency_of",
    "music",
    "noise",
    "silence",
    "streamed",
    "tone",
]


def __getattr__(name: str) -> object:
    if name.endswith("Contract") and name in __all__:
        return getattr(importlib.import_module("wavechain.testing.contracts"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
