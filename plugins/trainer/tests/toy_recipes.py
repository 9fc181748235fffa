"""A plugin of toy recipes, one for each shape that training takes. `conftest.py` installs it where a test needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from wavechain.hookspecs import hookimpl
from wavechain.params import param
from wavechain.recipes import Recipe, Turn, part

RECIPES = {"toy-gan": "Gan", "toy-wgan": "Wgan", "toy-vae": "Vae", "toy-nan": "Nan"}


@hookimpl
def wavechain_register(register):
    for name, cls in RECIPES.items():
        register.part(name, kind="recipe", summary="A toy.", target=f"toy_recipes:{cls}")
    register.part("toy-net", kind="network", summary="A toy.", target="toy_recipes:Net")


class Net(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(1, width, 9, padding=4), nn.BatchNorm1d(width), nn.Tanh())
        self.leave = nn.Conv1d(width, 1, 9, padding=4)

    def forward(self, waveform):
        return waveform + self.leave(self.layers(waveform))


class Toy(Recipe):
    width: int = param(4, ge=1, help="Channels inside.")
    rate_hz: int = param(8_000, unit="Hz", help="The rate.")

    sample_rate = property(lambda self: self.rate_hz)
    crop_seconds = property(lambda self: 0.05)

    def networks(self) -> dict[str, Any]:
        return {"net": Net(self.width)}

    def turns(self, step: int, steps: int) -> Sequence[Turn]:
        return [Turn("learn", ("net",))]

    def prepare(self, clips, rngs, surroundings):
        clean = np.stack([clip[:1] for clip in clips])
        noisy = clean + np.stack([0.1 * rng.standard_normal((1, clean.shape[-1])) for rng in rngs])
        return {"clean": clean, "noisy": noisy.astype(np.float32)}

    def loss(self, turn: Turn, batch: Mapping[str, Any], networks: Mapping[str, Any]) -> dict[str, Any]:
        return {"distance": (networks["net"](batch["noisy"]) - batch["clean"]).square().mean()}

    def evaluate(self, batch, networks):
        error = float((networks["net"](batch["noisy"]) - batch["clean"]).square().mean())
        return {"error": error, "score": -error}

    def preview(self, batch, networks):
        return {"mended": networks["net"](batch["noisy"])[0].numpy()}

    def describe(self):
        return {
            "network": "net",
            "part": "toy-net",
            "settings": {"width": self.width},
            "sample_rate": self.rate_hz,
            "capabilities": ["process"],
        }


class Gan(Toy):
    """Two optimisers, dropout in the judge, which joins after a quarter of the steps."""

    def networks(self):
        judge = nn.Sequential(nn.Conv1d(1, 8, 15, stride=4), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Conv1d(8, 1, 3))
        return {"net": Net(self.width), "judge": judge}

    def turns(self, step, steps):
        if 4 * step < steps:
            return [Turn("learn", ("net",))]
        return [Turn("judge", ("judge",)), Turn("convince", ("net",))]

    def loss(self, turn, batch, networks):
        game, mended = part("loss", "lsgan"), networks["net"](batch["noisy"])
        if turn.name == "judge":
            fake = networks["judge"](mended.detach())
            return {"judge": game.discriminator([networks["judge"](batch["clean"])], [fake])}
        parts = {"distance": (mended - batch["clean"]).square().mean()}
        if turn.name == "convince":
            parts["game"] = 0.1 * game.generator([networks["judge"](mended)])
        return parts


class Wgan(Gan):
    """Five turns of the critic to one of the network, on fresh batches, with a gradient penalty."""

    def turns(self, step, steps):
        return [Turn("judge", ("judge",), repeat=5), Turn("convince", ("net",))]

    def loss(self, turn, batch, networks):
        judge = networks["judge"]
        if turn.name == "convince":
            return {"game": -judge(networks["net"](batch["noisy"])).mean()}
        with torch.no_grad():
            fake = networks["net"](batch["noisy"])
        between = torch.lerp(batch["clean"], fake, torch.rand(len(fake), 1, 1)).requires_grad_()
        (slope,) = torch.autograd.grad(judge(between).sum(), between, create_graph=True)
        penalty = (slope.square().sum(dim=(1, 2)).sqrt() - 1).square().mean()
        return {"critic": judge(fake).mean() - judge(batch["clean"]).mean(), "penalty": 10 * penalty}


class Vae(Toy):
    """One turn, and chance inside the loss."""

    def loss(self, turn, batch, networks):
        middle = networks["net"](batch["noisy"])
        drawn = middle + 0.1 * torch.randn_like(middle)
        return {"likelihood": (drawn - batch["clean"]).square().mean(), "prior": 1e-3 * middle.square().mean()}


class Nan(Toy):
    """Not finite at some items: as a batch may make it, by chance that depends on the batch alone."""

    threshold: float = param(-9.0, help="Batches whose first sample of noise lies below are bad.")

    def loss(self, turn, batch, networks):
        parts = super().loss(turn, batch, networks)
        noise = (batch["noisy"] - batch["clean"])[0, 0, 0] / 0.1
        return {"distance": parts["distance"] * (float("nan") if float(noise) < self.threshold else 1.0)}
