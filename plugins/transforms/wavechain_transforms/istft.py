"""Inverse STFT: from the spectra that `stft` made back to audio.

The stage `inverse` of the core does the same for features of any kind. This one says which kind it expects, so that a
chain in which something else arrives is refused before it runs.
"""

from __future__ import annotations

from typing import ClassVar

from wavechain.errors import SpecMismatchError
from wavechain.processors import Processor
from wavechain.stages import StreamStage
from wavechain.stream import Spec
from wavechain_transforms.stft import Stft


class Istft(StreamStage):
    accepts: ClassVar[tuple[str, ...]] = ("stft",)
    cost: ClassVar[float] = 5.0

    def open(self, spec: Spec) -> Processor:
        if spec.kind != "stft" or not isinstance(spec.recipe, Stft):
            maker = "nobody knows what" if spec.recipe is None else spec.recipe.stage_name()
            raise SpecMismatchError(
                f"istft takes what stft made; it is given {spec}, made by {maker}.", hint="inverse, or stft before it."
            )
        return spec.recipe.inverse(spec)
