"""Recipe ``repair``: teaches repairnet to give back what a recording was before it was damaged.

Two phases. First the network learns to be right: spectra, waveform and whatever losses by name the recipe lists. Then,
from `adversarial_from` of the steps on, it also learns not to sound averaged: a discriminator tells clean from
repaired, and the network is pulled towards features it cannot tell apart.

Conventions: clips are mono (a stereo clip gives one of its channels, or their mean); spectra as in
`wavechain_gan_repair.network`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn import functional

from wavechain.audio import Audio
from wavechain.errors import ParameterError
from wavechain.params import param
from wavechain.recipes import Degradation, Phase, Recipe, Surroundings, Turn, part
from wavechain.stages import StreamStage
from wavechain.stream import Block
from wavechain_gan_repair.classical import MENDS, installed
from wavechain_gan_repair.faults import FAULTS
from wavechain_gan_repair.network import RepairNet, compress
from wavechain_gan_repair.settings import HIGHEST_RATE, LOWEST_RATE, RepairNetSettings, checked

WORTH_IT = 0.9  # a repair that takes away less than a tenth of the error is not
WORTH_SECONDS = 0.5
FASTEST = 1.35
HEARD = ("damaged", "mended")
INAUDIBLE = 1e-3  # power of a bin, 84 dB below a sine of full scale: what is quieter hardly counts in the losses

# What a recipe calls a fault, and the degradation that makes it.
DEGRADATIONS = {"noise": "add-noise"} | {name: name for name in FAULTS if name != "noise"}


class RepairRecipe(Recipe):
    rate_hz: int = param(44_100, unit="Hz", ge=LOWEST_RATE, le=HIGHEST_RATE, help="The rate the network works at.")
    clip_seconds: float = param(2.0, unit="s", gt=0.1, le=60, help="Length of a training clip.")
    network: dict[str, Any] = Field(default_factory=dict, description="Settings of repairnet, such as size and n_fft.")
    faults: dict[str, dict[str, Any]] = Field(
        default_factory=lambda: dict[str, dict[str, Any]]({name: {} for name in FAULTS}),
        description="Which faults are taught, each with `weight` (how often) and the settings of its degradation.",
    )
    untouched: float = param(0.2, ge=0, le=0.9, help="Share of clips that are not damaged, to be left alone.")
    mended: float = param(
        0.0,
        ge=0,
        le=1,
        help="Share of the clips of which nothing is told that the classical stages mend first, as in `repair`.",
    )
    varied: float = param(
        0.0, ge=0, le=1, help="Share of clips that are played faster and through an equaliser, both by chance."
    )
    most: int = param(3, ge=1, le=8, help="Most faults in one clip.")
    told: float = param(0.4, ge=0, le=1, help="Share of clips whose faults are told to the network.")
    losses: dict[str, dict[str, Any]] = Field(
        default_factory=lambda: {"waveform": {"weight": 1.0}, "multi-resolution-stft": {"weight": 0.1}},
        description="Losses on the waveform by name, each with `weight` and its settings.",
    )
    adversarial_from: float = param(0.8, ge=0, le=1, help="Share of the steps after which the discriminator joins.")
    adversarial_weight: float = param(0.05, ge=0, help="How much its opinion counts.")
    feature_weight: float = param(0.1, ge=0, help="How much its features count.")
    objective: str = param("hinge", help="What discriminator and network play for.")
    discriminator: str = param("complex-multi-band", help="Who tells clean from repaired.")
    discriminator_settings: dict[str, Any] = Field(default_factory=dict, description="Its settings.")
    discriminator_seconds: float = param(0.5, unit="s", gt=0, help="How much of a clip it hears.")

    @field_validator("network")
    @classmethod
    def _buildable(cls, network: dict[str, Any]) -> dict[str, Any]:
        checked(network, "repair: network")
        return network

    @field_validator("faults")
    @classmethod
    def _taught(cls, faults: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        unknown = sorted(set(faults) - set(FAULTS))
        if unknown:
            raise ParameterError(f"repair: there is no fault {unknown[0]!r}.", hint=f"one of {', '.join(FAULTS)}.")
        weights = [settings.get("weight", 1.0) for settings in faults.values()]
        if not all(isinstance(weight, int | float) and 0 <= weight < np.inf for weight in weights) or not sum(weights):
            raise ParameterError(
                f"repair: weights of faults are {weights}.", hint="numbers from 0 upwards, one of them above 0."
            )
        return faults

    @property
    def sample_rate(self) -> int:
        return self.rate_hz

    @property
    def crop_seconds(self) -> float:
        return self.clip_seconds * (FASTEST if self.varied else 1)

    def networks(self) -> dict[str, Any]:
        networks: dict[str, Any] = {"repairnet": RepairNet(**self.network)}
        if self.adversarial_from < 1:
            networks["discriminator"] = part("discriminator", self.discriminator, self.discriminator_settings)
        return networks

    def turns(self, step: int, steps: int) -> Sequence[Turn]:
        if self.adversarial_from < 1 and step >= self.adversarial_from * steps:
            return [Turn("tell-apart", ("discriminator",)), Turn("repair-and-convince", ("repairnet",))]
        return [Turn("repair", ("repairnet",))]

    def phases(self, steps: int) -> Sequence[Phase]:
        phases = [
            Phase(0, f"repairnet learns to be right: spectra, {', '.join(self.losses)}, and which faults there are")
        ]
        if self.adversarial_from < 1:
            phases.append(
                Phase(
                    int(np.ceil(self.adversarial_from * steps)),
                    f"{self.discriminator} joins ({self.objective}): repairnet also learns not to sound averaged",
                )
            )
        return phases

    @cached_property
    def _mixture(self) -> list[tuple[str, Degradation, float]]:
        mixture = []
        for name, settings in self.faults.items():
            settings = dict(settings)
            weight = float(settings.pop("weight", 1.0))
            mixture.append((name, part("degradation", DEGRADATIONS[name], settings), weight))
        return mixture

    def prepare(
        self, clips: Sequence[Block], rngs: Sequence[np.random.Generator], surroundings: Surroundings
    ) -> dict[str, Any]:
        made = [self._example(clip, rng, surroundings) for clip, rng in zip(clips, rngs, strict=True)]
        names = ("damaged", "wanted", "mended", "faults", "hint")
        stacks = (np.stack(each).astype(np.float32) for each in zip(*made, strict=True))
        return dict(zip(names, stacks, strict=True))

    def _example(self, clip: Block, rng: np.random.Generator, surroundings: Surroundings) -> tuple[Block, ...]:
        """(damaged, wanted, what was mended of it, which faults, what is told of them): waveforms (1, frames)."""
        as_it_came, wanted, faults = self._damage(self._clean(clip, rng), rng, surroundings)
        damaged, hint = as_it_came, np.zeros_like(faults)
        if rng.random() < self.told:
            hint = faults
        elif rng.random() < self.mended:
            for name, stage in self._mending.items():
                before, damaged = damaged, stage(Audio(damaged, self.rate_hz)).waveform
                if not np.array_equal(before, damaged):
                    faults[FAULTS.index(MENDS[name])] = 0
        return damaged, wanted, damaged - as_it_came, faults, hint

    def _clean(self, clip: Block, rng: np.random.Generator) -> Block:
        """One channel of *clip* or their mean, at any level. Shape (1, frames)"""
        channel = int(rng.integers(-1, clip.shape[0])) if clip.shape[0] > 1 else 0
        clean = clip.mean(axis=0, keepdims=True) if channel < 0 else clip[channel : channel + 1]
        if self.varied:
            frames = round(self.clip_seconds * self.rate_hz)
            clean = varied(clean, frames, rng) if rng.random() < self.varied else clean[:, :frames]
        peak = float(np.abs(clean).max())
        return clean * np.float32(10 ** (rng.uniform(-24, -0.5) / 20) / max(peak, 1e-4))

    def _damage(self, clean: Block, rng: np.random.Generator, surroundings: Surroundings) -> tuple[Block, Block, Block]:
        """(damaged, wanted, which faults)"""
        damaged, wanted, faults = clean, clean, np.zeros(len(FAULTS), np.float32)
        if rng.random() >= self.untouched:
            weights = np.array([weight for _, _, weight in self._mixture])
            count = min(int(rng.geometric(0.6)), self.most, int((weights > 0).sum()))
            chosen = rng.choice(len(weights), count, replace=False, p=weights / weights.sum())
            # A room is around the source, before anything else is; its early part stays wanted.
            for index in sorted(chosen, key=lambda index: not self._mixture[index][1].changes_wanted):
                name, degradation, _ = self._mixture[index]
                damaged, target = degradation.apply(damaged, self.rate_hz, rng, surroundings)
                wanted = target if degradation.changes_wanted else wanted
                faults[FAULTS.index(name)] = 1
        return damaged, wanted, faults

    def loss(self, turn: Turn, batch: Mapping[str, Any], networks: Mapping[str, Any]) -> dict[str, Any]:
        if turn.name == "tell-apart":
            with torch.no_grad():
                repaired, _, _ = self.repair(batch, networks["repairnet"])
            real, fake = self._excerpts(batch["wanted"], repaired)
            told_real, told_fake = networks["discriminator"](real)[0], networks["discriminator"](fake)[0]
            return {"tell-apart": self._objective.discriminator(told_real, told_fake)}

        repaired, spectra, logits = self.repair(batch, networks["repairnet"])
        target = compress(self.analyse(batch["wanted"]), INAUDIBLE)
        spectra = compress(spectra, INAUDIBLE)
        magnitude, wanted = (each.square().sum(dim=1).add(1e-6).sqrt() for each in (spectra, target))
        parts = {
            "magnitude": 0.3 * (magnitude - wanted).square().mean() * 100,
            "complex": 0.2 * (spectra - target).square().sum(dim=1).mean() * 100,
        }
        for name, (loss, weight) in self._losses.items():
            parts[name] = weight * loss(repaired, batch["wanted"])
        faults = batch["faults"][:, None].expand_as(logits[..., :-1])
        parts["detector"] = 0.1 * functional.binary_cross_entropy_with_logits(logits[..., :-1], faults)
        worth = self._worth_it(batch, repaired)
        parts["worth"] = 0.2 * functional.binary_cross_entropy_with_logits(logits[..., -1], worth)
        if turn.name == "repair-and-convince":
            real, fake = self._excerpts(batch["wanted"], repaired)
            told_fake, features_fake = networks["discriminator"](fake)
            with torch.no_grad():
                told_real, features_real = networks["discriminator"](real)
            parts["adversarial"] = self.adversarial_weight * self._objective.generator(told_fake, told_real)
            parts["features"] = self.feature_weight * self._features(features_fake, features_real)
        return parts

    def _worth_it(self, batch: Mapping[str, Any], repaired: Tensor) -> Tensor:
        """1 for each column around which the repair leaves less error than it found, else 0: (batch, hops)."""
        hop = self._settings.hop_length
        around = 2 * round(WORTH_SECONDS * self.rate_hz / hop / 2) * hop
        before, after = (
            functional.avg_pool1d((each - batch["wanted"]).square(), around, hop, around // 2)[:, 0]
            for each in (batch["damaged"], repaired.detach())
        )
        return (after < WORTH_IT * before).float()

    def repair(self, batch: Mapping[str, Any], network: RepairNet) -> tuple[Tensor, Tensor, Tensor]:
        """(waveforms (batch, 1, frames), spectra, fault logits)."""
        damaged = batch["damaged"]
        given = (functional.pad(self.analyse(batch[name]), (0, 0, 0, network.lookahead)) for name in HEARD)
        repaired, logits, _ = network(*given, batch["hint"], network.start(len(damaged)).to(damaged.device))
        return self.synthesise(repaired, damaged.shape[-1]), repaired, logits

    def analyse(self, waveform: Tensor) -> Tensor:
        """(batch, 1, frames) -> (batch, 2, hops, bins): columns centred on every hop, the last bin left out."""
        settings = self._settings
        window = torch.hann_window(settings.n_fft, device=waveform.device)
        spectra = torch.stft(
            waveform[:, 0], settings.n_fft, settings.hop_length, window=window, pad_mode="constant", return_complex=True
        )
        return torch.view_as_real(spectra[:, :-1]).permute(0, 3, 2, 1)

    def synthesise(self, spectra: Tensor, frames: int) -> Tensor:
        """Undoes `analyse`."""
        settings = self._settings
        window = torch.hann_window(settings.n_fft, device=spectra.device)
        whole = torch.view_as_complex(functional.pad(spectra, (0, 1)).permute(0, 3, 2, 1).contiguous())
        return torch.istft(whole, settings.n_fft, settings.hop_length, window=window, length=frames)[:, None]

    def _excerpts(self, *waveforms: Tensor) -> list[Tensor]:
        """The same part of each: the discriminator is heavier than the network it teaches."""
        frames = min(waveforms[0].shape[-1], int(self.discriminator_seconds * self.rate_hz))
        start = int(torch.randint(0, waveforms[0].shape[-1] - frames + 1, ()))
        return [waveform[..., start : start + frames] for waveform in waveforms]

    @cached_property
    def _losses(self) -> dict[str, tuple[Any, float]]:
        losses = {}
        for name, settings in self.losses.items():
            settings = dict(settings)
            weight = float(settings.pop("weight", 1.0))
            losses[name] = (part("loss", name, settings), weight)
        return losses

    @cached_property
    def _mending(self) -> dict[str, StreamStage]:
        return installed(MENDS)

    @cached_property
    def _objective(self) -> Any:
        return part("loss", self.objective)

    @cached_property
    def _features(self) -> Any:
        return part("loss", "feature-matching")

    @cached_property
    def _settings(self) -> RepairNetSettings:
        return RepairNetSettings.model_validate(self.network)

    def evaluate(self, batch: Mapping[str, Any], networks: Mapping[str, Any]) -> dict[str, float]:
        repaired, _, logits = self.repair({**batch, "hint": torch.zeros_like(batch["hint"])}, networks["repairnet"])
        before, after = (si_sdr(each, batch["wanted"]) for each in (batch["damaged"], repaired))
        hurt = batch["faults"].sum(dim=1) > 0
        change = 10 * torch.log10(
            (repaired - batch["damaged"]).square().sum(dim=(1, 2))
            / batch["damaged"].square().sum(dim=(1, 2)).clamp(1e-9)
        )
        found = (logits[..., :-1].mean(dim=1) > 0) == (batch["faults"] > 0)
        worth = self._worth_it(batch, repaired)
        figures = {
            "faults-found": float(found.float().mean()),
            "worth-it": float(worth.mean()),
            "worth-judged": float(((logits[..., -1] > 0) == (worth > 0)).float().mean()),
        }
        if hurt.any():
            figures["si-sdr"] = float(after[hurt].median())
            figures["si-sdr-gain"] = figures["score"] = float((after - before)[hurt].median())
        if (~hurt).any():
            figures["clean-change-db"] = float(change[~hurt].median())
        return figures

    def preview(self, batch: Mapping[str, Any], networks: Mapping[str, Any]) -> dict[str, Block]:
        repaired, _, _ = self.repair(batch, networks["repairnet"])
        sounds = {"damaged": batch["damaged"], "repaired": repaired, "wanted": batch["wanted"]}
        return {name: sound[0].cpu().numpy() for name, sound in sounds.items()}

    def describe(self) -> Mapping[str, Any]:
        return {
            "network": "repairnet",
            "part": "repairnet",
            "settings": self._settings.model_dump(mode="json"),
            "sample_rate": self.rate_hz,
            "capabilities": ["process"],
        }

    def export(self, networks: Mapping[str, Any], folder: Path) -> None:
        from wavechain_gan_repair.export import write_onnx

        write_onnx(networks["repairnet"], folder)


def varied(clip: Block, frames: int, rng: np.random.Generator) -> Block:
    """The start of *clip* as another recording: up to `FASTEST` times as fast, its spectrum bent by up to 6 dB.

    Never slower: what was full-band stays so.
    Shape   (1, frames * FASTEST) -> (1, frames)
    """
    speed = rng.uniform(1, FASTEST)
    faster = soxr.resample(clip[0, : int(frames * speed) + 2], speed, 1.0, quality="HQ")[:frames]
    spectrum = np.fft.rfft(faster, frames)
    octaves = np.log2(np.linspace(1, 1_000, spectrum.size))
    gains_db = np.interp(octaves, np.linspace(0, octaves[-1], 6), rng.uniform(-6, 6, 6))
    return np.fft.irfft(spectrum * 10 ** (gains_db / 20), frames)[None].astype(np.float32)


def si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB, item by item, at most 60.

    Shape   twice (batch, channels, frames) -> (batch,)
    Source  J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019
    """
    estimate, target = (each.flatten(1) - each.flatten(1).mean(dim=1, keepdim=True) for each in (estimate, target))
    power = target.square().sum(dim=1, keepdim=True) + 1e-8
    image = (estimate * target).sum(dim=1, keepdim=True) / power * target
    error = (estimate - image).square().sum(dim=1) + image.square().sum(dim=1) * 1e-6 + 1e-8
    return 10 * torch.log10((image.square().sum(dim=1) + 1e-8) / error)
