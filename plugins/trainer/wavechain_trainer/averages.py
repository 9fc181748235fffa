"""Averages of weights over the last steps: smoother than the weights themselves, and what is shipped.

Source  B. T. Polyak, A. B. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control 30, 1992
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

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


class LastWeights:
    """The mean of the weights at the last few validations: steadier than one of them, quicker to follow than an EMA.

    Source  P. Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018
    """

    def __init__(self, count: int) -> None:
        self.kept: deque[dict[str, Tensor]] = deque(maxlen=count)

    def keep(self, networks: Mapping[str, nn.Module]) -> None:
        self.kept.append(
            {
                f"{name}/{key}": value.detach().clone()
                for name, network in networks.items()
                for key, value in network.state_dict().items()
            }
        )

    def restore(self, kept: Iterable[dict[str, Tensor]]) -> None:
        self.kept.clear()
        self.kept.extend(kept)

    def of(self, name: str) -> dict[str, Tensor]:
        """The mean for one network; whole numbers as they were last. Nothing before the first validation."""
        start = f"{name}/"
        last = self.kept[-1] if self.kept else {}
        return {
            key.removeprefix(start): torch.stack([each[key] for each in self.kept]).mean(dim=0)
            if value.is_floating_point()
            else value.clone()
            for key, value in last.items()
            if key.startswith(start)
        }
