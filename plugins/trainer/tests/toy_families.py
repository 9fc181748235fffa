"""A plugin with one small member of each family of networks, trained by recipes that the trainer knows nothing of.

What is left of a run is a model folder; `Dream` is the stage that a person would use it through, for whichever family.
"""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from wavechain import Audio
from wavechain.hookspecs import hookimpl
from wavechain.models import find_model, load_network
from wavechain.params import param
from wavechain.processors import pointwise
from wavechain.recipes import Recipe, Turn, part
from wavechain.stages import Model

RATE, FRAMES, LATENT, LEVELS, STEPS = 8_000, 400, 8, 32, 8
NETWORKS = {
    "toy-generator": "Generator",
    "toy-autoencoder": "Autoencoder",
    "toy-denoiser": "Denoiser",
    "toy-wavenet": "WaveNet",
    "toy-vocoder": "Vocoder",
    "toy-painter": "Painter",
}
RECIPES = {
    "wavegan": "WaveGanRecipe",
    "vae": "VaeRecipe",
    "diffusion": "DiffusionRecipe",
    "wavenet": "WaveNetRecipe",
    "vocoder": "VocoderRecipe",
    "spectrogram-gan": "SpectrogramGanRecipe",
}


@hookimpl
def wavechain_register(register):
    for kind, parts in (("network", NETWORKS), ("recipe", RECIPES)):
        for name, cls in parts.items():
            register.part(name, kind=kind, summary="A toy.", target=f"toy_families:{cls}")
    register.stage("toy-dream", kind="model", summary="A toy.", target="toy_families:Dream")


