"""The evaluation plugin. Measures how well a chain repairs recordings: metrics, and the bench that runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register

# name, summary, target, packages it needs
METRICS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("si-sdr", "Signal over distortion, whatever the level.", "distortion:SiSdr", ()),
    (
        "change-db",
        "What differs, relative to the reference: how much of a clean input was touched.",
        "change:Change",
        (),
    ),
    ("lsd", "Log-spectral distance, scale matched.", "spectra:LogSpectralDistance", ()),
    ("lsd-high", "Log-spectral distance above 8 kHz alone.", "spectra:HighLogSpectralDistance", ()),
    ("mr-stft", "How far magnitudes are apart, seen through three windows.", "spectra:MultiResolutionStft", ()),
    ("pesq-wb", "Speech quality as listeners of wide-band telephony judge it.", "perceived:PesqWideBand", ("pesq",)),
    ("estoi", "Speech intelligibility.", "perceived:ExtendedStoi", ("pystoi",)),
    ("visqol", "Similarity as listeners judge it.", "perceived:Visqol", ("visqol",)),
    ("dnsmos", "Speech quality without looking at the reference.", "perceived:DnsMos", ("speechmos", "onnxruntime")),
    ("loudness-change", "How far the loudness is off.", "change:LoudnessChange", ()),
    ("balance-change", "How far the balance of octave bands is off.", "change:BalanceChange", ()),
)


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Measures how well chains and programs repair recordings.")
    register.part(
        "restoration",
        kind="bench",
        summary="Worsens clean recordings, has every row repair them, measures, and compares with intervals.",
        target="wavechain_evaluation.bench:RestorationBench",
    )
    for name, summary, target, requires in METRICS:
        register.part(
            name,
            kind="metric",
            summary=summary,
            target=f"wavechain_evaluation.metrics.{target}",
            requires=requires,
            extra="evaluation" if requires else "",
        )
