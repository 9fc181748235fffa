"""The transforms plugin: sound as features (spectra, mel bands, cepstra), back again, and stages that work on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Short-time Fourier transform, its exact inverse, and noise reduction between them.")
    register.stage(
        "stft",
        kind="transform",
        summary="Turns sound into complex spectra, one column every few milliseconds.",
        target="wavechain_transforms.stft:Stft",
    )
    register.stage(
        "istft",
        kind="transform",
        summary="Turns the spectra of stft back into sound, exactly.",
        target="wavechain_transforms.istft:Istft",
    )
    register.stage(
        "spectral-gate",
        kind="effect",
        summary="Lowers steady noise wherever nothing rises above it; between stft and inverse.",
        target="wavechain_transforms.spectral_gate:SpectralGate",
    )
