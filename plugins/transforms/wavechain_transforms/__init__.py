"""The transforms plugin: sound as features (spectra, mel bands, cepstra), back again, and stages that work on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register

TRANSFORMS = {
    "stft": ("stft:Stft", "Turns sound into complex spectra, one column every few milliseconds."),
    "mel": ("mel:Mel", "Turns sound into the strength of bands that are as wide as the ear's."),
    "log-mel": ("log_mel:LogMel", "Turns sound into the levels of mel bands, as networks want them."),
    "mfcc": ("mfcc:Mfcc", "Turns sound into mel-frequency cepstral coefficients, its timbre in few numbers."),
    "cqt": ("cqt:Cqt", "Turns sound into spectra whose bins lie evenly by pitch (constant Q)."),
    "spectral-contrast": ("spectral_contrast:SpectralContrast", "Tells tones from noise, octave by octave."),
    "istft": ("istft:Istft", "Turns the spectra of stft back into sound, exactly."),
}


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(
        summary="Spectra, mel bands, cepstra, constant Q and spectral contrast, ways back, and reduction of noise and "
        "reverb between."
    )
    for name, (target, summary) in TRANSFORMS.items():
        register.stage(name, kind="transform", summary=summary, target=f"wavechain_transforms.{target}")
    register.stage(
        "spectral-gate",
        kind="effect",
        summary="Lowers steady noise wherever nothing rises above it; between stft and inverse.",
        target="wavechain_transforms.spectral_gate:SpectralGate",
    )
    register.stage(
        "late-reverb",
        kind="effect",
        summary="Lowers the tail that a room leaves behind each sound; between stft and inverse.",
        target="wavechain_transforms.late_reverb:LateReverb",
    )
