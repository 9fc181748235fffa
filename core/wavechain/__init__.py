"""wavechain: plugin-based audio workflows.

Everything public is imported from here, and each name is loaded when it is first used, so that importing
``wavechain`` costs nothing: listing plugins or completing a command line never loads NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME = {
    "Spec": "stream",
    "Block": "stream",
    "Audio": "audio",
    "Media": "audio",
    "Picture": "audio",
    "param": "params",
    "Stage": "stages",
    "StreamStage": "stages",
    "Loader": "stages",
    "Source": "stages",
    "FeatureTransform": "stages",
    "Model": "stages",
    "Trainer": "stages",
    "Effect": "stages",
    "MeasuredEffect": "stages",
    "WholeEffect": "stages",
    "Analysis": "stages",
    "Writer": "stages",
    "Sink": "stages",
    "Encoding": "stages",
    "OutputOptions": "output",
    "Processor": "processors",
    "pointwise": "processors",
    "FixedBlocks": "processors",
    "Window": "processors",
    "Chain": "chain",
    "Parallel": "combinators",
    "Branch": "combinators",
    "Bands": "combinators",
    "MidSide": "combinators",
    "Mix": "combinators",
    "RunOptions": "run",
    "open_source": "files",
    "Report": "run",
    "WavechainError": "errors",
}

__all__ = [
    "Analysis",
    "Audio",
    "Bands",
    "Block",
    "Branch",
    "Chain",
    "Effect",
    "Encoding",
    "FeatureTransform",
    "FixedBlocks",
    "Loader",
    "MeasuredEffect",
    "Media",
    "MidSide",
    "Mix",
    "Model",
    "OutputOptions",
    "Parallel",
    "Picture",
    "Processor",
    "Report",
    "RunOptions",
    "Sink",
    "Source",
    "Spec",
    "Stage",
    "StreamStage",
    "Trainer",
    "WavechainError",
    "WholeEffect",
    "Window",
    "Writer",
    "__version__",
    "open_source",
    "param",
    "pointwise",
]

if TYPE_CHECKING:
    from wavechain.audio import Audio, Media, Picture
    from wavechain.chain import Chain
    from wavechain.combinators import Bands, Branch, MidSide, Mix, Parallel
    from wavechain.errors import WavechainError
    from wavechain.files import open_source
    from wavechain.output import OutputOptions
    from wavechain.params import param
    from wavechain.processors import FixedBlocks, Processor, Window, pointwise
    from wavechain.run import Report, RunOptions
    from wavechain.stages import (
        Analysis,
        Effect,
        Encoding,
        FeatureTransform,
        Loader,
        MeasuredEffect,
        Model,
        Sink,
        Source,
        Stage,
        StreamStage,
        Trainer,
        WholeEffect,
        Writer,
    )
    from wavechain.stream import Block, Spec


def __getattr__(name: str) -> object:
    if name in _HOME:
        value = getattr(importlib.import_module(f"wavechain.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'wavechain' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