class Dream(Model):
    """Whatever the network of the folder can make out of a seed."""

    model: str = param("", help="The folder of a run.")
    capabilities: ClassVar[frozenset[str]] = frozenset({"sample"})

    def open(self, spec):
        return pointwise(spec, lambda block: block)

    def sample(self, seconds: float, *, seed: int) -> Audio:
        folder = find_model(self.model)
        network = load_network(folder)
        chance = torch.Generator().manual_seed(seed)
        frames = round(seconds * folder.sample_rate)
        with torch.inference_mode():
            pieces = [network.dream(chance) for _ in range(-(-frames // FRAMES))]
        return Audio.of(torch.cat(pieces, dim=-1)[0, :, :frames].clamp(-1, 1).numpy(), folder.sample_rate)


# The networks. Each can `dream`: a clip (1, 1, FRAMES) out of chance.


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(LATENT, 8 * FRAMES // 16)
        self.grow = nn.Sequential(
            nn.ConvTranspose1d(8, 8, 8, 4, 2), nn.ReLU(), nn.ConvTranspose1d(8, 1, 8, 4, 2), nn.Tanh()
        )

    def forward(self, latent):
        return self.grow(self.first(latent).reshape(len(latent), 8, -1))

    def dream(self, chance):
        return self(torch.randn(1, LATENT, generator=chance))


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inwards, self.outwards = nn.Linear(FRAMES, 2 * LATENT), nn.Linear(LATENT, FRAMES)

    def forward(self, waveform):
        mean, log_variance = self.inwards(waveform).chunk(2, dim=-1)
        latent = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        return self.outwards(latent), mean, log_variance

    def dream(self, chance):
        return self.outwards(torch.randn(1, 1, LATENT, generator=chance))


class Denoiser(nn.Module):
    """What of *noisy* is noise, told how much there is."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(2, 8, 9, padding=4), nn.ReLU(), nn.Conv1d(8, 1, 9, padding=4))

    def forward(self, noisy, kept):
        return self.layers(torch.cat([noisy, kept[:, None, None].expand_as(noisy)], dim=1))

    def dream(self, chance):
        """Deterministic steps from noise alone to hardly any (J. Song et al., arXiv 2010.02502)."""
        kept = torch.linspace(0.01, 0.99, STEPS)
        clip = torch.randn(1, 1, FRAMES, generator=chance)
        for now, after in itertools.pairwise(kept):
            noise = self(clip, now[None])
            guess = ((clip - (1 - now).sqrt() * noise) / now.sqrt()).clamp(-1, 1)
            clip = after.sqrt() * guess + (1 - after).sqrt() * noise
        return clip


class WaveNet(nn.Module):
    """Chances of the next sample's level, from the samples before it."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Embedding(LEVELS, 8)
        self.layers = nn.ModuleList(nn.Conv1d(8, 8, 2, dilation=2**depth) for depth in range(4))
        self.leave = nn.Conv1d(8, LEVELS, 1)

    def forward(self, levels):
        heard = self.enter(levels).movedim(-1, 1)
        for layer in self.layers:
            heard = heard + torch.tanh(layer(functional.pad(heard, (layer.dilation[0], 0))))
        return self.leave(heard)

    def dream(self, chance):
        levels = torch.full((1, 1), LEVELS // 2)
        for _ in range(FRAMES):
            chances = self(levels[:, -32:])[0, :, -1].softmax(0)
            levels = torch.cat([levels, torch.multinomial(chances, 1, generator=chance)[None]], dim=1)
        return (2 * levels[:, None, 1:] / (LEVELS - 1) - 1).float()


class Vocoder(nn.Module):
    """Waveforms from magnitudes (batch, 33, hops)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(33, 16, 3, padding=1), nn.ReLU(), nn.ConvTranspose1d(16, 1, 16, 16))

    def forward(self, magnitudes):
        return self.layers(magnitudes)[..., :FRAMES]

    def dream(self, chance):
        return self(torch.rand(1, 33, FRAMES // 16 + 1, generator=chance))


class Painter(nn.Module):
    """Paints a log spectrogram; the phases that are drawn beside it make it a sound."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(LATENT, 33 * 26))

    def forward(self, latent, phases):
        heights = functional.softplus(self.layers(latent).reshape(-1, 33, 26) - 4)
        spectra = torch.polar(heights, phases)
        return torch.istft(spectra, 64, 16, window=torch.hann_window(64), length=FRAMES)[:, None]

    def dream(self, chance):
        return self(torch.randn(1, LATENT, generator=chance), 6.28 * torch.rand(1, 33, 26, generator=chance))


# The recipes.


class Family(Recipe):
    """What all of them do alike: clips in, one network out."""

    made: ClassVar[type[nn.Module]]
    named: ClassVar[str]

    sample_rate = property(lambda self: RATE)
    crop_seconds = property(lambda self: FRAMES / RATE)

    def networks(self) -> dict[str, Any]:
        return {"net": self.made()}

    def turns(self, step, steps):
        return [Turn("learn", ("net",))]

    def prepare(self, clips, rngs, surroundings):
        return {"clean": np.stack([clip[:1] for clip in clips])}

    def preview(self, batch, networks):
        return {"dreamt": networks["net"].dream(torch.Generator().manual_seed(0))[0].numpy()}

    def describe(self):
        return {
            "network": "net",
            "part": self.named,
            "settings": {},
            "sample_rate": RATE,
            "capabilities": ["sample"],
        }


class WaveGanRecipe(Family):
    """Five turns of the critic to one of the generator (C. Donahue et al., arXiv 1802.04208)."""

    made, named = Generator, "toy-generator"

    def networks(self):
        critic = nn.Sequential(nn.Conv1d(1, 8, 25, 4), nn.LeakyReLU(0.2), nn.Conv1d(8, 1, 25, 4))
        return {"net": Generator(), "critic": critic}

    def turns(self, step, steps):
        return [Turn("critic", ("critic",), repeat=5), Turn("generator", ("net",))]

    def prepare(self, clips, rngs, surroundings):
        latent = np.stack([rng.standard_normal(LATENT).astype(np.float32) for rng in rngs])
        return {**super().prepare(clips, rngs, surroundings), "latent": latent}

    def loss(self, turn, batch, networks):
        game, critic = part("loss", "wgan-gp"), networks["critic"]
        fake = networks["net"](batch["latent"])
        if turn.name == "generator":
            return {"game": game.generator([critic(fake)])}
        real, fake = batch["clean"], fake.detach()
        return {
            "distance": game.discriminator([critic(real)], [critic(fake)]),
            "penalty": game.penalty(critic, real, fake),
        }


class VaeRecipe(Family):
    made, named = Autoencoder, "toy-autoencoder"

    def loss(self, turn, batch, networks):
        again, mean, log_variance = networks["net"](batch["clean"])
        prior = (mean.square() + log_variance.exp() - 1 - log_variance).mean() / 2
        return {"likelihood": (again - batch["clean"]).square().mean(), "prior": 0.01 * prior}


class DiffusionRecipe(Family):
    """How much noise there is comes from the item's own chance, so that a resumed run sees the same."""

    made, named = Denoiser, "toy-denoiser"

    def prepare(self, clips, rngs, surroundings):
        clean = super().prepare(clips, rngs, surroundings)["clean"]
        noise = np.stack([rng.standard_normal(clean.shape[1:]).astype(np.float32) for rng in rngs])
        return {"clean": clean, "noise": noise, "kept": np.float32([rng.uniform(0.01, 0.99) for rng in rngs])}

    def loss(self, turn, batch, networks):
        kept = batch["kept"][:, None, None]
        noisy = kept.sqrt() * batch["clean"] + (1 - kept).sqrt() * batch["noise"]
        return {"noise": (networks["net"](noisy, batch["kept"]) - batch["noise"]).square().mean()}


class WaveNetRecipe(Family):
    """A batch of whole numbers, and a loss that is no distance."""

    made, named = WaveNet, "toy-wavenet"

    def prepare(self, clips, rngs, surroundings):
        clean = np.stack([clip[0] for clip in clips])
        return {"levels": ((clean.clip(-1, 1) + 1) / 2 * (LEVELS - 1)).round().astype(np.int64)}

    def loss(self, turn, batch, networks):
        levels = batch["levels"]
        return {"surprise": functional.cross_entropy(networks["net"](levels[:, :-1]), levels[:, 1:])}


class VocoderRecipe(Family):
    """Features in, sound out; three losses by name, and a discriminator by name."""

    made, named = Vocoder, "toy-vocoder"

    def networks(self):
        return {"net": Vocoder(), "judge": part("discriminator", "multi-period", {"periods": [2, 3], "widths": [4, 4]})}

    def turns(self, step, steps):
        return [Turn("judge", ("judge",)), Turn("speak", ("net",))]

    def loss(self, turn, batch, networks):
        real, judge, game = batch["clean"], networks["judge"], part("loss", "lsgan")
        spectra = torch.stft(real[:, 0], 64, 16, window=torch.hann_window(64), return_complex=True)
        fake = networks["net"](spectra.abs())
        if turn.name == "judge":
            return {"judge": game.discriminator(judge(real)[0], judge(fake.detach())[0])}
        (scores, features), (_, wanted) = judge(fake), judge(real)
        return {
            "spectra": part("loss", "multi-resolution-stft", {"sizes": [64, 128]})(fake, real),
            "game": game.generator(scores),
            "features": 2 * part("loss", "feature-matching")(features, wanted),
        }


class SpectrogramGanRecipe(WaveGanRecipe):
    """Its generator paints spectrograms and its discriminator looks at patches of them."""

    made, named = Painter, "toy-painter"

    def networks(self):
        judge = part("discriminator", "spectrogram-patch", {"size": 64, "hop": 16, "widths": [4, 8]})
        return {"net": Painter(), "judge": judge}

    def turns(self, step, steps):
        return [Turn("judge", ("judge",)), Turn("generator", ("net",))]

    def prepare(self, clips, rngs, surroundings):
        phases = np.stack([rng.uniform(0, 6.28, (33, 26)).astype(np.float32) for rng in rngs])
        return {**super().prepare(clips, rngs, surroundings), "phases": phases}

    def loss(self, turn, batch, networks):
        game, fake = part("loss", "hinge"), networks["net"](batch["latent"], batch["phases"])
        if turn.name == "generator":
            return {"game": game.generator(networks["judge"](fake)[0])}
        return {"judge": game.discriminator(networks["judge"](batch["clean"])[0], networks["judge"](fake.detach())[0])}
