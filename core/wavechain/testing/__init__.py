"""For tests of stages: signals that one can hum, streaming with any block sizes, and the conformance kit.

    signals.py, streaming.py   tones, music, speech …; a signal through a stage in blocks of any sizes
    fakes.py                   files whose sound stays in memory
    contracts.py               one pytest class per kind of stage: subclass it, name the stage, get every check
    checks/                    the same checks as plain functions, for ``wavechain plugins check``
    promises.py                what is checked, by name, and what to do when it fails

The kit needs pytest and hypothesis; nothing else here does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from wavechain.testing.signals import chirp, impulse, music, noise, silence, speech, tone
from wavechain.testing.streaming import in_blocks, latency_of, streamed

if TYPE_CHECKING:
    from wavechain.testing.contracts import (
        DegradationContract,
        EffectContract,
        FeatureTransformContract,
        LoaderContract,
        ModelContract,
        PluginContract,
        RecipeContract,
        WriterContract,
    )
    from wavechain.testing.fakes import FakeFile, FakeFiles

__all__ = [
    "DegradationContract",
    "EffectContract",
    "FakeFile",
    "FakeFiles",
    "FeatureTransformContract",
    "LoaderContract",
    "ModelContract",
    "PluginContract",
    "RecipeContract",
    "WriterContract",
    "chirp",
    "impulse",
    "in_blocks",
    "latency_of",
    "music",
    "noise",
    "silence",
    "speech",
    "streamed",
    "tone",
]


def __getattr__(name: str) -> object:
    if name in __all__:  # what is not imported above
        home = "contracts" if name.endswith("Contract") else "fakes"
        return getattr(importlib.import_module(f"wavechain.testing.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
