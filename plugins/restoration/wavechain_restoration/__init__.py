"""The restoration plugin. Classical repair: clicks, clipping, hum, dropouts and noise, each by a published method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register

STAGES = (
    ("ar-declick", "ar_declick:ArDeclick", "Takes out clicks and crackle, and fills in what the sound leads to."),
    ("ar-fill", "ar_fill:ArFill", "Fills short dropouts from the sound on both sides."),
    ("declip-consistent", "declip_consistent:DeclipConsistent", "Rebuilds peaks that were cut off flat."),
    ("comb-dehum", "comb_dehum:CombDehum", "Takes out mains hum and its harmonics; bass notes stay."),
)


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Classical repair: clicks, clipping, hum, dropouts and noise, each by a published method.")
    for name, target, summary in STAGES:
        register.stage(name, kind="effect", summary=summary, target=f"wavechain_restoration.{target}")
    register.preset(
        "denoise-classical",
        summary="Lowers steady noise with a spectral gate, without a network.",
        path="wavechain_restoration:presets/denoise-classical.toml",
    )
    register.preset(
        "dereverb-classical",
        summary="Lowers the tail of a room behind each sound, without a network.",
        path="wavechain_restoration:presets/dereverb-classical.toml",
    )
