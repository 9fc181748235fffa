"""Feature matching: what a discriminator sees inside itself should be alike for a fake and the real clip it stands for.

Source  K. Kumar et al., MelGAN, NeurIPS 2019 (arXiv 1910.06711)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from wavechain.errors import SpecMismatchError
from wavechain.params import param
from wavechain.stages import Stage

Features = Sequence[Sequence[Tensor]]


class FeatureMatching(Stage):
    """L1 between feature maps, the mean over layers and over the parts of the discriminator.

    The fake clip's features come first, as an estimate comes before its target; the real ones get no gradient.
    """

    relative: bool = param(False, help="Divide by the mean size of the real features: layers then weigh the same.")

    def __call__(self, fake_features: Features, real_features: Features) -> Any:
        """Shape lists of lists of tensors, all alike -> ()"""
        fake, real = ([layer for part in features for layer in part] for features in (fake_features, real_features))
        if [layer.shape for layer in fake] != [layer.shape for layer in real] or not fake:
            raise SpecMismatchError(
                f"feature-matching compares like with like; there are {len(fake)} fake and {len(real)} real feature "
                "maps, or their shapes differ.",
                hint="as many clips, of one length, in both batches.",
            )
        return torch.stack([self._distance(*pair) for pair in zip(fake, real, strict=True)]).mean()

    def _distance(self, fake: Tensor, real: Tensor) -> Tensor:
        fake, real = fake.float(), real.detach().float()
        distance = (fake - real).abs().mean()
        return distance / real.abs().mean().clamp_min(1e-6) if self.relative else distance
