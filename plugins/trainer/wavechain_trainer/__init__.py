"""The trainer plugin. Trains networks on a folder of audio from a recipe; every run can be resumed exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register

LOSSES_AND_DISCRIMINATORS = (
    (
        "multi-resolution-stft",
        "loss",
        "How far magnitudes are apart, seen through several windows.",
        "losses.multi_resolution_stft:MultiResolutionSTFT",
    ),
    ("mel", "loss", "How far log-mel spectra of several window sizes are apart.", "losses.mel:Mel"),
    (
        "complex-stft",
        "loss",
        "How far spectra are apart in magnitude and phase, quiet bins lifted.",
        "losses.complex_stft:ComplexSTFT",
    ),
    ("waveform", "loss", "How far samples are apart: l1 or l2.", "losses.waveform:Waveform"),
    ("si-sdr", "loss", "Distortion below the signal, whatever its level.", "losses.waveform:SiSdr"),
    ("sdr", "loss", "Distortion below the signal, a wrong level counted.", "losses.waveform:Sdr"),
    ("lsgan", "loss", "Adversarial: least squares.", "losses.adversarial:LSGAN"),
    ("hinge", "loss", "Adversarial: no credit beyond the margin.", "losses.adversarial:Hinge"),
    ("non-saturating", "loss", "Adversarial: cross-entropy of real and fake.", "losses.adversarial:NonSaturating"),
    ("wgan-gp", "loss", "Adversarial: Wasserstein distance, with gradient penalty.", "losses.adversarial:WganGp"),
    ("relativistic", "loss", "Adversarial: fake against real, with R1 and R2.", "losses.adversarial:Relativistic"),
    (
        "feature-matching",
        "loss",
        "How far a discriminator's feature maps of fake and real are apart.",
        "losses.feature_matching:FeatureMatching",
    ),
    (
        "complex-multi-band",
        "discriminator",
        "Looks at complex spectra, each band with eyes of its own.",
        "discriminators.complex_multi_band:ComplexMultiBand",
    ),
    (
        "multi-resolution",
        "discriminator",
        "Looks at magnitudes through several windows.",
        "discriminators.multi_resolution:MultiResolution",
    ),
    (
        "multi-period",
        "discriminator",
        "Looks at the waveform folded into rows of several lengths.",
        "discriminators.multi_period:MultiPeriod",
    ),
    (
        "spectrogram-patch",
        "discriminator",
        "Looks at patches of one log spectrogram.",
        "discriminators.spectrogram_patch:SpectrogramPatch",
    ),
)


DEGRADATIONS = (
    ("add-noise", "Noise from recordings, or of a random colour.", "noise:Noise", ("scipy",)),
    ("room", "A room around the voice; wanted is what the nearest walls leave.", "room:Room", ("scipy",)),
    ("clip", "Peaks cut off or pressed flat.", "clip:Clip", ()),
    ("codec", "Through MP3 or Vorbis and back, at low rates.", "codec:Codec", ("soundfile",)),
    ("band-limit", "No highs, or holes in them.", "band_limit:BandLimit", ("scipy",)),
    ("clicks", "Clicks, and at times crackle.", "clicks:Clicks", ()),
    ("dropouts", "Gaps of silence, or nearly.", "dropouts:Dropouts", ()),
    ("hum", "The mains and its harmonics.", "hum:Hum", ()),
)


@hookimpl
def wavechain_register(register: Register) -> None:
    register.stage(
        "training",
        kind="trainer",
        summary="Trains the networks of a recipe on folders of audio; can be stopped and resumed exactly.",
        target="wavechain_trainer.training:Training",
        requires=("torch",),
        extra="train",
    )
    register.plugin(summary="Trains networks on a folder of audio from a recipe; every run can be resumed exactly.")
    for name, kind, summary, target in LOSSES_AND_DISCRIMINATORS:
        register.part(
            name,
            kind=kind,
            summary=summary,
            target=f"wavechain_trainer.{target}",
            requires=("torch",),
            extra="train",
        )
    for name, summary, target, requires in DEGRADATIONS:
        register.part(
            name,
            kind="degradation",
            summary=summary,
            target=f"wavechain_trainer.degradations.{target}",
            requires=requires,
            extra="train" if requires else "",
        )
