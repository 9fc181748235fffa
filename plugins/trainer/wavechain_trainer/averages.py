"""Averages of weights over the last steps: smoother than the weights themselves, and what is shipped.

Source  B. T. Polyak, A. B. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control 30, 1992
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Averages:
    """Exponential moving averages of networks' weights and buffers, with a start that forgets the first steps."""

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.values = {
            f"{name}/{key}": value.detach().clone()
            for name, network in networks.items()
            for key, value in network.state_dict().items()
        }

    @torch.no_grad()
    def update(self, networks: Mapping[str, nn.Module], step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, network in networks.items():
            for key, value in network.state_dict().items():
                average = self.values[f"{name}/{key}"]
                if value.is_floating_point():
                    average.lerp_(value, 1 - decay)
                else:
                    average.copy_(value)

    def of(self, name: str) -> dict[str, Tensor]:
        """The averaged weights of one network, as its `load_state_dict` takes them."""
        start = f"{name}/"
        return {key.removeprefix(start): value for key, value in self.values.items() if key.startswith(start)}
